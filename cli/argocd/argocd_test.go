package argocd

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/cli/command"
	"github.com/hawser-dev/hawser/shared/wire"
)

var update = flag.Bool("update", false, "write docs/argocd-cli.md")

const page = "../../docs/argocd-cli.md"

func TestPageIsWhatTheParserDoes(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(b), "<!-- table -->\n")
	if !ok {
		t.Fatal("the page has no place for the table")
	}
	want := head + "<!-- table -->\n" + Table()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(b) != want {
		t.Error("docs/argocd-cli.md is not up to date: go test ./cli/argocd -run Page -update")
	}
}

const (
	commit = "0123456789012345678901234567890123456789"
	webApp = `{"uid":"u","name":"web","project":"shop","cluster":"eu","namespace":"n","repoURL":"https://git/x","path":"deploy","targetRevision":"main","freshness":"live","observedAt":"2026-01-02T03:04:05Z",
"desired":{"commit":"` + commit + `"},"sync":{"status":"OutOfSync"},"health":{"status":"Healthy"},"revision":"` + commit + `",
"operation":{"id":"op-1","kind":"sync","phase":"Succeeded","message":"done","spec":{"prune":true},"finishedAt":"2026-01-02T03:04:05Z","result":{"revision":"` + commit + `","resources":[{"kind":"Service","name":"s","status":"Configured"}]}},
"conditions":[{"type":"SyncError","message":"look\u001b[2J"}],
"resources":[{"group":"apps","kind":"Deployment","namespace":"n","name":"web","version":"v1","sync":{"status":"OutOfSync"},"health":{"status":"Healthy"},"differences":[{"path":".spec.replicas","live":"1","desired":"2"}]}],
"history":[{"id":7,"revision":"` + commit + `","deployedAt":"2026-01-02T03:04:05Z","initiatedBy":"ana"}],
"application":{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"web","resourceVersion":"4"},"spec":{"project":"shop","source":{"repoURL":"https://git/x","path":"deploy"},"destination":{"name":"eu","namespace":"n"},"syncPolicy":{"automated":{"prune":true}}}}}`
	op      = `{"id":"op-1","app":"web","kind":"sync","phase":"Succeeded","message":"done","spec":{}}`
	project = `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{"description":"the shop","sourceRepos":["a","b"],"destinations":[{"name":"eu","namespace":"n"}],"roles":[{"name":"dev","description":"all"}],"syncWindows":[{"kind":"allow","schedule":"* * * * *","duration":"1h"}]}}`
	cluster = `{"id":"c","name":"eu","aliases":["https://eu:6443"],"connected":true,"kubeVersion":"v1.37.2","labels":{"a":"b"}}`
)

// fake is a hub with canned answers; it remembers what it was asked.
type fake struct {
	mu    sync.Mutex
	asked []string
	// first answers before the canned answers do; it reports whether it did.
	first func(w http.ResponseWriter, r *http.Request) bool
	pin   string
	host  string
}

const roleToken = `{"id":"rt1","subject":"proj:shop:dev","project":"shop","role":"dev","name":"build","createdBy":"ana","createdAt":"2026-01-31T12:00:00Z","expiresAt":"2026-02-01T12:00:00Z"}`

