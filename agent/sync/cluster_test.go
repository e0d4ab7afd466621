package sync

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// plane is the control plane that the tests of this package share.
var plane struct {
	gosync.Mutex
	cp *testbed.ControlPlane
}

func TestMain(m *testing.M) {
	code := m.Run()
	if plane.cp != nil {
		plane.cp.Stop()
	}
	os.Exit(code)
}

// cluster is a real API server, our hand in it, and an administrator's.
type cluster struct {
	t      testing.TB
	cp     *testbed.ControlPlane
	client *http.Client
	kube   ownKube
	ns     string
}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	plane.Lock()
	defer plane.Unlock()
	if plane.cp == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		cp, err := testbed.StartControlPlane(ctx, testbed.Options{Name: "sync"})
		if err != nil {
			t.Fatal(err)
		}
		plane.cp = cp
	}
	client, err := rest.HTTPClientFor(plane.cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(plane.cp.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, cp: plane.cp, client: client, kube: ownKube{NewKube(client, base, "hawser-agent/test")}}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return -1
	}, t.Name())
	c.ns = fmt.Sprintf("%.40s-%x", name, time.Now().UnixNano()&0xffffff)
	c.do("POST", "/api/v1/namespaces", `{"metadata":{"name":"`+c.ns+`"}}`)
	return c
}

func (c *cluster) try(method, path, contentType, body string) (int, []byte) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.cp.URL()+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType == "" {
		contentType = "application/json"
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func (c *cluster) do(method, path, body string) []byte {
	c.t.Helper()
	contentType := ""
	if method == "PATCH" {
		contentType = "application/merge-patch+json"
	}
	code, answer := c.try(method, path, contentType, body)
	if code/100 != 2 {
		c.t.Fatalf("%s %s: %d %s", method, path, code, answer)
	}
	return answer
}

// get is the object, nil when it does not exist.
func (c *cluster) get(k live.Kind, name string) map[string]any {
	c.t.Helper()
	key := c.key(k, name)
	code, answer := c.try("GET", objectPath(k, k.Version, key), "", "")
	if code == http.StatusNotFound {
		return nil
	}
	if code != http.StatusOK {
		c.t.Fatalf("%s: %d %s", key, code, answer)
	}
	return object(c.t, answer)
}

func (c *cluster) key(k live.Kind, name string) model.ObjectKey {
	key := model.ObjectKey{Group: k.Group, Kind: k.Kind, Name: name}
	if k.Namespaced {
		key.Namespace = c.ns
	}
	return key
}

// write is a Write of a YAML-free body: name and namespace are filled in.
func (c *cluster) write(k live.Kind, name, rest string) Write {
	c.t.Helper()
	key := c.key(k, name)
	o := object(c.t, []byte("{"+rest+"}"))
	o["apiVersion"], o["kind"] = strings.TrimPrefix(k.Group+"/"+k.Version, "/"), k.Kind
	meta, _ := o["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		o["metadata"] = meta
	}
	meta["name"] = name
	if key.Namespace != "" {
		meta["namespace"] = key.Namespace
	}
	body, err := json.Marshal(o)
	if err != nil {
		c.t.Fatal(err)
	}
	return Write{Kind: k, Key: key, Version: k.Version, Body: body, Validate: true, Operation: "op-" + name}
}

// seen is w with what is known of the object that exists.
func (c *cluster) seen(w Write) Write {
	c.t.Helper()
	o := c.get(w.Kind, w.Key.Name)
	if o == nil {
		c.t.Fatalf("%s does not exist", w.Key)
	}
	w.UID, w.ResourceVersion = at2(o, "metadata", "uid"), at2(o, "metadata", "resourceVersion")
	return w
}

func (c *cluster) apply(w Write) map[string]any {
	c.t.Helper()
	answer, err := c.kube.Apply(c.t.Context(), w)
	if err != nil {
		c.t.Fatalf("%s: %v", w.Key, err)
	}
	return object(c.t, answer)
}

func object(t testing.TB, body []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return o
}

func at1(o map[string]any, path ...string) any {
	var v any = o
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func at2(o map[string]any, path ...string) string {
	if v := at1(o, path...); v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

func wantCode(t testing.TB, err error, code string) *fault.Error {
	t.Helper()
	if !fault.HasCode(err, code) {
		t.Fatalf("got %v (%s), want the code %s", err, fault.As(err).Code, code)
	}
	return fault.As(err)
}

func eventually(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

func served(group, version, kind, resource string, namespaced bool) live.Kind {
	return live.Kind{GroupKind: model.GroupKind{Group: group, Kind: kind}, Version: version, Resource: resource, Namespaced: namespaced}
}

var (
	configMaps  = served("", "v1", "ConfigMap", "configmaps", true)
	secrets     = served("", "v1", "Secret", "secrets", true)
	services    = served("", "v1", "Service", "services", true)
	pods        = served("", "v1", "Pod", "pods", true)
	claims      = served("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true)
	namespaces  = served("", "v1", "Namespace", "namespaces", false)
	deployments = served("apps", "v1", "Deployment", "deployments", true)
	replicaSets = served("apps", "v1", "ReplicaSet", "replicasets", true)
	jobs        = served("batch", "v1", "Job", "jobs", true)
	crds        = served("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false)
	bindings    = served("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true)
)

const deploymentSpec = `"spec":{"replicas":1,"selector":{"matchLabels":{"app":"%[1]s"}},"template":{"metadata":{"labels":{"app":"%[1]s"}},"spec":{"containers":[{"name":"a","image":"%[2]s"}]}}}`

// requests are the verbs of our requests about objects of a name, as the audit
// log has them.
func requests(t testing.TB, r *testbed.AuditReader, name string) []string {
	t.Helper()
	events, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		if e.Name == name && strings.HasPrefix(e.UserAgent, "hawser-agent/test") {
			out = append(out, e.Verb)
		}
	}
	return out
}
