package importer

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/model/decode"
)

// Placeholder stands for a secret in what "hawser export" writes.
const Placeholder = "<fill in: secrets are not exported>"

// secretEntry reads one entry of a Secret, once.
type secretEntry struct {
	item *Item
	obj  Object
	data map[string]string
	left map[string]bool // keys without a line
}

func newSecretEntry(item *Item, o Object) (*secretEntry, bool) {
	for i := 0; i+1 < len(o.root.Content); i += 2 {
		switch key := o.root.Content[i].Value; key {
		case "data", "stringData":
		case "apiVersion", "kind":
			item.taken(key, "")
		case "metadata":
			item.ignored(key, "of the object itself; its content becomes something else")
		default:
			item.ignored(join("", key), "of the object itself; its content becomes something else")
		}
	}
	data, err := o.data()
	if err != nil {
		item.block("data", err.Error(), "correct the Secret")
		return nil, false
	}
	s := &secretEntry{item: item, obj: o, data: data, left: map[string]bool{}}
	for k := range data {
		s.left[k] = true
	}
	return s, true
}

// paths of an entry: it may be in data and stringData.
func (s *secretEntry) paths(key string) []string {
	var out []string
	for _, part := range []string{"data", "stringData"} {
		if at(s.obj.root, part, key) != nil {
			out = append(out, join(part, key))
		}
	}
	return out
}

func (s *secretEntry) line(key string, f Field) {
	for _, p := range s.paths(key) {
		f.Path = p
		s.item.add(f)
	}
	delete(s.left, key)
}

func (s *secretEntry) translated(key, to string) {
	s.line(key, Field{Outcome: Translated, To: to})
}
func (s *secretEntry) ignored(key, why string) { s.line(key, Field{Outcome: Ignored, Why: why}) }
func (s *secretEntry) attention(key, why, fix string) {
	s.line(key, Field{Outcome: Attention, Why: why, Fix: fix})
}

// text takes an entry for a member of a request, "" when there is none.
func (s *secretEntry) text(key, to string) string {
	v, ok := s.data[key]
	if !ok {
		return ""
	}
	if v == Placeholder {
		// Without it the repository must not be written over one that has it.
		s.item.Blocked = true
		s.attention(key, "the secret is not in the export", "fill it in, or add it later: hawser repo add "+maskURL(s.data["url"]))
		return ""
	}
	s.translated(key, to)
	return v
}

func (s *secretEntry) flag(key, to string) bool {
	v, ok := s.data[key]
	if !ok {
		return false
	}
	on, err := strconv.ParseBool(strings.TrimSpace(v))
	switch {
	case err != nil && strings.TrimSpace(v) != "":
		s.attention(key, "it is neither true nor false", "correct it")
	case !on:
		s.ignored(key, "off, as without it")
	default:
		s.translated(key, to)
	}
	return on
}

func (s *secretEntry) number(key, to string) int64 {
	v, ok := s.data[key]
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	switch {
	case err != nil && strings.TrimSpace(v) != "":
		s.attention(key, "it is not a number", "correct it")
	case n == 0:
		s.ignored(key, "none, as without it")
	default:
		s.translated(key, to)
	}
	return n
}

// rest accounts for entries that nothing asked for.
func (s *secretEntry) rest() {
	for _, key := range slices.Sorted(maps.Keys(s.left)) {
		s.attention(key, "Argo CD's Secrets of this type have no such entry; it is left out", "check the spelling, or whether it is needed")
	}
}

// unsupportedAuth are ways of logging in to a repository that Hawser has not.
var unsupportedAuth = []struct{ key, what string }{
	{"gcpServiceAccountKey", "a key of a Google service account"},
	{"useAzureWorkloadIdentity", "Azure's workload identity"},
	{"azureServicePrincipalClientId", "an Azure service principal"},
	{"azureServicePrincipalClientID", "an Azure service principal"},
	{"azureServicePrincipalClientSecret", "an Azure service principal"},
	{"azureServicePrincipalTenantId", "an Azure service principal"},
	{"azureServicePrincipalTenantID", "an Azure service principal"},
	{"azureActiveDirectoryEndpoint", "an Azure service principal"},
}