var answers = map[string]string{
	"GET /applications": `{"items":[` + webApp + `]}`, "GET /applications/web": webApp, "PUT /applications/web": webApp, "PUT /applications/new": webApp,
	"GET /applications/web/tree":  `{"nodes":[{"kind":"Pod","name":"p","uid":"1","images":["nginx:1","nginx:1"]}]}`,
	"POST /applications/web/sync": op, "POST /applications/web/rollback": op, "POST /applications/web/terminate": op, "DELETE /applications/web": op, "GET /operations/op-1": op,
	"POST /applications/web/refresh": `{}`, "GET /applications/web/resource-actions": `{"items":[{"name":"restart"}]}`, "POST /applications/web/actions": op,
	"GET /applications/web/manifests": `{"items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"}}]}`,
	"GET /applications/web/resources": `{"items":[{"group":"apps","kind":"Deployment","namespace":"n","name":"web"}],"orphaned":[{"kind":"Secret","namespace":"n","name":"left"}],"orphanedTotal":1,"state":"s"}`,
	"POST /applications/web/compare":  `{"from":{"commit":"a"},"to":{"commit":"b"},"items":[{"kind":"Service","name":"s","status":"Created"}]}`,
	"GET /applications/web/logs":      `{"end":null}` + "\n",
	"GET /applications/web/resource":  `{"metadata":{"uid":"u-1"}}`, "DELETE /applications/web/resource": op,
	"GET /projects": `{"items":[` + project + `]}`, "GET /projects/shop": project, "PUT /projects/shop": project, "PUT /projects/new": project, "DELETE /projects/shop": ``,
	"POST /projects/shop/roles/dev/tokens": `{"token":"hwr_x",` + roleToken[1:], "GET /projects/shop/roles/dev/tokens": `{"items":[` + roleToken + `]}`, "DELETE /projects/shop/roles/dev/tokens/rt1": ``,
	"GET /repositories": `{"items":[{"id":"r1","url":"https://git/x","type":"git","name":"x","state":"ok"}]}`, "POST /repositories": `{"url":"https://git/x"}`, "DELETE /repositories/r1": ``,
	"GET /repository-templates": `{"items":[{"id":"t1","url":"https://git"}]}`, "POST /repository-templates": `{"url":"https://git"}`, "DELETE /repository-templates/t1": ``,
	"GET /clusters": `{"items":[` + cluster + `]}`, "PUT /clusters/eu/labels": cluster, "DELETE /clusters/eu": ``,
	"GET /whoami": `{"name":"ana"}`, "GET /version": `{"version":"9.9.9"}`, "POST /explain": `{"allowed":false}`, "POST /login": `{"token":"hwt_x"}`,
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api/v1")
	if f.first != nil && f.first(w, r) {
		return
	}
	if path == "/events" {
		_, _ = io.WriteString(w, "event: hello\ndata: {}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.asked = append(f.asked, strings.TrimSpace(r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), "/api/v1")+" "+string(body)))
	f.mu.Unlock()
	a, ok := answers[r.Method+" "+path]
	if !ok || r.Header.Get("Authorization") != "Bearer hwt_x" && path != "/login" {
		w.WriteHeader(http.StatusNotFound)
		a = `{"kind":"not_found","code":"application_not_found","detail":"there is nothing at ` + path + `"}`
	}
	_, _ = io.WriteString(w, a)
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{}
	srv := httptest.NewTLSServer(f)
	t.Cleanup(srv.Close)
	f.pin, f.host = wire.CAHash(srv.Certificate()), strings.TrimPrefix(srv.URL, "https://")
	for k, v := range map[string]string{"HAWSER_CONFIG": t.TempDir() + "/config.yaml", "HAWSER_CA_HASH": wire.CAHash(srv.Certificate()), "HAWSER_TOKEN": "", "HAWSER_HUB": "", "HAWSER_CONTEXT": "",
		"ARGOCD_SERVER": strings.TrimPrefix(srv.URL, "https://"), "ARGOCD_AUTH_TOKEN": "hwt_x", "ARGOCD_OPTS": ""} {
		t.Setenv(k, v)
	}
	return f
}

func run(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Main(t.Context(), args, command.Streams{In: strings.NewReader(""), Out: &o, Err: &e, Program: "argocd"})
	return code, o.String(), e.String()
}

// The rows of the mapping that are the same, with Argo CD's flags.
func TestSameRows(t *testing.T) {
	for _, c := range []struct {
		args       string
		code       int
		out, asked string
	}{
		{args: "app list -p shop -c eu -l a=b -o wide", out: "NAME        CLUSTER  NAMESPACE  PROJECT  STATUS     HEALTH   SYNCPOLICY  CONDITIONS  REPO           PATH    TARGET\nargocd/web  eu ", asked: "GET /applications?cluster=eu&facets=none&fields=uid%2Cname%2Cproject%2Ccluster%2Cnamespace%2CrepoURL%2Cpath%2CtargetRevision%2CautoSync%2Csync%2Chealth%2Cconditions%2Capplication&limit=500&selector=a%3Db"},
		{args: "app list -o name", out: "argocd/web\n"},
		{args: "app list -p other -o name"},
		{args: "app get argocd/web --refresh", out: "Sync Status:        OutOfSync from main (0123456)\n", asked: "POST /applications/web/refresh"},
		{args: "app get web --hard-refresh", out: "GROUP  KIND        NAMESPACE  NAME  STATUS     HEALTH   HOOK  MESSAGE\n", asked: "refresh?hard=true"},
		{args: "app get nix", code: 20},
		{args: "app create new --repo https://git/x --path p --dest-server https://eu:6443 --dest-namespace n --project shop --sync-policy automated --upsert -p a=b", asked: "PUT /applications/new"},
		{args: "app set web --revision v2 --kustomize-image web:v2", asked: `"targetRevision":"v2"`},
		{args: "app unset web --nameprefix", asked: "GET /applications/web"},
		{args: `app patch web --type merge --patch {"spec":{"source":{"path":"q"}}}`, asked: `"path":"q"`},
		{args: "app diff web", code: 1, out: "~ apps/Deployment"},
		{args: "app diff web --exit-code=false", out: "~ apps/Deployment"},
		{args: "app diff web --diff-exit-code 7", code: 7, out: "~"},
		{args: "app diff web --revision v2", code: 1, out: "+ Service", asked: "compare?revision=v2"},
		{args: "app diff nix", code: 20},
		{args: "app sync web --prune --dry-run --resource apps:Deployment:web --timeout 60", out: "Name:               argocd/web\n", asked: `"prune":true,"dryRun":true,"resources":["apps:Deployment:web"]`},
		{args: "app wait web --operation --timeout 60", out: "Health Status:      Healthy\n"},
		{args: "app wait web --sync --timeout 1", code: 20},
		{args: "app history web", out: "ID  DATE                           REVISION\n7   2026-01-02 03:04:05 +0000 UTC  main (0123456)\n"},
		{args: "app history web -o id", out: "7\n"},
		{args: "app rollback web 7 --prune", out: "Succeeded", asked: `POST /applications/web/rollback {"historyID":7,"prune":true}`},
		{args: "app logs web --tail 3 --filter a.b --since-seconds 60 -c c", asked: `grep=a%5C.b&since=1m0s&tail=3`},
		{args: "app manifests web --source live", out: "kind: Service", asked: "manifests?source=live"},
		{args: "app resources web", out: "GROUP  KIND        NAMESPACE  NAME  ORPHANED\napps   Deployment  n          web   No\n       Secret      n          left  Yes\n", asked: "GET /applications/web/resources?orphaned=true"},
		{args: "app resources web --orphaned", out: "GROUP  KIND    NAMESPACE  NAME  ORPHANED\n       Secret  n          left  Yes\n", asked: "GET /applications/web/resources?orphaned=true"},
		{args: "app actions list web --kind Deployment", out: "restart"},
		{args: "app actions run web restart --kind Deployment --resource-name web", out: "Succeeded", asked: `"action":"restart"`},
		{args: "app delete-resource web --kind Deployment --resource-name web --orphan --force", out: "Succeeded",
			asked: `DELETE /applications/web/resource?force=true&group=apps&kind=Deployment&`},
		{args: "app terminate-op web", out: "Succeeded", asked: "POST /applications/web/terminate"},
		{args: "app delete web -y --cascade=false", asked: "DELETE /applications/web?cascade=false"},
		{args: "app delete web -y", asked: "DELETE /applications/web?cascade=true"},
		{args: "proj list", out: "NAME  DESCRIPTION  DESTINATIONS  SOURCES  "},
		{args: "proj get shop -o json", out: `"description": "the shop"`},
		{args: "proj create new -s https://git/* -d eu,n --description d --allow-cluster-resource */Namespace", asked: `"clusterResourceWhitelist":[{"group":"*","kind":"Namespace"}]`},
		{args: "proj set shop --src c", asked: `"sourceRepos":["c"]`},
		{args: "proj add-source shop c", asked: `"sourceRepos":["a","b","c"]`},
		{args: "proj add-source shop a", out: "Source repository 'a' already allowed in project\n"},
		{args: "proj remove-source shop z", out: "Source repository 'z' does not exist in project\n"},
		{args: "proj add-source-namespace shop apps", asked: `"sourceNamespaces":["apps"]`},
		{args: "proj remove-source-namespace shop apps", out: "does not exist in project"},
		{args: "proj add-signature-key shop ABCDEF1234567890", asked: `"signatureKeys":[{"keyID":"ABCDEF1234567890"}]`},
		{args: "proj remove-signature-key shop ABCDEF1234567890", code: 20},
		{args: "proj add-orphaned-ignore shop apps Deployment --name x-*", asked: `"orphanedResources":{"ignore":[{"group":"apps","kind":"Deployment","name":"x-*"}]}`},
		{args: "proj remove-orphaned-ignore shop apps Deployment", code: 20},
		{args: "proj add-destination-service-account shop https://x n sa --service-account-namespace ns", asked: `"destinationServiceAccounts":[{"server":"https://x","namespace":"n","defaultServiceAccount":"ns:sa"}]`},
		{args: "proj set shop --dest-service-accounts https://x,n,sa --signature-keys A,B --source-namespaces a,b", asked: `"sourceNamespaces":["a","b"]`},
		{args: "proj set shop", code: 20},
		{args: "proj create", code: 20},
		{args: "proj create -f -", code: 20}, // an empty input
		{args: "proj create -f testdata/project.yaml", asked: `PUT /projects/new {"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"new","namespace":"argocd"},"spec":{"description":"of a file"`},
		{args: "proj create other -f testdata/project.yaml", code: 20},
		{args: "proj get shop", out: "Destinations:                eu,n\nRepositories:                a\n                             b\n"},
		{args: "proj remove-source shop a", asked: `"sourceRepos":["b"]`},
		{args: "proj add-destination shop https://x m", asked: `{"server":"https://x","namespace":"m"}`},
		{args: "proj remove-destination shop eu n", asked: `PUT /projects/shop`},
		{args: "proj allow-cluster-resource shop * Namespace", asked: `"clusterResourceWhitelist":[{"group":"*","kind":"Namespace"}]`},
		{args: "proj allow-cluster-resource shop * Namespace", out: "Group '*' and kind 'Namespace' is added to allowed cluster resources\n"},
		{args: "proj deny-cluster-resource shop * Namespace", out: "Group '*' and kind 'Namespace' not in allowed cluster resources\n"},
		{args: "proj deny-cluster-resource shop * Namespace -l black", asked: `"clusterResourceBlacklist":[{"group":"*","kind":"Namespace"}]`},
		{args: "proj deny-namespace-resource shop apps Deployment", asked: `"namespaceResourceBlacklist":[{"group":"apps","kind":"Deployment"}]`},
		{args: "proj allow-namespace-resource shop apps Deployment --list allow", asked: `"namespaceResourceWhitelist":[{"group":"apps","kind":"Deployment"}]`},
		{args: "proj windows list shop", out: "0   allow  * * * * *  1h "},
		{args: "proj windows add shop -k deny --schedule 1 --duration 2h --applications x,y-* --applications z", asked: `"kind":"deny","schedule":"1","duration":"2h","applications":["x","y-*","z"],"timeZone":"UTC"`},
		{args: "proj windows update shop 0 --duration 3h --clusters a,b", asked: `{"kind":"allow","schedule":"* * * * *","duration":"3h","clusters":["a","b"]}`},
		{args: "proj windows enable-manual-sync shop 0", asked: `"duration":"1h","manualSync":true}`},
		{args: "proj windows disable-manual-sync shop 1", code: 20},
		{args: "proj windows delete shop 0", asked: "PUT /projects/shop"},
		{args: "proj windows delete shop 9", code: 20},
		{args: "proj role list shop", out: "dev        all\n"},
		{args: "proj role get shop dev", out: "Role Name:     dev\nDescription:   all\n"},
		{args: "proj role get shop nix", code: 20},
		{args: "proj role create shop ops --description d", out: "Role 'ops' created\n", asked: `{"name":"ops","description":"d"}`},
		{args: "proj role create shop dev", out: "Role 'dev' already exists\n"},
		{args: "proj role delete shop dev", out: "Role 'dev' deleted\n", asked: "PUT /projects/shop"},
		{args: "proj role add-policy shop dev -a sync -o web-*", asked: `"policies":["p, proj:shop:dev, applications, sync, shop/web-*, allow"]`},
		{args: "proj role remove-policy shop dev -a sync -o *", out: "does not exist in the role"},
		{args: "proj role add-group shop dev team", asked: `"groups":["team"]`},
		{args: "proj role create-token shop dev -e 12h --id build", out: "Create token succeeded for proj:shop:dev.\n  ID: build\n", asked: `POST /projects/shop/roles/dev/tokens {"name":"build","ttl":"12h0m0s"}`},
		{args: "proj role create-token shop dev -t -e 7d", out: "hwr_x\n", asked: `{"ttl":"168h0m0s"}`},
		{args: "proj role create-token shop dev -t", out: "hwr_x\n", asked: "POST /projects/shop/roles/dev/tokens {}"},
		{args: "proj role create-token shop dev -e soon", code: 20},
		{args: "proj role create-token shop nix", code: 20},
		{args: "proj role list-tokens shop dev", out: "ID     ISSUED AT             EXPIRES AT\nbuild  2026-01-31T12:00:00Z  2026-02-01T12:00:00Z\n"},
		{args: "proj role list-tokens -u shop dev", out: "build  1769860800  1769947200\n"},
		{args: "proj role delete-token shop dev 1769860800", asked: "DELETE /projects/shop/roles/dev/tokens/rt1"},
		{args: "proj role delete-token shop dev rt1", asked: "DELETE /projects/shop/roles/dev/tokens/rt1"},
		{args: "proj role delete-token shop dev 1", code: 20},
		{args: "proj edit nix", code: 20},
		{args: "proj delete shop", asked: "DELETE /projects/shop"},
		{args: "repo add https://git/x --username u --password CANARY", asked: `"password":"CANARY"`},
		{args: "repo list", out: "git   x     https://git/x  false     false  false  false  Successful"},
		{args: "repo get https://git/x", out: "https://git/x"},
		{args: "repo get https://git/x.git -o url", out: "https://git/x\n"},
		{args: "repo get https://git/nix", code: 20},
		{args: "repo rm https://git/x", asked: "DELETE /repositories/r1"},
		{args: "repocreds add https://git --username u --password p", asked: "POST /repository-templates"},
		{args: "repocreds list", out: "https://git"},
		{args: "repocreds rm https://git", asked: "DELETE /repository-templates/t1"},
		{args: "cluster list", out: "https://eu:6443  eu    v1.37.2  Successful"},
		{args: "cluster get https://eu:6443", out: "name: eu\n"},
		{args: "cluster get eu https://eu:6443 -o server", out: "https://eu:6443\nhttps://eu:6443\n"},
		{args: "cluster rm eu https://eu:6443", out: "Cluster 'eu' removed\nCluster 'https://eu:6443' removed\n"},
		{args: "app delete web argocd/nix -y", code: 20, asked: "GET /applications/nix"},
		{args: "repo rm https://git/x https://git/nix", code: 20, asked: "DELETE /repositories/r1"},
		{args: "cluster set eu --label c=d", asked: `{"labels":{"a":"b","c":"d"}}`},
		{args: "cluster rm eu", out: "removed", asked: "DELETE /clusters/eu"},
		{args: "cluster add ctx", code: 20},
		{args: "context", out: "CURRENT  NAME  SERVER\n"},
		{args: "logout nix", code: 20},
		{args: "relogin", code: 20},
		{args: "account can-i sync applications shop/web", out: "no\n", asked: `POST /explain {"name":"web","verb":"sync"}`},
		{args: "account can-i sync applications *", out: "no\n", asked: `POST /explain {"project":"shop","verb":"sync"}`},
		{args: "app get web -o tree", out: "Pod", asked: "GET /applications/web/tree"},
		{args: "account get-user-info", out: "Username: ana\n"},
		{args: "version", out: "argocd-server: 9.9.9\n"},
		{args: "app edit nix", code: 20},
		{args: "app frobnicate", code: 20},
		{args: "app sync web --local .", code: 20},
	} {
		t.Run(c.args, func(t *testing.T) {
			hub := newFake(t)
			code, out, errs := run(t, strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out, c.out) || strings.Contains(out, "\x1b") {
				t.Errorf("exit status %d, want %d; stdout\n%s\nstderr\n%s", code, c.code, out, errs)
			}
			if asked := strings.Join(hub.asked, "\n"); !strings.Contains(asked, c.asked) {
				t.Errorf("the hub was asked\n%s", asked)
			}
		})
	}
}

// A script whose command does not exist here does not go on as if it did.
func TestUnknownCommandsFail(t *testing.T) {
	for args, want := range map[string]string{
		"app lst":                          "argocd app lst does not exist here\n  fix: did you mean argocd app list?",
		"ap list":                          "did you mean argocd app?",
		"proj foo":                         "hawser apply -f p.yaml",
		"proj role foo shop dev":           "hawser project role",
		"proj windows open shop 0":         "fix: hawser project window\n",
		"account list":                     "hawser token list",
		"account generate-token --id x":    "hawser token create",
		"repo foo":                         "fix: see argocd repo --help",
		"admin export -n argocd":           "hawser export --format argocd",
		"admin":                            "hawser doctor",
		"appset list":                      "hawser appset",
		"configure --prompts-enabled":      "see argocd --help",
		"--server h cluster rotate-auth x": "could be rotated",
	} {
		t.Run(args, func(t *testing.T) {
			hub := newFake(t)
			code, out, errs := run(t, strings.Fields(args)...)
			if code != ExitError || out != "" || !strings.HasPrefix(errs, "FATA[0000] argocd ") || !strings.Contains(errs, want) || len(hub.asked) > 0 {
				t.Errorf("exit status %d, stdout %q, stderr %q; the hub was asked %q", code, out, errs, hub.asked)
			}
		})
	}
	for _, args := range []string{"", "app", "app help", "app --help", "help app", "proj role"} {
		if code, out, errs := run(t, strings.Fields(args)...); code != 0 || !strings.Contains(out, "Usage:") {
			t.Errorf("%q: exit status %d, %q %q", args, code, out, errs)
		}
	}
}

// Nothing is known of an application whose newest revision cannot be rendered, whatever
// still runs.
func TestWhatCannotBeRenderedIsUnknown(t *testing.T) {
	hub := newFake(t)
	broken := strings.NewReplacer(`"conditions":[`, `"conditions":[{"type":"ComparisonError","code":"yaml_invalid","message":"a.yaml:4: a tab","revision":"fedcba9876543210","since":"2026-01-02T03:04:05Z"},`,
		`"sync":{"status":"OutOfSync"},"health"`, `"sync":{"status":"Synced"},"health"`).Replace(webApp)
	hub.first = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/api/v1/applications/web" {
			_, _ = io.WriteString(w, broken)
			return true
		}
		return false
	}
	for args, want := range map[string]string{
		"app get web":         "Sync Status:        Unknown to main (fedcba9)\n",
		"app get web -o json": `"status": "Unknown"`,
	} {
		if code, out, errs := run(t, strings.Fields(args)...); code != 0 || !strings.Contains(out, want) || !strings.Contains(out, "a.yaml:4: a tab") {
			t.Errorf("%s: exit status %d, %s %s", args, code, out, errs)
		}
	}
	broken = strings.Replace(broken, `"desired":{`, `"pin":{"historyID":7},"desired":{`, 1)
	if _, out, _ := run(t, "app", "get", "web"); !strings.Contains(out, "Sync Status:        Synced to main") {
		t.Errorf("what a rollback went back to: %s", out)
	}
}

