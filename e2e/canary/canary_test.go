package canary

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/e2e/canary/search"
	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/api"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

const patience = 90 * time.Second

// world is the programs, what was planted in them and what they said.
type world struct {
	*rig.Rig
	t        *testing.T
	eu       *rig.Cluster
	kube     *kubernetes.Clientset
	db       *pgx.Conn
	tmp      string
	planted  []search.Canary
	said     said
	metrics  []string // addresses
	kubectl  string
	sampled  *processes
	sampling sync.WaitGroup
	settle   func()
}

// plant makes a canary.
func (w *world) plant(name string) string {
	v := "cnry" + rand.Text()
	w.planted = append(w.planted, search.Canary{Name: name, Value: v})
	return v
}

func (w *world) known(name, value string) string {
	w.planted = append(w.planted, search.Canary{Name: name, Value: value})
	return value
}

// allowed says where canaries may be: the place as a pattern, the names, and why.
var allowed = []struct{ where, canary, why string }{
	{`^environ of the hub$`, `^(database password|vault key|environment)$`, "its caller gave it the environment"},
	{`^environ of the agent$`, `^enrolment token$`, "its caller gave it the environment"},
	// Git is not the hub's to hide: its copy on the hub's disk is as open as Git itself.
	{`^hub/git/`, `^(desired|number|broken)$`, "the copy of Git"},
}

func mayBe(f search.Finding) bool {
	for _, a := range allowed {
		if regexp.MustCompile(a.where).MatchString(f.Where) && regexp.MustCompile(a.canary).MatchString(f.Canary) {
			return true
		}
	}
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open makes a directory that other users can pass.
func open(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", name)
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func start(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	ctx := t.Context()
	w := &world{t: t}
	bin, dir := rig.Programs(t), open(t, "hawser-canary-")
	dsn := dbtest.Postgres(t)
	tcp, _ := dbtest.TCP(t, dsn)
	u, err := url.Parse(tcp)
	must(t, err)
	password, _ := u.User.Password()
	w.known("database password", password)
	w.db, err = pgx.Connect(ctx, dsn)
	must(t, err)
	t.Cleanup(func() { w.db.Close(context.WithoutCancel(ctx)) })
	must(t, columns(ctx, w.db))
	w.kubectl, err = testbed.Kubectl(ctx, os.Stderr)
	must(t, err)
	cp, err := testbed.StartControlPlane(ctx, testbed.Options{Name: "eu", Log: os.Stderr})
	must(t, err)
	t.Cleanup(cp.Stop)
	w.kube, err = kubernetes.NewForConfig(cp.RESTConfig())
	must(t, err)

	// From here on temporary files are the programs'.
	w.tmp = filepath.Join(dir, "tmp")
	must(t, os.Mkdir(w.tmp, 0o1777))
	t.Setenv("TMPDIR", w.tmp)
	t.Setenv("HAWSER_LOG_LEVEL", "debug")
	hooks := filepath.Join(dir, "webhook-secret")
	must(t, os.WriteFile(hooks, []byte(w.plant("webhook secret")+"\n"), 0o600))
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	hub := map[string]string{
		"DATABASE_URL": tcp, "HAWSER_VAULT_KEY": w.known("vault key", base64.StdEncoding.EncodeToString(key)), "HAWSER_TEST_SECRET": w.plant("environment"),
	}
	for name, v := range hub {
		t.Setenv(name, v)
	}
	port, err := testbed.ReservePort()
	must(t, err)
	t.Cleanup(port.Release)
	agentPort, err := testbed.ReservePort()
	must(t, err)
	t.Cleanup(agentPort.Release)
	w.metrics = []string{port.Addr(), agentPort.Addr()}
	w.Rig, err = rig.Start(ctx, rig.Options{
		Bin: bin, Dir: filepath.Join(dir, "rig"), Log: os.Stderr, GitUser: "robot", GitPassword: w.plant("repository password"),
		HubArgs:   []string{"--webhook-secret-file", hooks, "--metrics-listen", port.Addr()},
		AgentArgs: []string{"--log-level", "debug", "--metrics-listen", agentPort.Addr()},
	})
	must(t, err)
	for name := range hub {
		os.Unsetenv(name) // t.Setenv gives it back
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the hub's log:\n%s\nthe agent's log:\n%s", testbed.Tail(w.Hub.LogPath(), 15), testbed.Tail(filepath.Join(w.Dir, "agent-eu.log"), 15))
		}
		must(t, w.Close())
	})
	w.eu = w.UseCluster("eu", cp)
	var minted struct{ Token string }
	must(t, json.Unmarshal([]byte(w.cli("", "cluster", "enroll", "eu", "--yes", "-o", "json")), &minted))
	must(t, w.eu.StartAgent(ctx, w.known("enrolment token", minted.Token)))
	must(t, w.eu.AwaitConnected(ctx))
	sampling, cancel := context.WithCancel(ctx)
	w.sampled = &processes{roots: map[int]string{w.Hub.PID(): "the hub", w.eu.AgentPID(): "the agent"}, kinds: map[string]bool{}}
	w.sampling.Go(func() { w.sampled.watch(sampling) })
	w.sampling.Go(func() { w.stream(sampling) })
	w.settle = func() { cancel(); w.sampling.Wait() }
	t.Cleanup(w.settle)
	return w
}