func (t *translator) secret(item *Item, o Object) {
	switch kind := o.label(secretType); kind {
	case "repository":
		t.repository(item, o, false)
	case "repo-creds":
		t.repository(item, o, true)
	case "cluster":
		t.cluster(item, o)
	case "repository-write", "repo-write-creds":
		t.accountAll(item, o, "credentials to write hydrated manifests; this release does not hydrate sources")
	case "scm-creds":
		t.accountAll(item, o, "credentials of generators; this release does not expand ApplicationSets")
	case "":
		t.otherSecret(item, o)
	default:
		t.accountAll(item, o, "Secrets of Argo CD of the type "+strconv.Quote(kind)+" have no meaning here")
	}
}

func (t *translator) otherSecret(item *Item, o Object) {
	switch o.Name {
	case "argocd-secret":
		s, ok := newSecretEntry(item, o)
		if !ok {
			return
		}
		for _, key := range slices.Sorted(maps.Keys(s.data)) {
			switch {
			case strings.HasPrefix(key, "webhook."):
				s.attention(key, "secrets of webhooks are set at the hub", "set it there as a new secret, and in the forge (docs/sources.md)")
			case strings.HasPrefix(key, "accounts."), strings.HasPrefix(key, "admin."):
				s.ignored(key, "passwords and tokens of Argo CD's accounts; the hub has its own tokens")
			case key == "server.secretkey", strings.HasPrefix(key, "tls."):
				s.ignored(key, "Argo CD's own key; the hub makes its own")
			default:
				s.ignored(key, "a secret that Argo CD's settings refer to; it goes with single sign-on, which comes later")
			}
		}
	case "argocd-initial-admin-secret", "argocd-redis", "argocd-dex-server-tls", "argocd-repo-server-tls", "argocd-server-tls":
		t.accountAll(item, o, "of Argo CD's own processes")
	case "argocd-notifications-secret":
		t.accountAll(item, o, notificationsLater)
	default:
		t.accountAll(item, o, "it is not of Argo CD's configuration")
	}
}

