package scenarios

import (
	"fmt"
	"strings"
)

// badInput is something wrong that a person may write, and what has to be said
// about it. The numbers are those of the table of bad inputs in the design's
// security reference.
type badInput struct {
	row  int
	name string

	// repository is what is wrong: the body of POST /repositories. The answer
	// has the status.
	repository map[string]any
	status     int

	// files are the content of a repository, links its symbolic links (path to
	// target), and source is spec.source as YAML; repository and branch are
	// added where they are missing. then is a second commit, made when the first
	// is Synced.
	files, then map[string]string
	links       map[string]string
	source      string
	// tags and branches are made at the first commit.
	tags, branches []string
	// project is the spec of an AppProject of the application's own.
	project string
	// noNamespace leaves the destination's namespace out.
	noNamespace bool
	// online: it is only seen where there is a network, a project or a cluster,
	// so that hawser-hub render cannot say the same.
	online bool

	// code, and words that the message has to have.
	code string
	says []string
}

const someConfigMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"

// plain is a repository with one directory of one file.
func plain(text string) map[string]string { return map[string]string{"app/a.yaml": text} }

// chartWith is a chart with one template.
func chartWith(template string, more ...string) map[string]string {
	files := map[string]string{"app/Chart.yaml": "{apiVersion: v2, name: web, version: 1.0.0}\n", "app/templates/deploy.yaml": template}
	for i := 0; i < len(more); i += 2 {
		files["app/"+more[i]] = more[i+1]
	}
	return files
}

// laughs is the billion laughs in YAML.
func laughs() string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "x%d: &x%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d, ", i-1), 9), ", "))
	}
	return b.String()
}

