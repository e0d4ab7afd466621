package observe

import (
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// What a cluster says that it serves, in each of the forms, also of servers behind it
// that are not its own: nothing of it leads a request out of its own place, and no
// kind is without a version.
func FuzzDiscovery(f *testing.F) {
	for _, s := range []string{
		`{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":"apps"},"versions":[{"version":"v1","resources":[{"resource":"deployments","scope":"Namespaced","responseKind":{"group":"apps","version":"v1","kind":"Deployment"},"verbs":["list","watch"]}]},{"version":"v2","freshness":"Stale"}]}]}`,
		`{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":"x"},"versions":[{"version":"..","resources":[{"resource":"../../api/v1/secrets","responseKind":{"kind":"Y"}}]}]}]}`,
		`{"kind":"APIGroupDiscoveryList","items":[{"versions":[{"version":"v1","resources":[{"resource":"pods","responseKind":{"kind":"Pod"},"verbs":null}]}]},null]}`,
		`{"kind":"APIResourceList","resources":[{"name":"pods","namespaced":true,"kind":"Pod","verbs":["get","list","watch"]},{"name":"pods/log","kind":"Pod"},{"name":"..","kind":"Z"},{"name":"","kind":"Y"}]}`,
		`{"kind":"APIGroupList","groups":[{"name":"apps","versions":[{"version":"v1"},{"version":"v1beta1"}],"preferredVersion":{"version":"v1"}},{"name":"a/b","versions":[{"version":"v1"}]}]}`,
		`{"kind":"APIVersions","versions":["v1","../v1",""]}`, `null`, `[]`, ``, `{"kind":"APIGroupDiscoveryList","items":{}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var all []groupVersion
		if gvs, ok, err := parseAggregated(body); err == nil && ok {
			all = append(all, gvs...)
		}
		if gv, err := parseResourceList("apps", "v1", body); err == nil {
			all = append(all, gv)
		}
		for _, parse := range []func([]byte) ([]groupVersion, error){parseGroups, parseCoreVersions} {
			gvs, err := parse(body)
			if err == nil {
				all = append(all, gvs...)
			}
		}
		bad := func(word string) bool {
			return slices.Contains([]string{"", ".", ".."}, word) || strings.Contains(word, "/")
		}
		for _, gv := range all {
			if bad(gv.version) || gv.group != "" && bad(gv.group) {
				t.Fatalf("%q serves %q of group %q", body, gv.version, gv.group)
			}
		}
		before := build([]groupVersion{{group: "apps", version: "v1", resources: []resource{{kind: model.GroupKind{Group: "apps", Kind: "Deployment"}, name: "deployments"}}}}, nil)
		c := build(all, before)
		for _, k := range c.sorted() {
			if k.Kind == "" || bad(k.Resource) || bad(k.Version) || !slices.Contains(k.Versions, k.Version) {
				t.Fatalf("%q serves %+v", body, k)
			}
		}
		if _, known := c.kinds[model.GroupKind{Group: "apps", Kind: "Deployment"}]; c.failed["apps"] != "" && !known {
			t.Fatalf("%q: a group that does not answer lost its kinds", body)
		}
		if again := build(all, before); !c.equal(again) || !again.equal(c) {
			t.Fatalf("%q is read in two ways", body)
		}
	})
}

// A refusal of whatever server is told in few words, and is no way to have a kind
// watched never again.
func FuzzStatus(f *testing.F) {
	for _, s := range []string{
		`{"kind":"Status","code":429,"reason":"TooManyRequests","message":"slow down","details":{"retryAfterSeconds":3}}`,
		`{"kind":"Status","code":-1,"details":{"retryAfterSeconds":9223372036}}`, `{"kind":"Status","details":{"retryAfterSeconds":-5}}`,
		`{"kind":"Status","message":"` + strings.Repeat("é", 700) + `"}`, `<html>`, ``,
	} {
		f.Add(503, []byte(s))
	}
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		e := parseStatus(code, body)
		if e.retryAfter < 0 || e.retryAfter > maxRetryAfter || len(e.Error()) > maxReason+len("…") {
			t.Fatalf("%q: %s, %d bytes", body, e.retryAfter, len(e.Error()))
		}
	})
}
