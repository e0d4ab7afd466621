package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/customization"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	notificationsLater = "notifications come with a later release; keep the file"
	identityLater      = "single sign-on and accounts come with a later release; keep the file. API tokens say who may do what now"
)

// keyRule is what becomes of a key of a ConfigMap that is not taken.
type keyRule struct {
	key       string // a key, or with a "*" at its end a prefix
	attention bool
	why, fix  string
}

// argocdCM are the keys of argocd-cm beside the customizations of resources.
var argocdCM = []keyRule{
	{key: "url", why: "the hub knows its own address (--advertise)"},
	{key: "additionalUrls", why: "the hub knows its own address (--advertise)"},
	{key: "application.instanceLabelKey", why: "objects are tracked by the annotation argocd.argoproj.io/tracking-id"},
	{key: "installationID", why: "an agent serves one hub, which its certificate names"},
	{key: "application.allowedNodeLabels", why: "of Argo CD's console"},
	{key: "application.links", why: "of Argo CD's console"}, {key: "project.links", why: "of Argo CD's console"},
	{key: "resource.links", why: "of Argo CD's console"}, {key: "extension.config*", why: "extensions of Argo CD's console are not run here"},
	{key: "ui.*", why: "of Argo CD's console"}, {key: "help.*", why: "of Argo CD's console"}, {key: "ga.*", why: "of Argo CD's console"},
	{key: "statusbadge.*", why: "of Argo CD's console"},
	{key: "users.*", why: identityLater}, {key: "accounts.*", why: identityLater}, {key: "admin.*", why: identityLater},
	{key: "dex.*", why: identityLater}, {key: "oidc.*", why: identityLater}, {key: "passwordPattern", why: identityLater},
	{key: "exec.*", attention: true, why: "commands in containers are allowed at the hub and at each agent", fix: "allow them there (docs/access.md)"},
	{key: "globalProjects", attention: true, why: "projects do not inherit from others here", fix: "write the limits into each project"},
	{key: "kustomize.buildOptions*", attention: true, why: "there are no build options of Kustomize here", fix: "put what they switch on into the kustomizations (docs/sources.md)"},
	{key: "kustomize.path.*", attention: true, why: "the hub builds with one version of Kustomize", fix: "remove kustomize.version from the sources (docs/sources.md)"},
	{key: "kustomize.version.*", attention: true, why: "the hub builds with one version of Kustomize", fix: "remove kustomize.version from the sources (docs/sources.md)"},
	{key: "helm.valuesFileSchemes", why: "a project says whether value files may be remote (hawser.dev/remote-bases)"},
	{key: "helm.enable", why: "the tool of a source is chosen by what is there"}, {key: "kustomize.enable", why: "the tool of a source is chosen by what is there"},
	{key: "jsonnet.enable", why: "the tool of a source is chosen by what is there"}, {key: "kustomize.*", why: "options of Argo CD's Kustomize"},
	{key: "timeout.*", why: "repositories are looked at often, and at once after a webhook"},
	{key: "webhook.*", why: "limits of Argo CD's webhook server; the hub has its own"},
	{key: "server.rbac.*", why: identityLater}, {key: "server.*", why: "of Argo CD's own processes"},
	{key: "cluster.inClusterEnabled", why: "the hub manages no cluster without an agent"},
	{key: "application.sync.impersonation.enabled", why: "a project with destinationServiceAccounts is impersonated here without a switch"},
	{key: "application.sync.impersonation.enforced", why: "a project with destinationServiceAccounts is impersonated here without a switch"},
	{key: "application.sync.requireOverridePrivilegeForRevisionSync", why: identityLater},
	{key: "commit.author.*", why: "this release does not hydrate sources"}, {key: "sourceHydrator.*", why: "this release does not hydrate sources"},
	{key: "resource.selectors", why: "only kinds of applications are watched"},
	{key: "resource.manifest.*", why: "how Argo CD keeps manifests"},
	{key: "repositories", attention: true, why: "repositories in argocd-cm are of Argo CD before 2.0", fix: "register them: hawser repo add"},
	{key: "repository.credentials", attention: true, why: "credentials in argocd-cm are of Argo CD before 2.0", fix: "register them: hawser repocreds add"},
	{key: "helm.repositories", attention: true, why: "repositories in argocd-cm are of Argo CD before 2.0", fix: "register them: hawser repo add"},
	{key: "configManagementPlugins", attention: true, why: "plugins in argocd-cm are of Argo CD before 2.8", fix: "run them beside the hub (docs/plugins.md)"},
}

