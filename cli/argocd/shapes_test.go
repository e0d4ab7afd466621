package argocd

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/itchyny/gojq"
)

// What scripts take out of Argo CD's answers with jq.
func TestWhatScriptsReadIsWhereArgoCDHasIt(t *testing.T) {
	for _, c := range []struct{ args, path, want string }{
		{"app get web -o json", ".status.sync.status", "OutOfSync"},
		{"app get web -o json", ".status.sync.revision", commit},
		{"app get web -o json", ".status.health.status", "Healthy"},
		{"app get web -o json", ".status.operationState.phase", "Succeeded"},
		{"app get web -o json", ".status.operationState.syncResult.revision", commit},
		{"app get web -o json", ".status.operationState.syncResult.resources[0].status", "Synced"},
		{"app get web -o json", `.status.resources[] | select(.kind=="Deployment") | .status + " " + .health.status + " " + .namespace`, "OutOfSync Healthy n"},
		{"app get web -o json", ".status.summary.images[0]", "nginx:1"},
		{"app get web -o json", ".status.history[-1].revision", commit},
		{"app get web -o json", ".status.conditions[0].type", "SyncError"},
		{"app get web -o json", ".spec.source.repoURL", "https://git/x"},
		{"app get web -o json", ".spec.destination.namespace", "n"},
		{"app get web -o json", ".spec.project", "shop"},
		{"app get web -o json", ".metadata.name", "web"},
		{"app list -o json", ".[] | .metadata.name", "web"},
		{"app list -o json", `map(select(.status.sync.status != "Synced")) | length`, "1"},
		{"app history web -o json", ".[0].id", "7"},
		{"proj list -o json", ".[].metadata.name", "shop"},
		{"proj get shop -o json", ".spec.sourceRepos[1]", "b"},
		{"proj get shop -o json", ".spec.destinations[0].namespace", "n"},
		{"proj role list shop -o json", ".[0].name", "dev"},
		{"proj windows list shop -o json", ".[0].kind", "allow"},
		{"repo list -o json", ".[].repo", "https://git/x"},
		{"repo list -o json", ".[].connectionState.status", "Successful"},
		{"repo list -o json", `.[] | .type + " " + .name`, "git x"},
		{"repo get https://git/x -o json", `.repo + " " + .connectionState.status`, "https://git/x Successful"},
		{"cluster list -o json", `.[] | select(.name=="eu") | .server`, "https://eu:6443"},
		{"cluster list -o json", ".[0].connectionState.status", "Successful"},
		{"cluster list -o json", ".[0].config.tlsClientConfig.insecure", "false"},
		{"cluster get eu -o json", ".server", "https://eu:6443"},
		{"cluster get eu -o json", ".serverVersion", "v1.37.2"},
		{"cluster get eu -o json", ".info.connectionState.status", "Successful"},
		{"cluster get eu -o json", ".info.serverVersion", "v1.37.2"},
		{"cluster get eu -o json", ".info.applicationsCount", "0"},
		{"cluster get eu -o json", ".labels.a", "b"},
		{"cluster get eu eu -o json", "length", "2"},
		{"version -o json", ".server.Version", "9.9.9"},
		{"account get-user-info -o json", ".username", "ana"},
		{"account get-user-info -o json", ".loggedIn", "true"},
	} {
		newFake(t)
		code, out, errs := run(t, strings.Fields(c.args)...)
		var v any
		if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 {
			t.Errorf("%s: exit status %d, %v\n%s%s", c.args, code, err, out, errs)
			continue
		}
		q, err := gojq.Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := q.Run(v).Next(); fmt.Sprint(got) != c.want {
			t.Errorf("%s | jq '%s' is %v, want %s, in\n%s", c.args, c.path, got, c.want, out)
		}
	}
}

// Every page of a list is read.
func TestListsAreReadToTheirEnd(t *testing.T) {
	for args, row := range map[string]string{"proj list -o name": `{"metadata":{"name":"p%d"}}`, "repo list -o url": `{"url":"p%d"}`, "cluster list -o server": `{"name":"p%d"}`, "cluster get p2 -o server": `{"name":"p%d"}`} {
		hub := newFake(t)
		hub.first = func(w http.ResponseWriter, r *http.Request) bool {
			page := 0
			_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &page)
			next := ""
			if page < 2 {
				next = fmt.Sprintf(`"nextCursor":"%d",`, page+1)
			}
			_, _ = io.WriteString(w, `{`+next+`"items":[`+fmt.Sprintf(row, page)+`]}`)
			return true
		}
		code, out, errs := run(t, strings.Fields(args)...)
		want := []string{"p0", "p1", "p2"}
		if strings.Contains(args, "get") {
			want = want[2:]
		}
		if code != 0 || !slices.Equal(strings.Fields(out), want) {
			t.Errorf("%s: exit status %d: %s%s", args, code, out, errs)
		}
	}
	hub := newFake(t)
	hub.first = func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.WriteString(w, `{"nextCursor":"a","items":[]}`)
		return true
	}
	if code, _, errs := run(t, "cluster", "list"); code != ExitError || !strings.Contains(errs, "same page of clusters") {
		t.Errorf("%d %s", code, errs)
	}
}