var badInputs = []badInput{
	{row: 15, name: "URL without a scheme", repository: map[string]any{"url": "github.com/x/y"}, status: 400,
		code: "repo_url_invalid", says: []string{"github.com/x/y", "https://github.com/x/y"}},
	{row: 15, name: "empty URL", repository: map[string]any{"url": ""}, status: 400, code: "repo_url_invalid"},
	{row: 17, name: "an option in place of a host", repository: map[string]any{"url": "ssh://-oProxyCommand=id/x"}, status: 400,
		code: "repo_url_invalid", says: []string{`"-"`}},
	{row: 18, name: "a file", repository: map[string]any{"url": "file:///etc"}, status: 400, code: "repo_scheme_forbidden", says: []string{"file", "https", "ssh"}},
	{row: 18, name: "a command", repository: map[string]any{"url": "ext::sh -c id"}, status: 400, code: "repo_scheme_forbidden", says: []string{"ext", "https"}},
	{row: 19, name: "credentials in the URL", repository: map[string]any{"url": "https://bosun:sesame@git.example.com/x"}, status: 400,
		code: "repo_url_has_credentials", says: []string{"https://***@git.example.com/x"}},
	{row: 20, name: "link-local address", repository: map[string]any{"url": "https://169.254.169.254/latest"}, status: 400,
		code: "address_blocked", says: []string{"169.254.169.254"}},
	{row: 22, name: "wrong password", repository: map[string]any{"url": "${LOCKED_URL}", "username": "shop-bot", "password": "flint"}, status: 424,
		code: "git_auth_failed", says: []string{"shop-bot"}},
	{row: 23, name: "certificate of nobody", repository: map[string]any{"url": "${TLS_URL}"}, status: 424, code: "git_tls_untrusted"},
	{row: 24, name: "unknown SSH host key", repository: map[string]any{"url": "${SSH_URL}", "sshKey": "${SSH_KEY}"}, status: 424,
		code: "ssh_host_key_unknown", says: []string{"SHA256:"}},
	{row: 25, name: "changed SSH host key", repository: map[string]any{"url": "${SSH_URL}", "sshKey": "${SSH_KEY}", "knownHosts": "${OTHER_KNOWN_HOSTS}"}, status: 424,
		code: "ssh_host_key_changed", says: []string{"SHA256:", "nothing was fetched"}},

	{row: 21, name: "repository that the project does not permit", files: plain(someConfigMap), source: "path: app", online: true,
		project: "{sourceRepos: ['https://github.com/shop/*'], destinations: [{name: '*', namespace: '*'}]}",
		code:    "repo_not_permitted", says: []string{"https://github.com/shop/*"}},
	{row: 26, name: "branch that is not there", files: plain(someConfigMap), branches: []string{"release"}, source: "{path: app, targetRevision: relase}", online: true,
		code: "revision_not_found", says: []string{"relase", "release"}},
	{row: 27, name: "tag and branch of one name", files: plain(someConfigMap), branches: []string{"v1"}, tags: []string{"v1"}, source: "{path: app, targetRevision: v1}", online: true,
		code: "revision_ambiguous", says: []string{"refs/tags/v1", "refs/heads/v1"}},
	{row: 28, name: "short commit", files: plain(someConfigMap), source: "{path: app, targetRevision: ab12ab1}", online: true,
		code: "revision_not_found", says: []string{"ab12ab1"}},
	{row: 29, name: "path that is not there", files: map[string]string{"deploy/stage/a.yaml": someConfigMap, "deploy/dev/a.yaml": someConfigMap}, source: "path: deploy/prod", online: true,
		code: "path_not_found", says: []string{"deploy/prod", "deploy/stage"}},
	{row: 30, name: "path that leaves", files: plain(someConfigMap), source: "path: ../x", code: "path_escapes_repo"},
	{row: 31, name: "link that leaves", files: map[string]string{"app/b.yaml": someConfigMap}, links: map[string]string{"app/a.yaml": "../../etc/passwd"}, source: "path: app", online: true,
		code: "symlink_out_of_bounds", says: []string{"app/a.yaml"}},
	{row: 32, name: "directory without a manifest", files: map[string]string{"app/README.md": "nothing\n"}, source: "path: app",
		code: "no_manifests", says: []string{"app", "no manifest"}},
	{row: 33, name: "everything is gone", files: plain(someConfigMap), then: map[string]string{"app/a.yaml": "# nothing\n"}, source: "path: app", online: true,
		code: "prune_guard", says: []string{"1 object", "--confirm-prune"}},
	{row: 34, name: "tab", files: plain("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n\ta: b\n"), source: "path: app",
		code: "yaml_invalid", says: []string{"app/a.yaml:5", "tab"}},
	{row: 34, name: "indentation", files: plain("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n namespace: b\n"), source: "path: app",
		code: "yaml_invalid", says: []string{"app/a.yaml:5"}},
	{row: 35, name: "key twice", files: plain("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  image: x\n  other: y\n  image: z\n"), source: "path: app",
		code: "yaml_duplicate_key", says: []string{"app/a.yaml:7", "image", "line 5"}},
	{row: 36, name: "billion laughs", files: plain(laughs()), source: "path: app", code: "yaml_alias_limit", says: []string{"app/a.yaml", "alias"}},
	{row: 37, name: "no kind", files: plain(someConfigMap + "---\napiVersion: v1\nmetadata: {name: b}\n"), source: "path: app",
		code: "manifest_incomplete", says: []string{"app/a.yaml", "document 2", "kind"}},
	{row: 38, name: "List without items", files: plain("apiVersion: v1\nkind: List\nitems: null\n"), source: "path: app",
		code: "manifest_invalid", says: []string{"app/a.yaml", "items"}},
	{row: 39, name: "object twice", files: map[string]string{"app/a.yaml": someConfigMap, "app/b.yaml": "# first\n---\n" + someConfigMap}, source: "path: app",
		code: "duplicate_object", says: []string{"ConfigMap", "app/a.yaml", "app/b.yaml"}},
	{row: 40, name: "no namespace anywhere", files: plain(someConfigMap), source: "path: app", noNamespace: true, online: true,
		code: "namespace_missing", says: []string{"ConfigMap", "namespace"}},
	{row: 41, name: "unknown kind", files: plain("apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\n"), source: "path: app", online: true,
		code: "kind_unknown", says: []string{"Rollout", "eu"}},
	{row: 42, name: "removed API", files: plain("apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n"), source: "path: app", online: true,
		code: "api_removed", says: []string{"1.22", "networking.k8s.io/v1"}},
	{row: 43, name: "kind that the project denies", files: plain("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\n"), source: "path: app", online: true,
		project: "{sourceRepos: ['*'], destinations: [{name: '*', namespace: '*'}]}",
		code:    "kind_not_permitted", says: []string{"ClusterRole"}},
	{row: 44, name: "destination that the project denies", files: plain(someConfigMap), source: "path: app", online: true,
		project: "{sourceRepos: ['*'], destinations: [{name: 'eu-*', namespace: 'shop-*'}]}",
		code:    "destination_not_permitted", says: []string{"eu-*"}},
	{row: 45, name: "immutable field", source: "path: app", online: true,
		files: plain("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b, c: d}}, spec: {containers: [{name: c, image: x}]}}}\n"),
		then:  plain("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 0, selector: {matchLabels: {c: d}}, template: {metadata: {labels: {a: b, c: d}}, spec: {containers: [{name: c, image: x}]}}}\n"),
		code:  "immutable_field", says: []string{"Replace=true"}},
	{row: 46, name: "schema", files: plain("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: -1, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}\n"), source: "path: app", online: true,
		code: "schema_invalid", says: []string{"replicas"}},
	{row: 47, name: "Secret that is not base64", files: plain("apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {password: 'not base64!'}\n"), source: "path: app", online: true,
		code: "schema_invalid", says: []string{"data.password", "base64", "hidden"}},

	{row: 49, name: "Helm: value file that is not there", files: chartWith(someConfigMap), source: "{path: app, helm: {valueFiles: [prod.yaml]}}",
		code: "helm_values_not_found", says: []string{"prod.yaml", "ignoreMissingValueFiles"}},
	{row: 50, name: "Helm: nil value", files: chartWith("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  tag: {{ .Values.image.tag }}\n"), source: "path: app",
		code: "helm_template_error", says: []string{"web/templates/deploy.yaml:5", ".Values.image.tag"}},
	{row: 51, name: "Helm: required", files: chartWith(someConfigMap + "data: {host: {{ required \"ingress.host is required\" .Values.host }} }\n"), source: "path: app",
		code: "helm_template_error", says: []string{"chart says", "ingress.host is required"}},
	{row: 52, name: "Helm: schema", files: chartWith(someConfigMap, "values.schema.json", `{"type": "object", "properties": {"replicaCount": {"type": "integer"}}}`, "values.yaml", "replicaCount: many\n"), source: "path: app",
		code: "helm_values_schema", says: []string{"replicaCount", "integer", "string"}},
	{row: 53, name: "Helm: dependency that is nowhere", files: map[string]string{"app/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: redis, version: ^99, repository: \"file://../redis\"}]\n", "redis/Chart.yaml": "{apiVersion: v2, name: redis, version: 20.1.0}\n"}, source: "path: app",
		code: "chart_not_found", says: []string{"redis", "^99", "20.1.0"}},
	{row: 54, name: "Kustomize: remote base", files: map[string]string{"app/kustomization.yaml": "resources: ['https://github.com/x/y//base?ref=v1']\n"}, source: "path: app", online: true,
		code: "remote_base_forbidden", says: []string{"app/kustomization.yaml", "remote"}},
	{row: 54, name: "Kustomize: missing resource", files: map[string]string{"app/kustomization.yaml": "resources: [missing.yaml]\n"}, source: "path: app",
		code: "kustomize_error", says: []string{"app/kustomization.yaml", "missing.yaml"}},
	{row: 54, name: "Kustomize: circle", files: map[string]string{"app/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../app]\n"}, source: "path: app",
		code: "kustomize_error", says: []string{"app", "b", "cycle"}},
	{row: 55, name: "Jinja2: undefined", files: map[string]string{"app/web.yaml.j2": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {n: \"{{ replica_count }}\"}\n"},
		source: "{path: app, jinja: {valuesObject: {replicas: 1, image: x}}}",
		code:   "jinja_undefined", says: []string{"web.yaml.j2:4", "replica_count", "replicas"}},
	{row: 55, name: "Jinja2: banned tag", files: map[string]string{"app/web.yaml.j2": "{% ssi \"/etc/passwd\" %}\n"}, source: "{path: app, jinja: {}}",
		code: "jinja_tag_forbidden", says: []string{"web.yaml.j2:1", "ssi"}},
	{row: 55, name: "Jinja2: unsupported", files: map[string]string{"app/web.yaml.j2": "a: {{ x | nofilter }}\n"}, source: "{path: app, jinja: {valuesObject: {x: 1}}}",
		code: "jinja_unsupported", says: []string{"web.yaml.j2:1", "nofilter"}},
	{row: 56, name: "plugin that fails", files: map[string]string{"app/fail": "x\n"}, source: "{path: app, plugin: {name: broken}}", online: true,
		code: "plugin_failed", says: []string{"broken", "exited 3", "the last words"}},
}