// cmdParams are the keys of argocd-cmd-params-cm whose meaning goes beyond the
// processes of Argo CD.
var cmdParams = []keyRule{
	{key: "application.namespaces", why: "sourceNamespaces of the projects say which namespaces may hold applications"},
	{key: "applicationsetcontroller.*", why: "of the generator of applications, which this release has not"},
	{key: "commitserver.*", why: "this release does not hydrate sources"}, {key: "hydrator.*", why: "this release does not hydrate sources"},
	{key: "notificationscontroller.*", why: notificationsLater},
	{key: "dexserver.*", why: identityLater}, {key: "oidc.*", why: identityLater},
	{key: "controller.diff.server.side", why: "comparisons are those of server-side apply (docs/differences.md)"},
	{key: "*", why: "tuning of Argo CD's own processes"},
}

func matchKey(rules []keyRule, key string) (keyRule, bool) {
	for _, r := range rules {
		if prefix, is := strings.CutSuffix(r.key, "*"); r.key == key || is && strings.HasPrefix(key, prefix) {
			return r, true
		}
	}
	return keyRule{}, false
}

func (t *translator) configMap(item *Item, o Object) {
	name := o.Name
	if strings.HasPrefix(name, "argocd-notifications") {
		t.accountAll(item, o, notificationsLater)
		return
	}
	read := map[string]func(*Item, *secretEntry){
		"argocd-cm": t.argocdCM, "argocd-cmd-params-cm": t.cmdParams, "argocd-rbac-cm": t.rbac, "argocd-gpg-keys-cm": t.gpgKeys,
		"argocd-tls-certs-cm": t.tlsCerts, "argocd-ssh-known-hosts-cm": t.sshKnownHosts,
	}[name]
	if read == nil {
		t.accountAll(item, o, "it is not of Argo CD's configuration")
		return
	}
	s, ok := newSecretEntry(item, o)
	if !ok {
		return
	}
	if read(item, s); len(s.left) > 0 {
		s.rest()
	}
}

func (t *translator) argocdCM(item *Item, s *secretEntry) {
	used, unused := customization.Split(s.data)
	item.Becomes = "settings/customizations"
	good := model.Customizations{}
	for _, key := range slices.Sorted(maps.Keys(used)) {
		text := used[key]
		if err := customization.CheckTexts(model.Customizations{key: text}); err != nil {
			s.attention(key, fault.As(err).Message, "correct it; it is left out")
			continue
		}
		if old, there := t.options.Customizations[key]; there && old != text {
			s.attention(key, "the hub has another text under this key", "decide which is right; the hub's stays (hawser settings customizations get)")
			continue
		}
		good[key] = text
		s.line(key, Field{Outcome: Taken, Why: "a customization of all clusters"})
	}
	if len(good) > 0 {
		t.plan.Customizations = good
	}
	for _, u := range unused {
		switch r, ok := matchKey(argocdCM, u.Key); {
		case u.Key == "application.resourceTrackingMethod":
			if v := strings.TrimSpace(s.data[u.Key]); v == "label" {
				s.attention(u.Key, "objects that are tracked by a label alone do not say whose they are here",
					"set annotation+label in Argo CD and sync everything once, then import again")
			} else {
				s.line(u.Key, Field{Outcome: Taken, Why: "objects are tracked by annotation"})
			}
		case ok && r.attention:
			s.attention(u.Key, r.why, r.fix)
		case ok:
			s.ignored(u.Key, r.why)
		case u.Resource && !strings.HasPrefix(u.Why, "unknown"):
			s.ignored(u.Key, u.Why)
		default:
			why := "Hawser does not know the key; it is left out"
			if u.Resource {
				why = u.Why
			}
			s.attention(u.Key, why, "check the spelling, or whether it is needed")
		}
	}
}

