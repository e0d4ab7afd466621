package api

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// Every line that is written for a request has its id once, and that of the request
// says what its path names; that of an operation says where it belongs.
func TestLinesOfTheLogSayWhatTheyAreAbout(t *testing.T) {
	w := newWorld(t)
	body := `{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"web"},"spec":{"project":"shop","source":{"repoURL":"https://github.com/shop/web","path":"."},"destination":{"name":"eu","namespace":"shop-a"}}}`
	w.call("PUT", "/api/v1/applications/web", body)
	var op model.OperationInfo
	w.call("POST", "/api/v1/applications/web/sync", "", "X-Request-Id: of-the-sync").ok(202).into(&op)
	w.call("GET", "/api/v1/operations/"+string(op.ID), "", "X-Request-Id: of-the-operation").ok(200)
	w.call("GET", "/api/v1/projects/shop", "", "X-Request-Id: of-the-project").ok(200)
	w.call("GET", "/api/v1/clusters/eu", "", "X-Request-Id: of-the-cluster").ok(200)
	w.call("POST", "/api/v1/applications/"+strings.Repeat("x", 1000)+"/sync", "", "X-Request-Id: of-nothing")

	id := regexp.MustCompile(` request=(\S+)`)
	lines := map[string][]string{}
	for line := range strings.Lines(w.logged()) {
		found := id.FindAllStringSubmatch(line, -1)
		if len(found) > 1 {
			t.Errorf("two ids of requests: %s", line)
		}
		if len(found) == 1 {
			lines[found[0][1]] = append(lines[found[0][1]], line)
		}
	}
	for request, wanted := range map[string][]string{
		"of-the-sync":      {"msg=request", " application=web ", " msg=\"operation accepted\"", " project=shop ", " cluster=id-eu ", " by=ana", " operation=" + string(op.ID)},
		"of-the-operation": {"msg=request", " operation=" + string(op.ID)},
		"of-the-project":   {"msg=request", " project=shop "},
		"of-the-cluster":   {"msg=request", " cluster_name=eu "},
		"of-nothing":       {"msg=request", " application=" + strings.Repeat("x", 97) + "... "},
	} {
		all := strings.Join(lines[request], "")
		for _, want := range wanted {
			if !strings.Contains(all, want) {
				t.Errorf("%s: no %q in\n%s", request, want, all)
			}
		}
	}
}