// cli runs a command that must succeed; what it says is not looked into, because
// some commands say a secret once.
func (w *world) cli(in string, args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	out, err := w.CLIInput(ctx, []byte(in), args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out)
}

// try runs a command, whatever becomes of it, and keeps what it says.
func (w *world) try(in string, args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	out, err := w.CLIInput(ctx, []byte(in), args...)
	text := string(out)
	if status := new(rig.CLIError); errors.As(err, &status) {
		text += status.Stdout + status.Stderr
	} else if err != nil {
		w.t.Fatal(err)
	}
	w.said.add("hawser "+strings.Join(args, " "), []byte(text))
	return text
}

func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain for: %s\n%s", what, testbed.Tail(w.Hub.LogPath(), 20))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// trusting is told in this process which hub it speaks to.
var trusting = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

func (w *world) token() string {
	b, err := os.ReadFile(w.ConfigPath())
	must(w.t, err)
	var file config.File
	must(w.t, yaml.Unmarshal(b, &file))
	hub, ok := file.Context("")
	if !ok || hub.Token == "" {
		w.t.Fatal("there is no token")
	}
	return hub.Token
}

func (w *world) request(ctx context.Context, method, path, token string, body []byte, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.Hub.URL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return trusting.Do(req)
}

// ask keeps an answer and returns its status.
func (w *world) ask(method, path, token string, body []byte, header ...string) (int, []byte) {
	w.t.Helper()
	resp, err := w.request(w.t.Context(), method, path, token, body, header...)
	must(w.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(w.t, err)
	var head bytes.Buffer
	must(w.t, resp.Header.Write(&head))
	w.said.add(method+" "+path, append(head.Bytes(), b...))
	return resp.StatusCode, b
}

// stream follows the events until ctx ends.
func (w *world) stream(ctx context.Context) {
	client := &http.Client{Transport: trusting.Transport}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.Hub.URL()+"/api/v1/events", nil)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+w.token())
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			w.said.mu.Lock()
			if w.said.by == nil {
				w.said.by = map[string][]byte{}
			}
			w.said.by["the events"] = append(w.said.by["the events"], buf[:n]...)
			w.said.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// routes asks every route of the table that reads, as a caller who gets at least so