func (t *translator) cmdParams(_ *Item, s *secretEntry) {
	for _, key := range slices.Sorted(maps.Keys(s.data)) {
		r, _ := matchKey(cmdParams, key)
		s.ignored(key, r.why)
	}
}

// rbac takes the policy apart, line by line.
func (t *translator) rbac(item *Item, s *secretEntry) {
	item.Becomes = "settings/argocd-rbac"
	p := &Policy{Lines: []PolicyLine{}}
	for _, key := range slices.Sorted(maps.Keys(s.data)) {
		text := s.data[key]
		switch {
		case key == "policy.default":
			p.Default = strings.TrimSpace(text)
			s.line(key, Field{Outcome: Taken, Why: keptForRBAC})
		case key == "scopes":
			p.Scopes = strings.TrimSpace(text)
			s.line(key, Field{Outcome: Taken, Why: keptForRBAC})
		case key == "policy.matchMode":
			p.MatchMode = strings.TrimSpace(text)
			if p.MatchMode != "" && p.MatchMode != "glob" && p.MatchMode != "regex" {
				s.attention(key, "it is neither glob nor regex", "correct it")
				continue
			}
			s.line(key, Field{Outcome: Taken, Why: keptForRBAC})
		case strings.HasPrefix(key, "policy.") && strings.HasSuffix(key, ".csv"):
			t.policyLines(item, s, p, key, text)
		default:
			continue // the rest needs attention
		}
	}
	t.plan.Policy = p
}

const keptForRBAC = "kept with the hub for the RBAC of a later release; grants of API tokens say who may do what now"

func (t *translator) policyLines(item *Item, s *secretEntry, p *Policy, key, text string) {
	paths := s.paths(key)
	delete(s.left, key)
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, ",")
		for i := range fields {
			fields[i] = strings.Trim(strings.TrimSpace(fields[i]), `"`)
		}
		at := fmt.Sprintf("%s[line %d]", paths[0], n)
		why := ""
		switch {
		case fields[0] == "p" && len(fields) != 6 && len(fields) != 5:
			why = fmt.Sprintf("a permission is p, subject, resource, action, object, effect; this has %d fields", len(fields))
		case fields[0] == "g" && len(fields) != 3:
			why = fmt.Sprintf("a role is g, subject, role; this has %d fields", len(fields))
		case fields[0] != "p" && fields[0] != "g":
			why = "a line of a policy begins with p or g"
		case fields[0] == "p" && len(fields) == 6 && fields[5] != "allow" && fields[5] != "deny":
			why = "the effect is neither allow nor deny"
		}
		if why != "" {
			item.attention(at, why, "correct it; it is left out")
			continue
		}
		p.Lines = append(p.Lines, PolicyLine{Key: key, Line: n, Type: fields[0], Fields: fields[1:]})
		item.taken(at, keptForRBAC)
	}
	// The key as a whole, comments included.
	for _, path := range paths {
		item.taken(path, "line by line")
	}
}

func (t *translator) gpgKeys(item *Item, s *secretEntry) {
	for _, key := range slices.Sorted(maps.Keys(s.data)) {
		s.attention(key, "keys of signatures are not imported", "give it to the hub: hawser gpg add --from FILE")
	}
}

func (t *translator) tlsCerts(item *Item, s *secretEntry) {
	for _, host := range slices.Sorted(maps.Keys(s.data)) {
		s.translated(host, "the certificate authorities of the repositories and templates of this host")
	}
}

func (t *translator) sshKnownHosts(item *Item, s *secretEntry) {
	if _, ok := s.data["ssh_known_hosts"]; ok {
		s.translated("ssh_known_hosts", "the host keys of the repositories and templates of each host")
	}
}