func (t *translator) repository(item *Item, o Object, template bool) {
	s, ok := newSecretEntry(item, o)
	if !ok {
		return
	}
	r := Repository{URL: strings.TrimSpace(s.data["url"]), SkipTest: true}
	noun := "repository"
	if template {
		noun = "template"
	}
	item.Becomes = noun + "/" + maskURL(r.URL)
	kind := strings.TrimSpace(s.data["type"])
	oci := s.flag("enableOCI", "type oci")
	if r.URL == "" {
		delete(s.left, "url")
		item.block("data.url", "the Secret has no URL", "correct it")
	} else {
		s.translated("url", "url")
	}
	switch {
	case kind == "oci", kind == "helm" && oci, strings.HasPrefix(r.URL, "oci://"):
		r.Type = "oci"
		if !strings.Contains(r.URL, "://") && r.URL != "" {
			r.URL = "oci://" + r.URL
		}
	case kind == "helm":
		r.Type = "helm"
	case kind == "", kind == "git":
		r.Type = "git"
	default:
		r.Type = kind
		item.block(s.paths("type")[0], "there is no type "+strconv.Quote(kind)+" of repositories", "use git, helm or oci")
	}
	if _, there := s.data["type"]; there {
		s.translated("type", "type "+r.Type)
	}
	r.Name, r.Project = s.text("name", "name"), s.text("project", "project")
	r.Username, r.Password = s.text("username", "username"), s.text("password", "password")
	r.BearerToken, r.SSHKey = s.text("bearerToken", "bearerToken"), s.text("sshPrivateKey", "sshKey")
	r.ClientCert, r.ClientKey = s.text("tlsClientCertData", "clientCert"), s.text("tlsClientCertKey", "clientKey")
	r.GitHubAppPrivateKey = s.text("githubAppPrivateKey", "githubAppPrivateKey")
	r.GitHubAppID = s.number("githubAppID", "githubAppID")
	r.GitHubAppInstallationID = s.number("githubAppInstallationID", "githubAppInstallationID")
	r.GitHubAppBaseURL = s.text("githubAppEnterpriseBaseUrl", "githubAppBaseURL")
	r.Proxy, r.NoProxy = s.text("proxy", "proxy"), s.text("noProxy", "noProxy")
	r.ForceBasicAuth, r.EnableLFS = s.flag("forceHttpBasicAuth", "forceBasicAuth"), s.flag("enableLfs", "enableLFS")
	r.InsecurePlainHTTP = s.flag("insecureOCIForceHttp", "insecurePlainHTTP")
	// One switch of Argo CD for two checks.
	insecure := s.flag("insecure", "insecureSkipVerify, or insecureIgnoreHostKey with SSH")
	ignoreHostKey := s.flag("insecureIgnoreHostKey", "insecureIgnoreHostKey")
	host, ssh := repositoryHost(r.URL)
	r.InsecureSkipVerify = insecure && !ssh
	r.InsecureIgnoreHostKey = ssh && (insecure || ignoreHostKey)
	for _, key := range []string{"depth", "webhookManifestCacheWarmDisabled"} {
		if _, there := s.data[key]; there {
			s.ignored(key, "the hub fetches and keeps what it needs by itself")
		}
	}
	for _, u := range unsupportedAuth {
		if v, there := s.data[u.key]; there && v != "" && v != "false" {
			s.attention(u.key, "this release cannot log in with "+u.what, "give the repository a token instead: hawser repo add "+maskURL(r.URL)+" --password-stdin")
			item.Blocked = true
		} else if there {
			s.ignored(u.key, "empty or off")
		}
	}
	s.rest()
	t.trust(item, &r, host, ssh)
	if e := decode.Name("project", "project", r.Project); r.Project != "" && e == nil && !t.projects[r.Project] {
		item.block(s.paths("project")[0], fmt.Sprintf("there is no project %q, here or at the hub", r.Project), "import the AppProject with it, or create it first")
	}
	if item.Blocked {
		return
	}
	if template {
		r.Type, r.Name, r.SkipTest = "", "", false
		t.plan.Templates = append(t.plan.Templates, r)
		return
	}
	t.plan.Repositories = append(t.plan.Repositories, r)
}

// trust gives a repository what Argo CD trusts for its host.
func (t *translator) trust(item *Item, r *Repository, host string, ssh bool) {
	switch {
	case ssh && r.InsecureIgnoreHostKey:
	case ssh:
		if r.KnownHosts = knownHostsOf(t.knownHosts, host); r.KnownHosts == "" {
			item.attention("data.url", "no host key of "+host+" is known", "import argocd-ssh-known-hosts-cm with it, or give --known-hosts-file to hawser repo add")
		}
	default:
		name, _, _ := strings.Cut(host, ":")
		if pem, ok := t.certificates[name]; ok {
			r.CABundle = pem
		}
	}
}

var scpLike = regexp.MustCompile(`^(?:[^@/:]+@)?([^/:]+):`)

// repositoryHost is the host of a repository with a port that it names, and
// whether it is spoken to with SSH.
func repositoryHost(repo string) (host string, ssh bool) {
	if strings.Contains(repo, "://") {
		u, err := url.Parse(repo)
		if err != nil {
			return "", false
		}
		return u.Host, u.Scheme == "ssh" || strings.HasPrefix(u.Scheme, "git+ssh")
	}
	if m := scpLike.FindStringSubmatch(repo); m != nil {
		return m[1], true
	}
	host, _, _ = strings.Cut(repo, "/")
	return host, false
}

