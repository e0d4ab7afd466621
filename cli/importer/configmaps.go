package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/customization"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/signature"
)

const (
	notificationsLater = "notifications come with a later release; keep the file"
	identityLater      = "single sign-on and accounts come with a later release; keep the file. API tokens say who may do what now"
)

// ConfigMapNames and SecretNames are the objects in which Argo CD is configured,
// with or without the labels of its own manifests.
var (
	ConfigMapNames = []string{
		"argocd-cm", "argocd-rbac-cm", "argocd-cmd-params-cm", "argocd-gpg-keys-cm", "argocd-tls-certs-cm", "argocd-ssh-known-hosts-cm", "argocd-notifications-cm",
	}
	SecretNames = []string{"argocd-secret"}
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
		err := customization.CheckTexts(model.Customizations{key: text})
		if err == nil {
			err = customization.CheckScripts(model.Customizations{key: text})
		}
		if err != nil {
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
		case u.Key == keyGlobalProjects:
			t.globalProjects(s)
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

// rbac takes the policy apart, line by line, and keeps its texts as they are.
func (t *translator) rbac(item *Item, s *secretEntry) {
	item.Becomes = "settings/rbac"
	p := &Policy{Lines: []PolicyLine{}}
	keep := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(s.data)) {
		text := s.data[key]
		csv := strings.HasPrefix(key, "policy.") && strings.HasSuffix(key, ".csv") && key != "policy..csv"
		if key != "policy.default" && key != "scopes" && key != "policy.matchMode" && !csv {
			continue // the rest needs attention
		}
		if old, there := t.options.RBAC[key]; there && old != text {
			s.attention(key, "the hub keeps another text under this key", "decide which is right; the hub's stays (hawser settings rbac get)")
			continue
		}
		switch {
		case key == "policy.default":
			p.Default = strings.TrimSpace(text)
		case key == "scopes":
			if p.Scopes = strings.TrimSpace(text); p.Scopes != "" && p.Scopes != "[groups]" && p.Scopes != "groups" {
				s.attention(key, "the hub reads groups alone, from the claim that each identity provider names",
					"say of each identity provider which claim has the groups, and give people that an address names their roles by the subject that the provider knows; it is left out")
				continue
			}
		case key == "policy.matchMode":
			if p.MatchMode = strings.TrimSpace(text); p.MatchMode != "" && p.MatchMode != "glob" && p.MatchMode != "regex" {
				s.attention(key, "it is neither glob nor regex", "correct it; it is left out")
				continue
			}
		default:
			keep[key] = text
			t.policyLines(item, s, p, key, text)
			continue
		}
		keep[key] = text
		s.line(key, Field{Outcome: Taken, Why: keptForRBAC})
	}
	t.plan.Policy = p
	if len(keep) > 0 {
		t.plan.RBAC = keep
	}
}

const keptForRBAC = "kept at the hub (hawser settings rbac get), which decides by it"

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
			item.attention(at, why, "correct it; it is kept as it is written")
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

// gpgKeys takes public keys for the hub. What is under a name is read, not the
// name.
func (t *translator) gpgKeys(item *Item, s *secretEntry) {
	for _, key := range slices.Sorted(maps.Keys(s.data)) {
		keys, err := signature.ParseKeys([]byte(s.data[key]))
		if err != nil {
			s.attention(key, fault.As(err).Message, "correct it; it is left out (hawser gpg add --from FILE)")
			continue
		}
		var ids []string
		for _, k := range keys {
			ids = append(ids, k.ID)
			t.plan.GPGKeys = append(t.plan.GPGKeys, GPGKey{ID: k.ID, Armored: k.Armored})
		}
		item.Becomes = "gpg/" + strings.Join(ids, ",")
		if len(s.data) > 1 {
			item.Becomes = "gpg-keys"
		}
		s.translated(key, "key "+strings.Join(ids, ", ")+" of the hub (hawser gpg list)")
	}
}

// tlsCerts takes certificates where a repository or a template that is read with
// them is of their host: the hub keeps trust with each of those.
func (t *translator) tlsCerts(item *Item, s *secretEntry) {
	for _, host := range slices.Sorted(maps.Keys(s.data)) {
		if n := t.hosts[host]; n > 0 {
			s.translated(host, fmt.Sprintf("the certificate authorities of %d repositories and templates of this host", n))
			continue
		}
		s.attention(host, "no repository and no template of this host is read with it; the hub keeps certificate authorities with each of those",
			"when it is needed: hawser repo add URL --ca-file FILE")
	}
}

// sshKnownHosts is tlsCerts for host keys. Argo CD comes with those of the public
// forges, which nobody has to look at.
func (t *translator) sshKnownHosts(item *Item, s *secretEntry) {
	const key = "ssh_known_hosts"
	if _, ok := s.data[key]; !ok {
		return
	}
	used := 0
	for host := range t.sshHosts {
		if knownHostsOf(s.data[key], host) != "" {
			used++
		}
	}
	if used == 0 {
		s.ignored(key, "no repository and no template that is read with it is spoken to with SSH; those that come get theirs with --known-hosts-file")
		return
	}
	s.translated(key, fmt.Sprintf("the host keys of the repositories and templates of %d hosts; those of other hosts are left out", used))
}