func TestHarmlessFlagsWarn(t *testing.T) {
	newFake(t)
	t.Setenv("ARGOCD_OPTS", "--grpc-web --plaintext")
	code, out, errs := run(t, "app", "get", "web", "--insecure", "--loglevel", "debug", "-N", "argocd")
	if code != 0 || !strings.Contains(out, "argocd/web") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	for _, name := range []string{"grpc-web", "plaintext", "insecure", "loglevel", "app-namespace"} {
		if !strings.Contains(errs, "WARN[0000] --"+name+" has no effect") {
			t.Errorf("no warning about %s: %s", name, errs)
		}
	}
}

func TestAnApplicationHasArgosShape(t *testing.T) {
	newFake(t)
	_, out, _ := run(t, "app", "get", "web", "-o", "json")
	var got struct {
		Kind     string
		Metadata struct{ Name, Namespace string }
		Spec     struct{ Project string }
		Status   struct {
			Sync           struct{ Status, Revision string }
			Health         struct{ Status string }
			Resources      []struct{ Group, Kind, Status string }
			OperationState struct {
				Phase      string
				SyncResult struct {
					Revision  string
					Resources []struct{ Status string }
				}
			}
			History    []struct{ ID int }
			Conditions []struct{ Type string }
			Summary    struct{ Images []string }
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := got.Status
	if got.Kind != "Application" || got.Metadata.Namespace != "argocd" || got.Spec.Project != "shop" || s.Sync.Status != "OutOfSync" || s.Sync.Revision != commit || s.Health.Status != "Healthy" ||
		len(s.Resources) != 1 || s.Resources[0].Status != "OutOfSync" || s.OperationState.Phase != "Succeeded" || s.OperationState.SyncResult.Resources[0].Status != "Synced" ||
		s.History[0].ID != 7 || s.Conditions[0].Type != "SyncError" || !slices.Equal(s.Summary.Images, []string{"nginx:1"}) {
		t.Errorf("got %s", fmt.Sprintf("%+v", got))
	}
}