// knownHostsOf keeps the lines for a host, and hashed lines, whose host cannot
// be read.
func knownHostsOf(file, host string) string {
	name, port, _ := strings.Cut(host, ":")
	var out strings.Builder
	found := false
	for line := range strings.SplitSeq(file, "\n") {
		line = strings.TrimSpace(line)
		hosts, _, ok := strings.Cut(line, " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(hosts, "@") { // @cert-authority, @revoked
			hosts, _, _ = strings.Cut(strings.TrimSpace(line[len(hosts):]), " ")
		}
		keep := strings.HasPrefix(hosts, "|1|")
		for h := range strings.SplitSeq(hosts, ",") {
			keep = keep || h == name && (port == "" || port == "22") || h == "["+name+"]:"+port || strings.HasPrefix(h, "*.") && strings.HasSuffix(name, h[1:])
		}
		if keep {
			found = true
			out.WriteString(line + "\n")
		}
	}
	if !found {
		return ""
	}
	return out.String()
}

// maskURL hides what a URL carries beside scheme, host and path.
func maskURL(repo string) string { return decode.MaskURL(repo) }

func (t *translator) cluster(item *Item, o Object) {
	s, ok := newSecretEntry(item, o)
	if !ok {
		return
	}
	name, server := s.data["name"], strings.TrimSuffix(s.data["server"], "/")
	if name == "" {
		name = server
	}
	proposed := clusterName(name, server)
	item.Becomes = "cluster/" + proposed
	project := s.data["project"]
	for _, x := range [][2]string{{"name", "the name " + proposed}, {"server", "the alias " + server}, {"project", "the project " + project}} {
		if _, there := s.data[x[0]]; there {
			s.translated(x[0], x[1])
		}
	}
	if _, there := s.data["config"]; there {
		s.ignored("config", "credentials of the cluster: they stay where they are; the agent in the cluster needs none of them")
	}
	if _, there := s.data["shard"]; there {
		s.ignored("shard", "every cluster has an agent of its own")
	}
	if v, there := s.data["namespaces"]; there && strings.TrimSpace(v) != "" {
		s.attention("namespaces", "Argo CD manages some namespaces of the cluster only", "give the agent's account rights in those alone (docs/agent-rbac.yaml)")
	}
	if v, there := s.data["clusterResources"]; there {
		if strings.TrimSpace(v) == "true" {
			s.ignored("clusterResources", "what the agent's account may do decides")
		} else {
			s.attention("clusterResources", "Argo CD manages no cluster-wide objects there", "give the agent's account no such rights (docs/agent-rbac.yaml)")
		}
	}
	s.rest()
	labels := map[string]string{}
	if n := at(o.root, "metadata", "labels"); n != nil {
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i].Value, text(n.Content[i+1])
			if strings.HasPrefix(k, "argocd.argoproj.io/") || strings.HasPrefix(k, "app.kubernetes.io/") {
				continue
			}
			labels[k] = v
			item.translated(join("metadata.labels", k), "a label of the cluster", "")
		}
	}
	if server == "" {
		item.block("data.server", "the Secret names no server", "correct it")
		return
	}
	enrolled, ok := t.byServer(server)
	if !ok {
		t.addEnrol(server, ClusterToEnrol{Name: proposed, Server: server, Project: project, Labels: labels})
		item.attention("data.server", "the cluster is not enrolled", t.enrol[server].Command)
		return
	}
	item.Becomes = "cluster/" + enrolled.Name
	add := map[string]string{}
	for k, v := range labels {
		switch old, there := enrolled.Labels[k]; {
		case !there:
			add[k] = v
		case old != v:
			item.attention(join("metadata.labels", k), "cluster "+enrolled.Name+" has another value of this label", "decide which is right; the hub's stays")
		}
	}
	if len(add) > 0 {
		if t.plan.ClusterLabels == nil {
			t.plan.ClusterLabels = map[string]map[string]string{}
		}
		t.plan.ClusterLabels[enrolled.Name] = add
	}
}
