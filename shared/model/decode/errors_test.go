package decode

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	head = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web}\n"
	dest = "  destination: {name: eu, namespace: web}\n"
	src  = "  source: {repoURL: https://h/r, path: a}\n"
)

func spec(s string) string { return head + "spec:\n  project: default\n" + s }

func withSource(s string) string { return spec("  source: {" + s + "}\n" + dest) }

func repo(url string) string { return withSource("repoURL: " + fmt.Sprintf("%q", url) + ", path: a") }

func named(name string) string {
	return strings.Replace(spec(src+dest), "name: web", fmt.Sprintf("name: %q", name), 1)
}

func TestBadApplications(t *testing.T) {
	for _, c := range []struct {
		name, text, code, message string
	}{
		// shape
		{"nothing", "", "body_missing", "the text is empty; send an Application object"},
		{"null", "null", "body_missing", "the text is empty; send an Application object"},
		{"only a comment", "# hello\n---\n", "body_missing", "the text is empty; send an Application object"},
		{"a list", "- a\n", "type_mismatch", "line 1: an object is needed, got a list"},
		{"two", spec(src+dest) + "---\n" + spec(src+dest), "too_many_documents", "there are 2 objects; one Application is needed"},
		{"not UTF-8", head + "x: \xc3(", "encoding_invalid", "byte 0xC3 at offset 76 is not valid UTF-8"},
		{"bad YAML", head + "spec: [", "yaml_invalid", "this is not valid YAML: line 4: did not find expected node content"},
		{"tab", head + "spec:\n\tproject: x\n", "yaml_invalid", "this is not valid YAML: line 5: found character that cannot start any token"},
		{"bad JSON", `{"apiVersion": "argoproj.io/v1alpha1", "kind" "Application"}`, "json_invalid", "line 1: this is not valid JSON: invalid character '\"' after object key"},
		{"JSON that ends", "{\n\"kind\": \"Application\",", "json_invalid", "line 2: this is not valid JSON: the text ends too early"},
		{"duplicate key", spec(src + dest + "  project: x\n"), "duplicate_key", `key "project" appears twice (line 5 and 8)`},
		{"duplicate key in JSON", "{\"kind\":\"Application\",\n\"kind\":\"Application\"}", "duplicate_key", `key "kind" appears twice (line 1 and 2)`},
		{"deep YAML", strings.Repeat("[", 10000), "too_deep", ""},
		{"deep JSON", strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), "too_deep", "line 1: nesting is deeper than 64"},
		{"alias bomb", bomb(), "yaml_alias_limit", ""},
		{"tag", head + "x: !custom y", "yaml_invalid", `line 4: the tag "!custom" is not supported`},
		{"infinity", head + "x: .inf", "yaml_invalid", `line 4: ".inf" is not a number that can be used here`},
		{"complex key", "? [a]\n: b", "yaml_invalid", "line 1: a key must be a plain word"},
		{"too large", strings.Repeat(" ", MaxBytes+1), "body_too_large", "the text is 4194305 bytes; the limit is 4194304"},

		// kinds
		{"no kind", "apiVersion: v1\n", "field_missing", "line 1: kind is missing"},
		{"other kind", "apiVersion: v1\nkind: Secret\n", "kind_unsupported", `line 1: kind "Secret" is not supported; Application, AppProject and ApplicationSet are`},
		{"nearly the kind", "apiVersion: argoproj.io/v1alpha1\nkind: Aplication\n", "kind_unsupported", `line 1: kind "Aplication" is not supported; Application, AppProject and ApplicationSet are; did you mean "Application"?`},
		{"project", "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\n", "kind_unexpected", "kind is AppProject; an Application is needed here"},
		{"other version", "apiVersion: argoproj.io/v1\nkind: Application\n", "api_version_unknown", `line 1: apiVersion "argoproj.io/v1" of Application is not known; use argoproj.io/v1alpha1 or hawser.dev/v1alpha1`},

		// fields
		{"unknown field", spec(src + dest + "  syncPolicy: {automatd: {}}\n"), "unknown_field", `unknown field spec.syncPolicy.automatd; did you mean "automated"?`},
		{"case", spec(src + dest + "  syncpolicy: {}\n"), "unknown_field", `unknown field spec.syncpolicy; did you mean "syncPolicy"?`},
		{"field in the wrong place", spec(src + dest + "  syncOptions: []\n"), "unknown_field", "unknown field spec.syncOptions; did you mean spec.syncPolicy.syncOptions?"},
		{"other word", spec(src + dest + "  autosync: true\n"), "unknown_field", "unknown field spec.autosync; did you mean spec.syncPolicy.automated?"},
		{"unknown helm field", withSource("repoURL: https://h/r, path: a, helm: {valuesFile: x}"), "unknown_field", `unknown field spec.source.helm.valuesFile; did you mean "valueFiles"?`},
		{"unknown, nothing near", spec(src + dest + "  zzzzzz: 1\n"), "unknown_field", "unknown field spec.zzzzzz"},
		{"strange field name", spec(src + dest + "  \"a\\e[31m\": 1\n"), "unknown_field", `unknown field spec["a\x1b[31m"]`},
		{"number for a string", withSource("repoURL: https://h/r, path: a, targetRevision: 1.10"), "type_mismatch", "spec.source.targetRevision must be a string, got the number 1.1"},
		{"string for a number", spec(src + dest + "  revisionHistoryLimit: \"3\"\n"), "type_mismatch", `spec.revisionHistoryLimit must be a number, got the string "3"`},
		{"fraction", spec(src + dest + "  revisionHistoryLimit: 3.5\n"), "type_mismatch", "spec.revisionHistoryLimit must be a whole number, got the number 3.5"},
		{"huge number", spec(src + dest + "  revisionHistoryLimit: 1e400\n"), "type_mismatch", `spec.revisionHistoryLimit must be a number, got the string "1e400"`},
		{"string for a boolean", spec(src + dest + "  syncPolicy: {automated: {prune: \"true\"}}\n"), "type_mismatch", `spec.syncPolicy.automated.prune must be true or false, got the string "true"`},
		{"quoted yes for a boolean", spec(src + dest + "  syncPolicy: {automated: {prune: \"yes\"}}\n"), "type_mismatch", `spec.syncPolicy.automated.prune must be true or false, got the string "yes"`},
		{"object for a list", spec(src + dest + "  syncPolicy: {syncOptions: {a: b}}\n"), "type_mismatch", "spec.syncPolicy.syncOptions must be a list, got an object"},
		{"string for an object", spec("  source: x\n" + dest), "type_mismatch", `spec.source must be an object, got the string "x"`},
		{"list item", spec(src + dest + "  syncPolicy: {syncOptions: [true]}\n"), "type_mismatch", "spec.syncPolicy.syncOptions[0] must be a string, got the boolean true"},
		{"null in a list", spec(src + dest + "  syncPolicy: {syncOptions: [null]}\n"), "type_mismatch", "spec.syncPolicy.syncOptions[0] must be a string, got null"},
		{"number as a label", strings.Replace(spec(src+dest), "{name: web}", "{name: web, labels: {a: 1}}", 1), "type_mismatch", "metadata.labels.a must be a string, got the number 1"},
		{"list as valuesObject", withSource("repoURL: https://h/r, path: a, helm: {valuesObject: []}"), "type_mismatch", "spec.source.helm.valuesObject must be an object, got a list"},
		{"bad time", strings.Replace(spec(src+dest), "{name: web}", "{name: web, creationTimestamp: yesterday}", 1), "type_mismatch", `metadata.creationTimestamp must be a time such as "2026-01-31T12:00:00Z", got the string "yesterday"`},
		{"bad count", withSource("repoURL: https://h/r, path: a, kustomize: {replicas: [{name: x, count: true}]}"), "type_mismatch", "spec.source.kustomize.replicas[0].count must be a number or a string, got the boolean true"},

		// names
		{"name with capitals", named("My_App"), "name_invalid", `name "My_App": use 1-63 of a-z, 0-9, "-", starting and ending with a letter or digit`},
		{"long name", named(strings.Repeat("a", 64)), "name_invalid", "name is 64 characters; the limit is 63"},
		{"invisible name", named("pay\u202etxt"), "name_invalid", "name contains the invisible character U+202E at position 4"},
		{"zero width", named("pay\u200btxt"), "name_invalid", "name contains the invisible character U+200B at position 4"},
		{"no name", named(""), "name_invalid", "name is missing"},
		{"ends with a hyphen", named("a-"), "name_invalid", `name "a-": use 1-63 of a-z, 0-9, "-", starting and ending with a letter or digit`},
		{"homoglyph", named("wеb"), "name_invalid", `name "wеb": use 1-63 of a-z, 0-9, "-", starting and ending with a letter or digit`},
		{"project name", strings.Replace(spec(src+dest), "project: default", "project: a/b", 1), "name_invalid", `project "a/b": use 1-63 of a-z, 0-9, "-", starting and ending with a letter or digit`},
		{"namespace", strings.Replace(spec(src+dest), "namespace: web", "namespace: Web", 1), "namespace_invalid", `namespace "Web": use 1-63 of a-z, 0-9, "-", starting and ending with a letter or digit`},
		{"label value", strings.Replace(spec(src+dest), "{name: web}", "{name: web, labels: {a: 'x y'}}", 1), "label_invalid", `the value "x y" of label "a": use letters, digits, "-", "_", "."`},

		// destination and sources
		{"no destination", spec(src), "destination_invalid", "spec.destination names no cluster; write name (of the cluster) or server"},
		{"two destinations", spec(src + "  destination: {name: eu, server: https://x}\n"), "destination_invalid", `spec.destination has name "eu" and server "https://x"; write one of them`},
		{"no source", spec(dest), "field_missing", "spec.source is missing"},
		{"source and sources", spec(src + "  sources: [{repoURL: https://h/r, path: a}]\n" + dest), "sources_ambiguous", "spec has more than one of source, sources and sourceHydrator; write one"},
		{"no path", withSource("repoURL: https://h/r"), "field_missing", "spec.source.path is missing"},
		{"ref without path in a single source", withSource("repoURL: https://h/r, ref: x"), "field_missing", "spec.source.path is missing"},
		{"ref and chart", spec("  sources: [{repoURL: https://h/r, chart: c, targetRevision: 1.x, ref: x}]\n" + dest), "sources_ambiguous", "spec.sources[0] has ref and chart; a chart cannot be referred to"},
		{"ref twice", spec("  sources: [{repoURL: https://h/r, ref: x, path: a}, {repoURL: https://h/s, ref: x}]\n" + dest), "duplicate_ref", `ref "x" is used by two sources`},
		{"only refs", spec("  sources: [{repoURL: https://h/r, ref: x}, {repoURL: https://h/s, ref: y}]\n" + dest), "sources_without_manifests", "every source has only a ref; one with path or chart is needed"},
		{"ref of odd characters", spec("  sources: [{repoURL: https://h/r, path: a, ref: a/b}]\n" + dest), "ref_invalid", `ref "a/b": use letters, digits, "-" and "_"`},
		{"ref of a registry", spec("  sources: [{repoURL: https://h/r, path: a}, {repoURL: 'OCI://h/s', ref: x}]\n" + dest), "ref_unsupported", "spec.sources[1] has a ref and is in a registry; only Git repositories can be referred to"},
		{"path and chart", withSource("repoURL: https://h/r, path: a, chart: c, targetRevision: 1.x"), "sources_ambiguous", "spec.source has path and chart; write one"},
		{"chart without version", withSource("repoURL: https://h/r, chart: c"), "field_missing", "spec.source.targetRevision is missing"},
		{"chart with a version", withSource("repoURL: https://h/r, chart: 'c:1', targetRevision: 1.x"), "chart_invalid", `chart "c:1" is not the name of a chart`},
		{"chart above", withSource("repoURL: https://h/r, chart: ../c, targetRevision: 1.x"), "chart_invalid", `chart "../c" is not the name of a chart`},
		{"$ref that no source has", spec("  sources: [{repoURL: https://h/r, path: a, helm: {valueFiles: [$valus/x.yaml]}}, {repoURL: https://h/s, ref: values}]\n" + dest), "ref_unknown", `no source has the ref "valus"; did you mean "values"?`},
		{"$ref of a single source", withSource("repoURL: https://h/r, path: a, helm: {valueFiles: [$values/x.yaml]}"), "ref_unknown", `no source has the ref "values"; the application has none`},
		{"$ref of a file parameter", spec("  sources: [{repoURL: https://h/r, path: a, ref: v, helm: {fileParameters: [{name: n, path: $w/x}]}}]\n" + dest), "ref_unknown", `no source has the ref "w"`},
		{"$ref of jinja", spec("  sources: [{repoURL: https://h/r, path: a, ref: v, jinja: {valueFiles: [$w/x]}}]\n" + dest), "ref_unknown", `no source has the ref "w"`},
		{"jinja value file above", withSource("repoURL: https://h/r, path: a, jinja: {valueFiles: [../../x]}"), "path_escapes_repo", "path may not leave the repository"},
		{"unknown jinja field", withSource("repoURL: https://h/r, path: a, jinja: {valuesFiles: [x]}"), "unknown_field", `unknown field spec.source.jinja.valuesFiles; did you mean "valueFiles"?`},
		{"list as valuesObject of jinja", withSource("repoURL: https://h/r, path: a, jinja: {valuesObject: []}"), "type_mismatch", "spec.source.jinja.valuesObject must be an object, got a list"},
		{"two tools", withSource("repoURL: https://h/r, path: a, helm: {releaseName: x}, kustomize: {namePrefix: x}"), "source_type_ambiguous", "spec.source has options for two tools, helm and kustomize: keep one of them"},
		{"chart and jinja", withSource("repoURL: https://h/r, chart: c, targetRevision: 1.x, jinja: {values: 'a: b'}"), "source_type_ambiguous", "spec.source has options for two tools, chart and jinja: keep one of them"},
		{"jinja and plugin", withSource("repoURL: https://h/r, path: a, jinja: {values: 'a: b'}, plugin: {name: x}"), "source_type_ambiguous", "spec.source has options for two tools, jinja and plugin: keep one of them"},
		{"plugin variable without a name", withSource("repoURL: https://h/r, path: a, plugin: {env: [{name: '', value: x}]}"), "field_missing", "spec.source.plugin.env[0].name is missing"},

		// repository URLs
		{"empty URL", repo(""), "repo_url_invalid", "repoURL is empty"},
		{"no scheme", repo("github.com/x/y"), "repo_url_invalid", `repoURL "github.com/x/y" has no scheme; did you mean https://github.com/x/y ?`},
		{"no scheme, no host", repo("my repo"), "repo_url_invalid", `repoURL "my repo" contains a space or a backslash`},
		{"path", repo("/srv/git/x"), "repo_url_invalid", `repoURL "/srv/git/x" has no scheme`},
		{"ssh option", repo("ssh://-oProxyCommand=id/x"), "repo_url_invalid", `host may not start with "-"`},
		{"ssh option as user", repo("ssh://-oProxyCommand=id@h/x"), "repo_url_invalid", `host may not start with "-"`},
		{"ssh option, scp form", repo("git@-oProxyCommand=id:x"), "repo_url_invalid", `host may not start with "-"`},
		{"ext", repo("ext::sh -c id"), "repo_scheme_forbidden", `scheme "ext" is not allowed; allowed: https, ssh, oci, http (without credentials)`},
		{"ext without space", repo("ext::id"), "repo_scheme_forbidden", `scheme "ext" is not allowed; allowed: https, ssh, oci, http (without credentials)`},
		{"ftp", repo("ftp://h/x"), "repo_scheme_forbidden", `scheme "ftp" is not allowed; allowed: https, ssh, oci, http (without credentials)`},
		{"javascript", repo("javascript://h/x"), "repo_scheme_forbidden", `scheme "javascript" is not allowed; allowed: https, ssh, oci, http (without credentials)`},
		{"newline", repo("https://evil.example\nhost=github.com/x"), "repo_url_invalid", "repoURL contains the invisible character U+000A at position 21"},
		{"encoded newline in the host", repo("https://evil.example%0ahost=github.com/x"), "repo_url_invalid", ""},
		{"encoded newline in the path", repo("https://h/x%0ahost=y"), "repo_url_invalid", "repoURL contains the invisible character U+000A, written with percent signs"},
		{"password", repo("https://user:CANARY@h/x"), "repo_url_has_credentials", "put credentials in a repository credential, not in the URL (https://***@h/x)"},
		{"password in a broken URL", repo("https://user:CANARY@h:port/x"), "repo_url_invalid", `repoURL "https://***@h:port/x" is not a valid URL`},
		{"password with a slash", repo("https://user:CAN/CANARY@h/x"), "repo_url_invalid", `repoURL "https://***@h/x" is not a valid URL`},
		{"password without a scheme", repo("user:CANARY@h/x"), "repo_url_invalid", `repoURL "***@h/x" has no scheme`},
		{"token as the user", repo("https://ghp_CANARY@h/x"), "repo_url_has_credentials", "put credentials in a repository credential, not in the URL (https://***@h/x)"},
		{"long user", repo("https://CANARYCANARYCANARYCANARYCANARYCANARY@h/x"), "repo_url_has_credentials", ""},
		{"query", repo("https://h/x?access_token=CANARY"), "repo_url_invalid", `repoURL "https://h/x?***" has a query; write the URL without it`},
		{"path that climbs", repo("https://h/team/../x"), "repo_url_invalid", `repoURL "https://h/team/../x" has the segment ".." in its path; write where it leads to`},
		{"path that climbs, escaped", repo("https://h/team/%2e%2E/x"), "repo_url_invalid", ""},
		{"fragment", repo("https://h/x#main"), "repo_url_invalid", `repoURL "https://h/x#main" has a fragment; branches and paths have their own fields`},
		{"no host", repo("https:///x"), "repo_url_invalid", `repoURL "https:///x" is not a valid URL`},

		// paths
		{"path above", withSource("repoURL: https://h/r, path: ../x"), "path_escapes_repo", "path may not leave the repository"},
		{"path above, hidden", withSource("repoURL: https://h/r, path: a/../../x"), "path_escapes_repo", "path may not leave the repository"},
		{"absolute path", withSource("repoURL: https://h/r, path: /etc"), "path_escapes_repo", `path "/etc" starts with "/"; write it relative to the root of the repository`},
		{"backslash", withSource(`repoURL: https://h/r, path: 'a\b'`), "path_escapes_repo", `path "a\\b": write the path inside the repository, with "/"`},
		{"drive", withSource(`repoURL: https://h/r, path: 'C:x'`), "path_escapes_repo", `path "C:x": write the path inside the repository, with "/"`},
		{"values file above", withSource("repoURL: https://h/r, path: a, helm: {valueFiles: [../../x]}"), "path_escapes_repo", "path may not leave the repository"},
		{"values file of file", withSource("repoURL: https://h/r, path: a, helm: {valueFiles: ['FILE:///etc/passwd']}"), "path_escapes_repo", `"FILE:///etc/passwd" is not a path inside the repository`},
		{"values file of file, one slash", withSource("repoURL: https://h/r, path: a, helm: {valueFiles: ['file:/etc/passwd']}"), "path_escapes_repo", `"file:/etc/passwd" is not a path inside the repository`},
		{"values file above a ref", withSource("repoURL: https://h/r, path: a, helm: {valueFiles: [$v/../../x]}"), "path_escapes_repo", "path may not leave the repository"},
		{"values file above the root", withSource("repoURL: https://h/r, path: a, helm: {valueFiles: [/../x]}"), "path_escapes_repo", "path may not leave the repository"},
		{"file parameter above", withSource("repoURL: https://h/r, path: a, helm: {fileParameters: [{name: x, path: ../../x}]}"), "path_escapes_repo", "path may not leave the repository"},
		{"revision that is an option", withSource("repoURL: https://h/r, path: a, targetRevision: --upload-pack=x"), "revision_invalid", `targetRevision "--upload-pack=x" is not a branch, tag, commit or version`},

		// policy fields
		{"sync option", spec(src + dest + "  syncPolicy: {syncOptions: [CreateNamespaces=true]}\n"), "sync_option_unknown", `unknown sync option "CreateNamespaces=true"; did you mean "CreateNamespace=true"?`},
		{"sync option without value", spec(src + dest + "  syncPolicy: {syncOptions: [CreateNamespace]}\n"), "sync_option_unknown", `sync option "CreateNamespace": write one of CreateNamespace=true, CreateNamespace=false`},
		{"sync option value", spec(src + dest + "  syncPolicy: {syncOptions: [Prune=maybe]}\n"), "sync_option_unknown", `sync option "Prune=maybe": write one of Prune=true, Prune=false, Prune=confirm`},
		{"retry duration", spec(src + dest + "  syncPolicy: {retry: {backoff: {duration: 5 minutes}}}\n"), "expression_invalid", `duration "5 minutes": use 5m`},
		{"negative duration", spec(src + dest + "  syncPolicy: {retry: {backoff: {maxDuration: -1s}}}\n"), "expression_invalid", `maxDuration "-1s" is negative`},
		{"nonsense duration", spec(src + dest + "  syncPolicy: {retry: {backoff: {duration: soon}}}\n"), "expression_invalid", `duration "soon" is not a duration; write one such as 5m`},
		{"factor", spec(src + dest + "  syncPolicy: {retry: {backoff: {factor: 0}}}\n"), "out_of_range", "spec.syncPolicy.retry.backoff.factor is 0; it must be 1 or more"},
		{"history", spec(src + dest + "  revisionHistoryLimit: -1\n"), "out_of_range", "spec.revisionHistoryLimit is -1; it must be 0 or more"},
		{"pointer", spec(src + dest + "  ignoreDifferences: [{kind: X, jsonPointers: [spec/replicas]}]\n"), "expression_invalid", `spec.ignoreDifferences[0].jsonPointers[0] "spec/replicas": a JSON pointer starts with "/"`},
		{"jq", spec(src + dest + "  ignoreDifferences: [{kind: X, jqPathExpressions: ['.spec[']}]\n"), "expression_invalid", `spec.ignoreDifferences[0].jqPathExpressions[0] ".spec[": unexpected end at column 7`},
		{"ignore without kind", spec(src + dest + "  ignoreDifferences: [{group: apps}]\n"), "field_missing", "spec.ignoreDifferences[0].kind is missing"},
		{"operation", spec(src+dest) + "operation: {sync: {syncOptions: [X=y]}}\n", "sync_option_unknown", `unknown sync option "X=y"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Application([]byte(c.text))
			expect(t, err, c.code, c.message)
		})
	}
}

func expect(t *testing.T, err error, code, message string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	var list fault.List
	if errors.As(err, &list) && len(list) != 1 {
		t.Fatalf("one problem is wanted, got %d: %v", len(list), list)
	}
	e := fault.As(err)
	if e.Code != code {
		t.Fatalf("code %q (%s), want %q", e.Code, e.Message, code)
	}
	if message != "" && e.Message != message {
		t.Errorf("got  %s\nwant %s", e.Message, message)
	}
	tidy(t, e)
}

// tidy holds what is promised of every message.
func tidy(t *testing.T, e *fault.Error) {
	t.Helper()
	if n := utf8.RuneCountInString(e.Message); n == 0 || n > 300 {
		t.Errorf("message of %d characters: %s", n, e.Message)
	}
	for _, s := range []string{e.Message, e.Found, e.Fix, e.Field, e.Allowed} {
		if strings.Contains(s, "CANARY") {
			t.Errorf("a secret is in %q", s)
		}
		if strings.ContainsAny(s, "\x1b\n\u202e\u200b") {
			t.Errorf("a control character is in %q", s)
		}
		for _, word := range []string{"map[", "*model.", "reflect.", "json:", "yaml:", "panic"} {
			if strings.Contains(s, word) {
				t.Errorf("%q is in %q", word, s)
			}
		}
	}
	if e.Kind != fault.Invalid && e.Kind != fault.TooLarge {
		t.Errorf("kind %s", e.Kind)
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	return b.String()
}

func TestBadProjects(t *testing.T) {
	const head = "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: shop}\nspec:\n"
	for _, c := range []struct {
		name, text, code, message string
	}{
		{"name", "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: 'a,b'}\nspec: {}", "name_invalid", `name "a,b": use 1-63 of a-z, 0-9, "-", starting and ending with a letter or digit`},
		{"unknown field", head + "  sourceRepo: []\n", "unknown_field", `unknown field spec.sourceRepo; did you mean "sourceRepos"?`},
		{"repo pattern", head + "  sourceRepos: ['https://h/[a']\n", "expression_invalid", `spec.sourceRepos[0] "https://h/[a": pattern "https://h/[a" has "[" without "]"`},
		{"destination", head + "  destinations: [{namespace: x}]\n", "destination_invalid", "spec.destinations[0] names no cluster; write name, server or clusterSelector"},
		{"destination pattern", head + "  destinations: [{server: '*', namespace: '{a'}]\n", "expression_invalid", `spec.destinations[0].namespace "{a": pattern "{a" has "{" without "}"`},
		{"kind rule", head + "  clusterResourceWhitelist: [{group: '*'}]\n", "field_missing", "spec.clusterResourceWhitelist[0].kind is missing"},
		{"kind glob", head + "  namespaceResourceBlacklist: [{group: '', kind: '[A'}]\n", "expression_invalid", `spec.namespaceResourceBlacklist[0].kind "[A": a set in it is not closed`},
		{"window schedule", head + "  syncWindows: [{kind: allow, schedule: '* * *', duration: 1h}]\n", "expression_invalid", `spec.syncWindows[0].schedule "* * *": 3 fields, 5 needed`},
		{"window kind", head + "  syncWindows: [{kind: maybe, schedule: '* * * * *', duration: 1h}]\n", "value_unknown", `spec.syncWindows[0].kind is "maybe"; allowed: allow, deny`},
		{"window seconds", head + "  syncWindows: [{kind: allow, schedule: '0 0 22 * * *', duration: 1h}]\n", "expression_invalid", `spec.syncWindows[0].schedule "0 0 22 * * *": 6 fields, 5 needed; there is none for seconds`},
		{"window zone", head + "  syncWindows: [{kind: allow, schedule: '* * * * *', duration: 1h, timeZone: Berlin}]\n", "expression_invalid", `spec.syncWindows[0].timeZone "Berlin" is not a name of the IANA database, as Europe/Berlin or UTC`},
		{"window glob", head + "  syncWindows: [{kind: deny, schedule: '* * * * *', duration: 1h, clusters: [a, '[b']}]\n", "expression_invalid", `spec.syncWindows[0].clusters[1] "[b": pattern "[b" has "[" without "]"`},
		{"window days", head + "  syncWindows: [{kind: deny, schedule: '* * * * *', duration: 1d}]\n", "expression_invalid", `spec.syncWindows[0].duration "1d" is not a duration; write one such as 30m, 8h or 1h30m (a day is 24h)`},
		{"window duration", head + "  syncWindows: [{kind: allow, schedule: '* * * * *'}]\n", "field_missing", "spec.syncWindows[0].duration is missing"},
		{"roles", head + "  roles: [{name: a}, {name: a}]\n", "duplicate_role", `role "a" is there twice`},
		{"account", head + "  destinationServiceAccounts: [{server: '*', defaultServiceAccount: '*'}]\n", "service_account_invalid", `spec.destinationServiceAccounts[0].defaultServiceAccount "*" is not the name of a service account; write name or namespace:name`},
		{"integrity", head + "  sourceIntegrity: {git: {policies: [{repos: [{url: '*'}], gpg: {mode: all, keys: [D56C4FCA57A46444]}}]}}\n", "value_unknown", `spec.sourceIntegrity.git.policies[0].gpg.mode is "all"; allowed: none, head, strict`},
		{"integrity of nothing", head + "  sourceIntegrity: {git: {policies: [{gpg: {mode: none}}]}}\n", "field_missing", "spec.sourceIntegrity.git.policies[0].repos is missing"},
		{"integrity without keys", head + "  sourceIntegrity: {git: {policies: [{repos: [{url: '*'}], gpg: {mode: head}}]}}\n", "field_missing", "spec.sourceIntegrity.git.policies[0].gpg.keys is missing"},
		{"short key", head + "  signatureKeys: [{keyID: 57A46444}]\n", "key_id_invalid", `spec.signatureKeys[0].keyID "57A46444" is no key; write its long ID (16 hexadecimal digits) or its fingerprint (40)`},
		{"key twice", head + "  signatureKeys: [{keyID: D56C4FCA57A46444}, {keyID: d56c4fca57a46444}]\n", "duplicate_key", `spec.signatureKeys[1].keyID: the key "d56c4fca57a46444" is there twice`},
		{"deny every repository", head + "  sourceRepos: ['!*']\n", "expression_invalid", `spec.sourceRepos[0] "!*": it denies every repository`},
		{"empty repository", head + "  sourceRepos: ['']\n", "pattern_empty", `spec.sourceRepos[0] is "" and matches no repository`},
		{"deny every destination", head + "  destinations: [{name: '!*', namespace: '*'}]\n", "expression_invalid", `spec.destinations[0].name "!*": it denies everything`},
		{"selector of everything", head + "  destinations: [{clusterSelector: {}, namespace: '*'}]\n", "selector_invalid", "spec.destinations[0].clusterSelector says nothing, and would select every cluster"},
		{"selector operator", head + "  destinations: [{clusterSelector: {matchExpressions: [{key: env, operator: in, values: [a]}]}, namespace: '*'}]\n", "selector_invalid", `spec.destinations[0].clusterSelector.matchExpressions[0].operator: the operator "in" is unknown; allowed: In, NotIn, Exists, DoesNotExist`},
		{"selector with a glob", head + "  destinations: [{clusterSelector: {matchLabels: {env: 'prod-*'}}, namespace: '*'}]\n", "selector_invalid", `spec.destinations[0].clusterSelector.matchLabels.env: "prod-*" is not the value of a label; write up to 63 letters, digits, "-", "_", "."; globs have no meaning here`},
		{"selector key", head + "  inheritedBy: {matchLabels: {'-a': b}}\n", "selector_invalid", `spec.inheritedBy.matchLabels: "-a" is not the key of a label; write an optional domain and "/", then up to 63 letters, digits, "-", "_", "."`},
		{"limit", head + "  limits: {maxObjects: -1}\n", "out_of_range", "spec.limits.maxObjects is -1; it must be 0 or more"},
		{"sensitive fields of no kind", head + "  sensitiveFields: [{group: '', jsonPointers: [/data/a]}]\n", "field_missing", "spec.sensitiveFields[0].kind is missing"},
		{"sensitive fields of a version", head + "  sensitiveFields: [{group: apps/v1, kind: Deployment, jsonPointers: [/spec/a]}]\n", "expression_invalid", `spec.sensitiveFields[0].group "apps/v1": it has a version`},
		{"sensitive fields of all but some", head + "  sensitiveFields: [{group: '', kind: '!Pod', jsonPointers: [/spec/a]}]\n", "expression_invalid", `spec.sensitiveFields[0].kind "!Pod": "!" has no meaning here`},
		{"sensitive fields without any", head + "  sensitiveFields: [{group: '', kind: ConfigMap}]\n", "field_missing", "spec.sensitiveFields[0].jsonPointers is missing"},
		{"no pointer to a sensitive field", head + "  sensitiveFields: [{group: '', kind: ConfigMap, jsonPointers: [/data/a, data.b]}]\n", "expression_invalid", `spec.sensitiveFields[0].jsonPointers[1] "data.b": a JSON pointer starts with "/"`},
		{"sensitive names", head + "  sensitiveFields: [{group: '*', kind: '*', jsonPointers: [/metadata/*]}]\n", "expression_invalid", `spec.sensitiveFields[0].jsonPointers[0] "/metadata/*": it would hide /metadata/name, by which the object is known`},
		{"too many sensitive fields", head + "  sensitiveFields: [{group: '', kind: ConfigMap, jsonPointers: [" + strings.Repeat("/data/a,", 256) + "/data/a]}]\n", "out_of_range", "spec.sensitiveFields is 257; it must be at most 256 pointers together"},
		{"kind with a version", head + "  clusterResourceWhitelist: [{group: apps/v1, kind: Deployment}]\n", "expression_invalid", `spec.clusterResourceWhitelist[0].group "apps/v1": it has a version`},
		{"kind that denies", head + "  namespaceResourceWhitelist: [{group: '', kind: '!Secret'}]\n", "expression_invalid", `spec.namespaceResourceWhitelist[0].kind "!Secret": "!" has no meaning here`},
		{"orphans", head + "  orphanedResources: {ignore: [{group: '', kind: ConfigMap, name: '[a'}]}\n", "expression_invalid", `spec.orphanedResources.ignore[0].name "[a": pattern "[a" has "[" without "]"`},
		{"orphans of a version", head + "  orphanedResources: {ignore: [{group: apps/v1, kind: Deployment}]}\n", "expression_invalid", `spec.orphanedResources.ignore[0].group "apps/v1": it has a version`},
		{"orphans that are not ignored", head + "  orphanedResources: {ignore: [{group: '', kind: '!Secret'}]}\n", "expression_invalid", `spec.orphanedResources.ignore[0].kind "!Secret": "!" has no meaning here`},
		{"source namespace", head + "  sourceNamespaces: ['{a']\n", "expression_invalid", `spec.sourceNamespaces[0] "{a": pattern "{a" has "{" without "}"`},
		{"account of no server", head + "  destinationServiceAccounts: [{defaultServiceAccount: a}]\n", "field_missing", "spec.destinationServiceAccounts[0].server is missing"},
		{"account that denies", head + "  destinationServiceAccounts: [{server: '!a', defaultServiceAccount: a}]\n", "expression_invalid", `spec.destinationServiceAccounts[0].server "!a": "!" has no meaning here`},
		{"role policy of another project", head + "  roles: [{name: a, policies: ['p, proj:other:a, applications, get, shop/*, allow']}]\n", "role_policy_invalid", `spec.roles[0].policies[0] "p, proj:other:a, applications, get, shop/*, allow": the subject is proj:other:a; it has to be proj:shop:a`},
		{"role policy for other objects", head + "  roles: [{name: a, policies: ['p, proj:shop:a, applications, get, */*, allow']}]\n", "role_policy_invalid", `spec.roles[0].policies[0] "p, proj:shop:a, applications, get, */*, allow": the object is */*; it has to begin with shop/`},
		{"role name", head + "  roles: [{name: 'a b'}]\n", "role_invalid", `spec.roles[0].name is "a b"; use letters, digits, "-" and "_"`},
		{"remote bases", strings.Replace(head, "{name: shop}", "{name: shop, annotations: {hawser.dev/remote-bases: 'true'}}", 1), "annotation_invalid", `annotation hawser.dev/remote-bases is "true"; it can only be "allow"`},
		{"application", "apiVersion: argoproj.io/v1alpha1\nkind: Application\n", "kind_unexpected", "kind is Application; an AppProject is needed here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Project([]byte(c.text))
			expect(t, err, c.code, c.message)
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Application([]byte(head + "spec:\n  project: Bad_One\n  sorce: {}\n  revisionHistoryLimit: many\n" +
		"  destination: {name: a, server: b}\n  syncPolicy: {syncOptions: [x]}\n"))
	var list fault.List
	if !errors.As(err, &list) {
		t.Fatalf("got %T %v", err, err)
	}
	var codes []string
	for _, e := range list {
		codes = append(codes, e.Code)
		tidy(t, e)
	}
	want := "unknown_field type_mismatch name_invalid field_missing destination_invalid sync_option_unknown"
	if got := strings.Join(codes, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAtMostTwentyProblems(t *testing.T) {
	var b strings.Builder
	b.WriteString(spec(src + dest))
	for i := range 100 {
		fmt.Fprintf(&b, "  field%dxyz: 1\n", i)
	}
	_, err := Application([]byte(b.String()))
	var list fault.List
	if !errors.As(err, &list) || len(list) != maxProblems {
		t.Fatalf("got %d problems", len(list))
	}
}

// A text full of mistakes must not cost more than one without.
func TestManyMistakesAreCheap(t *testing.T) {
	var b strings.Builder
	b.WriteString(spec(src + dest))
	for i := range 80_000 {
		fmt.Fprintf(&b, "  automatd%d: 1\n", i)
	}
	start := time.Now()
	if _, err := Application([]byte(b.String())); err == nil {
		t.Fatal("no error")
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestDocumentsTellTheirOwnErrors(t *testing.T) {
	docs, err := Documents([]byte(spec(src+dest) + "---\n" + named("Bad") + "---\nkind: Secret\napiVersion: v1\nmetadata: {name: s}\n---\n5\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) != 4 || docs[0].Err != nil || docs[0].Application == nil {
		t.Fatalf("got %+v", docs)
	}
	if d := docs[1]; d.Err == nil || d.Index != 2 || d.Kind != "Application" || d.Name != "Bad" {
		t.Errorf("got %+v", d)
	}
	expect(t, docs[2].Err, "kind_unsupported", "")
	expect(t, docs[3].Err, "type_mismatch", "line 21: an object is needed, got the number 5")
}

func TestInto(t *testing.T) {
	type body struct {
		Name string            `json:"name"`
		Days int               `json:"days,omitempty"`
		Tags map[string]string `json:"tags,omitempty"`
	}
	var b body
	if err := Into([]byte(`{"name":"x","days":3,"tags":{"a":"b"}}`), &b); err != nil || b.Name != "x" || b.Days != 3 || b.Tags["a"] != "b" {
		t.Errorf("got %+v, %v", b, err)
	}
	var outer struct {
		ID   string `json:"id"`
		body        // its fields are the outer's
	}
	if err := Into([]byte(`{"id":"i","name":"x","days":3}`), &outer); err != nil || outer.ID != "i" || outer.Name != "x" || outer.Days != 3 {
		t.Errorf("got %+v, %v", outer, err)
	}
	expect(t, Into([]byte(`{"nam":"x"}`), &outer), "unknown_field", `unknown field nam; did you mean "name"?`)
	expect(t, Into([]byte(`{"nam":"x"}`), &b), "unknown_field", `unknown field nam; did you mean "name"?`)
	expect(t, Into([]byte(`{"admin":true}`), &b), "unknown_field", "unknown field admin")
	expect(t, Into([]byte(``), &b), "body_missing", "the text is empty; an object is needed")
	expect(t, Into([]byte(`[]`), &b), "type_mismatch", "the document must be an object, got a list")
	expect(t, Into([]byte(`{} {}`), &b), "too_many_documents", "there are 2 documents; one is needed")
}

// What may stand together does.
func TestSourcesOfAllTypes(t *testing.T) {
	for name, text := range map[string]string{
		"helm from Git":       withSource("repoURL: https://h/r, path: a, helm: {valueFiles: [x.yaml, /y.yaml, 'https://h/z.yaml', $ARGOCD_APP_NAME/x.yaml, values-$ARGOCD_APP_NAME.yaml]}"),
		"chart":               withSource("repoURL: https://h/charts, chart: c, targetRevision: '*', helm: {releaseName: x}"),
		"chart of a registry": withSource("repoURL: h.example.com/charts, chart: team/c, targetRevision: 1.2.3"),
		"artifact":            withSource("repoURL: oci://h/manifests, targetRevision: latest"),
		"artifact, a part":    withSource("repoURL: oci://h/manifests, path: a, kustomize: {namePrefix: x}"),
		"jinja":               withSource("repoURL: https://h/r, path: a, jinja: {valueFiles: [../x.yaml], values: 'a: b', valuesObject: {a: b}}"),
		"jinja of a choice":   withSource("repoURL: https://h/r, path: a, jinja: {values: 'a: b'}, directory: {recurse: true}"),
		"plugin":              withSource("repoURL: https://h/r, path: a, plugin: {name: x, env: [{name: A, value: b}], parameters: [{name: p, array: [a]}]}"),
		"several": spec("  sources: [{repoURL: https://h/charts, chart: c, targetRevision: 1.x, helm: {valueFiles: [$values/a.yaml]}}, " +
			"{repoURL: https://h/r, ref: values}, {repoURL: https://h/s, path: j, ref: s, jinja: {valueFiles: [$values/a.yaml, $s/b.yaml]}}]\n" + dest),
	} {
		if _, err := Application([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSourceErrorsNameTheirField(t *testing.T) {
	_, err := Application([]byte(spec("  sources: [{repoURL: https://h/r, path: a, helm: {valueFiles: [x, $nix/x]}}, {repoURL: https://h/r, chart: c, ref: v}, {repoURL: https://h/s, ref: v}]\n" + dest)))
	var list fault.List
	if !errors.As(err, &list) {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, e.Code+" "+e.Field)
		tidy(t, e)
	}
	want := "duplicate_ref spec.sources[2].ref; ref_unknown spec.sources[0].helm.valueFiles[1]; sources_ambiguous spec.sources[1].ref; field_missing spec.sources[1].targetRevision"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestRepoURLs(t *testing.T) {
	for _, ok := range []string{
		"https://github.com/org/repo", "https://github.com/org/repo.git", "http://127.0.0.1:8080/r.git", "ssh://git@h:22/r",
		"git@h:org/r.git", "ssh://git@h:org/r", "https://org@h/r", "oci://registry.example.org/x", "https://[::1]:8443/r",
	} {
		if e := RepoURL("f", ok, false, false); e != nil {
			t.Errorf("%s: %v", ok, e)
		}
	}
	if e := RepoURL("f", "file:///srv/x", false, false); e == nil || e.Code != "repo_scheme_forbidden" {
		t.Errorf("file: %v", e)
	}
	if e := RepoURL("f", "file:///srv/x", false, true); e != nil {
		t.Errorf("file where it is allowed: %v", e)
	}
	if e := RepoURL("f", "registry.example.org/x", true, false); e != nil {
		t.Errorf("chart: %v", e)
	}
}