// many good answers. The things to ask about are the administrator's.
func (w *world) routes(who, token string, least int) {
	w.t.Helper()
	list := func(path, field string) (out []string) {
		_, b := w.ask(http.MethodGet, "/api/v1"+path, w.token(), nil)
		var page struct{ Items []map[string]any }
		must(w.t, json.Unmarshal(b, &page))
		for _, item := range page.Items {
			if s, ok := item[field].(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	things := map[string][]string{}
	for of, field := range map[string]string{
		"/applications": "name", "/clusters": "name", "/projects": "name", "/repositories": "id", "/repository-templates": "id", "/operations": "id", "/accounts": "name",
	} {
		if things[of] = list(of, field); of == "/projects" {
			things[of] = append(things[of], "default") // which need not be stored
		} else if len(things[of]) == 0 {
			w.t.Errorf("%s lists nothing", of)
		}
	}
	good := 0
	for _, r := range api.Routes() {
		if r.Method != http.MethodGet || r.Stream == api.WebSocket || r.ID == "streamEvents" {
			continue
		}
		paths := []string{r.Path}
		if before, after, ok := strings.Cut(r.Path, "/:"); ok {
			_, rest, _ := strings.Cut(after, "/")
			paths = nil
			for _, thing := range append(slices.Clone(things[before]), "none") {
				path := before + "/" + url.PathEscape(thing)
				if rest != "" {
					path += "/" + strings.ReplaceAll(rest, ":", "")
				}
				paths = append(paths, path)
			}
		}
		for _, path := range paths {
			queries := []string{""}
			switch r.ID {
			case "getManifests":
				queries = append(queries, "?source=live", "?source=git")
			case "listResources":
				queries = append(queries, "?orphaned=true")
			case "getResource":
				queries = append(queries, "?kind=Secret&name=pass&managedFields=true", "?kind=Secret&name=pass", "?kind=Deployment&name=web&managedFields=true", "?kind=Secret&name=other")
			case "listResourceEvents", "listResourceActions":
				queries = append(queries, "?kind=Secret&name=pass", "?kind=Deployment")
			}
			for _, q := range queries {
				if status, b := w.ask(http.MethodGet, "/api/v1"+path+q, token, nil); status == http.StatusOK {
					good++
				} else if status >= 500 && status != http.StatusServiceUnavailable {
					w.t.Errorf("%s, as %s: %d %s", path+q, who, status, b)
				}
			}
			w.ask(http.MethodGet, "/api/v1"+path, "", nil) // nobody
		}
	}
	w.t.Logf("%d good answers for %s", good, who)
	if good < least {
		w.t.Errorf("only %d answers were good for %s", good, who)
	}
	for _, path := range []string{"/readyz", "/livez", "/healthz", "/openapi.json", "/api/v1/openapi.json", "/metrics", "/"} {
		w.ask(http.MethodGet, path, "", nil)
	}
	for _, addr := range w.metrics {
		resp, err := http.Get("http://" + addr + "/metrics")
		must(w.t, err)
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		must(w.t, err)
		if len(b) < 1000 {
			w.t.Errorf("metrics: %s", b)
		}
		w.said.add("metrics of "+addr, b)
	}
}

// look looks everywhere.
func (w *world) look() []search.Finding {
	w.t.Helper()
	by := search.New(w.planted...)
	found, rows, err := database(w.t.Context(), by, w.db)
	must(w.t, err)
	if rows < 50 {
		w.t.Errorf("the database has %d rows", rows)
	}
	for label, dir := range map[string]string{"hub": w.Hub.Data, "temporary files": w.tmp} {
		more, n, err := files(by, label, dir)
		must(w.t, err)
		w.t.Logf("%s: %d files", label, n)
		found = append(found, more...)
	}
	for label, path := range map[string]string{"the hub's log": w.Hub.LogPath(), "the agent's log": w.eu.AgentLog()} {
		b, err := os.ReadFile(path)
		must(w.t, err)
		if !bytes.Contains(b, []byte("DEBUG")) {
			w.t.Errorf("%s says little", label)
		}
		found = append(found, by.Bytes(label, b)...)
	}
	found = append(found, w.said.look(by)...)
	return append(found, w.sampled.said.look(by)...)
}

const workload = `apiVersion: v1
kind: Secret
metadata: {name: pass}
stringData: {password: %[1]s, more: "user:%[1]s@host"}
---
apiVersion: v1
kind: Secret
metadata: {name: sh.helm.release.v1.web.v1}
type: helm.sh/release.v1
data: {release: %[2]s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: w, image: x, envFrom: [{secretRef: {name: pass}}]}]}
`

// helmed is a value as a release of Helm has it in a Secret.
func helmed(v string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, strings.Repeat("manifest: ", 20)+v)
	_ = z.Close()
	once := base64.StdEncoding.EncodeToString(b.Bytes())
	return base64.StdEncoding.EncodeToString([]byte(once))
}

func (w *world) app(name, repo, path string) {
	w.t.Helper()
	w.cli("", "app", "create", name, "--repo", repo, "--path", path, "--dest-name", "eu", "--dest-namespace", name, "--sync-policy", "automated", "--sync-option", "CreateNamespace=true")
}

func (w *world) get(name string) string { return w.try("", "app", "get", name, "-o", "json") }

func TestA10_TestA42_TestP13_NoCanaryIsFoundOutsideItsPlace(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	desired, number, broken := w.plant("desired"), "", w.plant("broken")
	for len(number) != 18 {
		n, err := rand.Int(rand.Reader, big.NewInt(1e18))
		must(t, err)
		number = n.String()
	}
	w.known("number", number)
	repo, err := w.Git.Repos.Create(ctx, "team/app")
	must(t, err)
	_, err = repo.Commit(ctx, "The first", map[string][]byte{
		"good/all.yaml":   fmt.Appendf(nil, workload, desired, helmed(desired)),
		"number/all.yaml": fmt.Appendf(nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: pass}\nstringData: {pin: %s}\n", number),
		"broken/all.yaml": fmt.Appendf(nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: pass}\ndata: {pin: '%s!!'}\n", broken),
		"yaml/all.yaml":   fmt.Appendf(nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: pass}\nstringData: {pin: %s\n  - : %s}: x\n", broken, broken),
	})
	must(t, err)
	address := w.Git.URL("team/app")

	// Credentials: a wrong one, one in the URL, one for what is not there, and the right one.
	wrong := w.plant("wrong repository password")
	w.try(wrong+"\n", "repo", "add", address, "--username", "robot", "--password-stdin")
	inside := strings.Replace(address, "://", "://robot:"+w.plant("password in a URL")+"@", 1)
	w.try("", "repo", "add", inside)
	w.try("", "app", "create", "inside", "--repo", inside, "--path", "x", "--dest-name", "eu")
	w.try(w.plant("template password")+"\n", "repocreds", "add", w.Git.URL("elsewhere"), "--username", "robot", "--password-stdin")
	w.app("unauthorised", w.Git.URL("elsewhere/app"), "good")
	w.cli(w.GitPassword+"\n", "repo", "add", address, "--username", "robot", "--password-stdin")

	// People and their tokens.
	password := w.plant("user password")
	w.cli(password+"\n", "account", "create", "ann", "--grant", "viewer:*", "--password-stdin")
	for _, p := range []string{password, w.plant("mistyped password")} {
		body, err := json.Marshal(map[string]string{"username": "ann", "password": p})
		must(t, err)
		resp, err := w.request(ctx, http.MethodPost, "/api/v1/login", "", body, "Content-Type", "application/json")
		must(t, err)
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		must(t, err)
		t.Logf("login: %s", resp.Status)
		for _, c := range resp.Cookies() {
			w.known("session", c.Value)
		}
		var login struct{ Token string }
		if json.Unmarshal(answer, &login) == nil && login.Token != "" {
			w.known("token of a login", login.Token)
		} else {
			w.said.add("a login", answer)
		}
	}
	var minted struct{ Token string }
	must(t, json.Unmarshal([]byte(w.cli("", "token", "create", "ci", "--grant", "viewer:*", "-o", "json")), &minted))
	w.known("API token", minted.Token)
	w.ask(http.MethodGet, "/api/v1/whoami", minted.Token, nil)
	w.ask(http.MethodGet, "/api/v1/whoami?access_token="+minted.Token, "", nil)
	w.ask(http.MethodGet, "/api/v1/whoami", w.plant("a token that nobody issued"), nil)
	// The project whose "detailed" answer once had the repositories' credentials in it:
	// everything of it is the role's to see.
	w.cli("", "project", "role", "create", "default", "reader")
	for _, resource := range []string{"applications", "applicationsets", "logs", "repositories", "clusters"} {
		w.cli("", "project", "role", "add-policy", "default", "reader", "--resource", resource, "--action", "get", "--object", "*")
	}
	var role struct{ Token string }
	must(t, json.Unmarshal([]byte(w.cli("", "project", "role", "create-token", "default", "reader", "-o", "json")), &role))
	w.known("token of a role", role.Token)
	w.known("administrator's token", w.token())
	secret := w.planted[slices.IndexFunc(w.planted, func(c search.Canary) bool { return c.Name == "webhook secret" })].Value
	for _, s := range []string{secret, w.plant("wrong webhook secret")} {
		w.ask(http.MethodPost, "/api/webhook", "", fmt.Appendf(nil, `{"ref":"refs/heads/main","project":{"git_http_url":%q}}`, address),
			"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", s, "Content-Type", "application/json")
	}

	// What goes well, and what goes wrong.
	for _, name := range []string{"good", "number", "broken", "yaml"} {
		w.app(name, address, name)
	}
	w.try("", "app", "wait", "good", "--timeout", "80s")
	if got, err := w.kube.CoreV1().Secrets("good").Get(ctx, "pass", metav1.GetOptions{}); err != nil || string(got.Data["password"]) != desired {
		t.Fatalf("the Secret did not arrive: %v", err)
	}
	for _, name := range []string{"number", "broken"} {
		w.await(name+" to be refused", func() bool {
			return strings.Contains(w.get(name), `"phase": "Failed"`) || strings.Contains(w.get(name), "Error")
		})
	}
	w.await("Git to refuse", func() bool { return strings.Contains(w.get("unauthorised"), "auth") })

	// The cluster has what others wrote: another manager, and kubectl with its annotation.
	live := w.plant("live")
	_, err = w.kube.CoreV1().Secrets("good").Patch(ctx, "pass", types.MergePatchType,
		fmt.Appendf(nil, `{"stringData":{"password":%q,"added":"x%s"}}`, live, live), metav1.PatchOptions{FieldManager: "somebody"})
	must(t, err)
	applied := w.plant("last applied")
	file := filepath.Join(w.Dir, "applied.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: pass, namespace: good}\nstringData: {applied: %s}\n", applied), 0o600))
	kubeconfig := filepath.Join(w.Dir, "admin.kubeconfig")
	must(t, os.WriteFile(kubeconfig, w.eu.Kubeconfig(), 0o600))
	if out, err := exec.CommandContext(ctx, w.kubectl, "--kubeconfig", kubeconfig, "--cache-dir", filepath.Join(w.Dir, "cache"), "apply", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.await("the difference to be seen", func() bool {
		w.try("", "app", "refresh", "good")
		return strings.Contains(w.get("good"), "OutOfSync")
	})
	for _, name := range []string{"good", "number", "broken", "yaml", "unauthorised"} {
		for _, command := range [][]string{
			{"diff", name}, {"diff", name, "-o", "json"}, {"plan", name}, {"plan", name, "-o", "json"}, {"tree", name, "-o", "json"}, {"manifests", name}, {"manifests", name, "--source", "live"},
			{"events", name}, {"logs", name}, {"history", name}, {"describe", name}, {"explain", name}, {"resource", name, "secret/pass", "-o", "yaml", "--show-managed-fields"},
			{"resources", name, "-o", "json"},
		} {
			w.try("", append([]string{"app"}, command...)...)
		}
	}
	if out := w.try("", "app", "diff", "good"); !strings.Contains(out, "redacted:") {
		t.Errorf("the difference shows nothing:\n%s", out)
	}
	w.try("", "app", "sync", "number", "--timeout", "20s")
	w.try("", "app", "sync", "broken", "--timeout", "20s")
	w.routes("an administrator", w.token(), 40)
	w.routes("a token of a role of the project", role.Token, 20)
	w.routes("somebody who may see everything", minted.Token, 30)
	w.try("", "app", "sync", "good", "--timeout", "60s")
	w.try("", "operation", "list", "-o", "json")
	w.try("", "audit", "list", "-o", "json")
	w.try("", "audit", "export")
	w.try("", "export")
	w.settle()
	if w.said.size("the events") < 1000 || !w.sampled.kinds["a child of the hub"] {
		t.Errorf("%d bytes of events, processes: %v", w.said.size("the events"), w.sampled.kinds)
	}
	// The API server itself must have refused a Secret, and the agent have said so.
	if out := w.get("number") + w.get("broken"); !strings.Contains(out, "values hidden") {
		t.Errorf("no Secret was refused by the API server:\n%s", out)
	}

	found := w.look()
	for _, f := range found {
		if mayBe(f) {
			t.Logf("in its place: %s of %s", f.Canary, f.Where)
			continue
		}
		t.Error(f)
	}
	for _, f := range []struct{ where, canary string }{{"environ of the hub", "environment"}, {"environ of the agent", "enrolment token"}} {
		if !slices.ContainsFunc(found, func(g search.Finding) bool { return g.Where == f.where && g.Canary == f.canary }) {
			t.Errorf("%s is not found in %s, where it is", f.canary, f.where)
		}
	}
	w.canFail(desired)
}

// canFail plants a canary in each kind of place and wants it found there.
func (w *world) canFail(v string) {
	t := w.t
	append2 := func(path, text string) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(t, err)
		_, err = f.WriteString(text)
		must(t, errors.Join(err, f.Close()))
	}
	append2(w.Hub.LogPath(), "level=DEBUG msg=\"a request\" body="+url.QueryEscape("{\"a\":\""+v+"\"}")+"\n")
	append2(filepath.Join(w.tmp, "left"), helmed(v))
	append2(filepath.Join(w.Hub.Data, "left"), base64.StdEncoding.EncodeToString([]byte("user:"+v)))
	w.said.add("an answer", []byte(helmed(v)))
	w.sampled.said.add("cmdline of somebody", []byte("git\x00clone\x00https://u:"+v+"@host\x00"))
	_, err := w.db.Exec(t.Context(), "CREATE TABLE left_behind (b bytea, t text)")
	must(t, err)
	raw, err := base64.StdEncoding.DecodeString(helmed(v))
	must(t, err)
	_, err = w.db.Exec(t.Context(), "INSERT INTO left_behind VALUES ($1, $2)", raw, strings.Repeat("compressible ", 1000)+v)
	must(t, err)
	found := w.look()
	for _, place := range []string{"the hub's log", "temporary files/left", "hub/left", "an answer", "cmdline of somebody", "rows of public.left_behind", "Postgres/base/", "Postgres/pg_wal/"} {
		if !slices.ContainsFunc(found, func(f search.Finding) bool { return strings.HasPrefix(f.Where, place) && f.Canary == "desired" }) {
			t.Errorf("what was planted in %s is not found", place)
		}
	}
}
