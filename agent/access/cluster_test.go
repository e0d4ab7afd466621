package access

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

func parse(t testing.TB, text string) manifest.Object {
	t.Helper()
	o, err := manifest.DecodeObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

const (
	webDeployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":%d,
		"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
		"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"web","image":"web"},{"name":"side","image":"side"}]}}}}`
	secret = `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pass","annotations":{
		"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":\"canary-in-annotation\"}","team":"a"}},
		"data":{"password":"Y2FuYXJ5LWluLWRhdGE="},"type":"Opaque"}`
	configMap = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"conf"},"data":{"a":"1"}}`
)

func onePod(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q},"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"main","image":"x"}]}}`, name)
}

func objectOf(t *testing.T, a *asked) map[string]any {
	t.Helper()
	pieces, end := a.all()
	if end.Err != nil {
		t.Fatal(end.Err)
	}
	var b []byte
	for _, m := range pieces {
		b = append(b, m.Object...)
	}
	var o map[string]any
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return o
}

func TestLiveObjectIsRedacted(t *testing.T) {
	r := newRig(t, "access-object", nil, secret, configMap)
	r.reachable(2, model.ObjectSelector{})
	pass := func(q model.ObjectQuery) map[string]any {
		q.ObjectSelector = model.ObjectSelector{Kind: "secret", Name: "pass"}
		return objectOf(t, r.ask(model.AccessRequest{Object: &q}))
	}
	o := pass(model.ObjectQuery{})
	text, _ := json.Marshal(o)
	for _, canary := range []string{"canary", "Y2FuYXJ5LWluLWRhdGE=", "last-applied"} {
		if strings.Contains(string(text), canary) {
			t.Errorf("%s leaves the cluster: %s", canary, text)
		}
	}
	// The tag is that of the reports, so that people can compare.
	want := manifest.Redact(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"namespace": r.ns, "name": "pass"}, "data": map[string]any{"password": "Y2FuYXJ5LWluLWRhdGE="},
	}, manifest.KeyFor(r.redaction, app))
	if got, want := fmt.Sprint(o["data"]), fmt.Sprint(want["data"]); got != want {
		t.Errorf("data %s, want %s", got, want)
	}
	meta := o["metadata"].(map[string]any)
	if meta["managedFields"] != nil || meta["uid"] == nil || meta["annotations"].(map[string]any)["team"] != "a" {
		t.Errorf("metadata %v", meta)
	}
	if fields := pass(model.ObjectQuery{ManagedFields: true})["metadata"].(map[string]any)["managedFields"]; fields == nil {
		t.Error("no managed fields, although they were asked for")
	}
	conf := objectOf(t, r.ask(model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap"}}}))
	if fmt.Sprint(conf["data"]) != "map[a:1]" || conf["kind"] != "ConfigMap" {
		t.Errorf("ConfigMap %v", conf)
	}
}

func TestP13_SensitiveFieldsOfLiveObjectsStayInTheCluster(t *testing.T) {
	rules := []model.SensitiveFields{{Kind: "ConfigMap", JSONPointers: []string{"/data/token", "/metadata/finalizers/*"}}}
	r := newRig(t, "access-fields", func(o *Options) {
		o.SensitiveFields = func(model.AppUID) ([]model.SensitiveFields, error) { return rules, nil }
	}, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"conf","finalizers":["example.com/canary"]},"data":{"a":"1","token":"canary"}}`)
	t.Cleanup(func() {
		r.kube.do(http.MethodPatch, "/api/v1/namespaces/"+r.ns+"/configmaps/conf", `{"metadata":{"finalizers":null}}`)
	})
	r.reachable(1, model.ObjectSelector{})
	ask := func() *asked {
		return r.ask(model.AccessRequest{Object: &model.ObjectQuery{ManagedFields: true, ObjectSelector: model.ObjectSelector{Kind: "ConfigMap"}}})
	}
	o := objectOf(t, ask())
	text, _ := json.Marshal(o)
	if strings.Contains(string(text), "canary") || !strings.Contains(string(text), "managedFields") {
		t.Errorf("%s", text)
	}
	data := o["data"].(map[string]any)
	if tag, _ := data["token"].(string); data["a"] != "1" || !strings.HasPrefix(tag, "redacted:") {
		t.Errorf("data %v", data)
	}
	if o["metadata"].(map[string]any)["name"] != "conf" {
		t.Errorf("metadata %v", o["metadata"])
	}
	rules = nil
	if text, _ := json.Marshal(objectOf(t, ask())); !strings.Contains(string(text), "canary") {
		t.Errorf("nothing was to be hidden: %s", text)
	}
}

// Whatever a hub asks for, it gets nothing of what no application owns.
func TestHostileHubReachesNothingElse(t *testing.T) {
	r := newRig(t, "access-hostile", nil, configMap)
	// Looks like the application's, and is in nobody's books.
	r.kube.do(http.MethodPost, "/api/v1/namespaces/access-hostile/secrets", fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret",
		"metadata":{"name":"forged","annotations":{%q:"shop:/Secret:access-hostile/forged"}},"stringData":{"a":"canary"}}`, model.AnnotationTrackingID))
	// And a pod that belongs to nobody.
	r.kube.do(http.MethodPost, "/api/v1/namespaces/access-hostile/pods", onePod("stranger"))
	r.reachable(1, model.ObjectSelector{})
	await(t, "the observer to see them", func() bool {
		_, a := r.observer.Get(model.ObjectKey{Kind: "Secret", Namespace: r.ns, Name: "forged"})
		_, b := r.observer.Get(model.ObjectKey{Kind: "Pod", Namespace: r.ns, Name: "stranger"})
		return a.String() == "present" && b.String() == "present"
	})
	audit, err := r.cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	core := ""
	for name, c := range map[string]struct {
		q    model.AccessRequest
		code string
	}{
		"a forged Secret":         {model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "Secret", Name: "forged"}}}, "object_not_found"},
		"a Secret of the system":  {model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Group: &core, Kind: "Secret", Namespace: "kube-system", Name: "admin"}}}, "object_not_found"},
		"a path in a name":        {model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap", Name: "../secrets/forged"}}}, "name_invalid"},
		"a path in a namespace":   {model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap", Namespace: "..", Name: "conf"}}}, "name_invalid"},
		"an escaped path":         {model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap", Name: "conf%2f..%2fx"}}}, "name_invalid"},
		"a query in a name":       {model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap", Name: "conf?watch=1"}}}, "object_not_found"},
		"a line end in a name":    {model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Name: "conf\r\nX: y"}}}, "name_invalid"},
		"a very long name":        {model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Name: strings.Repeat("x", 5000)}}}, "name_invalid"},
		"events of everything":    {model.AccessRequest{Events: &model.EventQuery{ObjectSelector: model.ObjectSelector{Kind: "Pod"}}}, "object_not_found"},
		"a stranger's logs":       {model.AccessRequest{Logs: &model.LogQuery{ObjectSelector: model.ObjectSelector{Kind: "Pod", Name: "stranger"}}}, "object_not_found"},
		"a path as a container":   {model.AccessRequest{Logs: &model.LogQuery{Container: "../../secrets"}}, "name_invalid"},
		"a command in a stranger": {model.AccessRequest{Exec: &model.ExecQuery{ObjectSelector: model.ObjectSelector{Name: "stranger"}, Command: []string{"echo"}}}, "object_not_found"},
		"a command of nothing":    {model.AccessRequest{Exec: &model.ExecQuery{ObjectSelector: model.ObjectSelector{Name: "stranger"}}}, "command_missing"},
		"actions of a stranger":   {model.AccessRequest{Actions: &model.ObjectSelector{Kind: "Pod", Name: "stranger"}}, "object_not_found"},
		"another application":     {model.AccessRequest{App: "somebody else's", Object: &model.ObjectQuery{}}, "application_not_held"},
		"no application":          {model.AccessRequest{App: " ", Object: &model.ObjectQuery{}}, "application_not_held"},
		"nothing":                 {model.AccessRequest{}, "access_unsupported"},
		"a command of a megabyte": {model.AccessRequest{Exec: &model.ExecQuery{Command: []string{"echo", strings.Repeat("x", 900_000)}}}, "command_too_large"},
	} {
		pieces, end := r.ask(c.q).all()
		if len(pieces) > 0 || !fault.HasCode(end.Err, c.code) {
			t.Errorf("%s: %d pieces and %v; want %s", name, len(pieces), end.Err, c.code)
		}
	}
	events, err := audit.Next()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if strings.Contains(e.RequestURI, "access-hostile") && !strings.Contains(e.RequestURI, "watch=") && e.User == "admin" {
			t.Errorf("the API server was asked: %s", e.RequestURI)
		}
	}
}

func TestVetoOfTheCluster(t *testing.T) {
	r := newRig(t, "access-veto", nil, secret, configMap, onePod("p"))
	r.reachable(3, model.ObjectSelector{})
	r.policy.denied = map[string]string{"get Secret": "vetoed", "logs Pod": "vetoed", "exec Pod": "vetoed"}
	for name, q := range map[string]model.AccessRequest{
		"object":            {Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "Secret"}}},
		"actions":           {Actions: &model.ObjectSelector{Kind: "Secret"}},
		"events":            {Events: &model.EventQuery{ObjectSelector: model.ObjectSelector{Kind: "Secret"}}},
		"logs":              {Logs: &model.LogQuery{}},
		"logs, followed":    {Logs: &model.LogQuery{Follow: true}},
		"exec":              {Exec: &model.ExecQuery{ObjectSelector: model.ObjectSelector{Name: "p"}, Command: []string{"echo", "x"}}},
		"exec, with a kind": {Exec: &model.ExecQuery{ObjectSelector: model.ObjectSelector{Kind: "po"}, Command: []string{"echo", "x"}}},
	} {
		if pieces, end := r.ask(q).all(); len(pieces) > 0 || !fault.HasCode(end.Err, "vetoed") {
			t.Errorf("%s: %d pieces and %v", name, len(pieces), end.Err)
		}
	}
	// Of many objects those that may be seen are.
	if _, end := r.ask(model.AccessRequest{Events: &model.EventQuery{}}).all(); end.Err != nil {
		t.Error(end.Err)
	}
}

func TestActionsOfAnObject(t *testing.T) {
	r := newRig(t, "access-actions", nil, fmt.Sprintf(webDeployment, 0), configMap)
	r.reachable(1, model.ObjectSelector{Kind: "Deployment"})
	pieces, end := r.ask(model.AccessRequest{Actions: &model.ObjectSelector{Kind: "deploy", Name: "web"}}).all()
	if end.Err != nil || len(pieces) != 1 || len(pieces[0].Actions) != 2 || pieces[0].Actions[1].Params[0] != "replicas" {
		t.Errorf("%+v, %v", pieces, end.Err)
	}
	pieces, end = r.ask(model.AccessRequest{Actions: &model.ObjectSelector{Kind: "ConfigMap"}}).all()
	if end.Err != nil || len(pieces) != 1 || len(pieces[0].Actions) != 0 {
		t.Errorf("of a ConfigMap: %+v, %v", pieces, end.Err)
	}
}

func (r *rig) event(about reached, reason string, ago time.Duration) {
	r.t.Helper()
	when := time.Now().Add(-ago).UTC().Format(time.RFC3339)
	r.kube.do(http.MethodPost, "/api/v1/namespaces/"+r.ns+"/events", fmt.Sprintf(`{"metadata":{"generateName":"e-"},"type":"Warning",
		"reason":%q,"message":"it happened","count":2,"firstTimestamp":%q,"lastTimestamp":%q,"source":{"component":"tester"},
		"involvedObject":{"apiVersion":"v1","kind":%q,"namespace":%q,"name":%q,"uid":%q}}`,
		reason, when, when, about.Key.Kind, about.Key.Namespace, about.Key.Name, about.UID))
}

func reasons(list []model.ObjectEvent) (out []string) {
	for _, e := range list {
		if e.Source == "tester" {
			out = append(out, e.Reason)
		}
	}
	return out
}

func TestEvents(t *testing.T) {
	r := newRig(t, "access-events", nil, onePod("one"), onePod("two"), configMap)
	r.kube.do(http.MethodPost, "/api/v1/namespaces/access-events/pods", onePod("stranger"))
	one := r.reachable(1, model.ObjectSelector{Kind: "Pod", Name: "one"})[0]
	two := r.reachable(1, model.ObjectSelector{Kind: "Pod", Name: "two"})[0]
	r.event(one, "Oldest", 3*time.Hour)
	r.event(two, "Middle", 2*time.Hour)
	r.event(one, "Newest", time.Hour)
	r.event(reached{Record: object("Pod access-events/stranger", "")}, "Foreign", time.Minute)
	list := func(q model.EventQuery) []string {
		pieces, end := r.ask(model.AccessRequest{Events: &q}).all()
		if end.Err != nil {
			t.Fatal(end.Err)
		}
		var all []model.ObjectEvent
		for _, m := range pieces {
			all = append(all, m.Events...)
		}
		for _, e := range all {
			if e.Source == "tester" && (e.Count != 2 || e.Message != "it happened" || e.Type != "Warning" || e.Object.Kind != "Pod" || e.ObjectUID == "") {
				t.Errorf("event %+v", e)
			}
		}
		return reasons(all)
	}
	if got := list(model.EventQuery{}); !slices.Equal(got, []string{"Newest", "Middle", "Oldest"}) {
		t.Errorf("of the application: %v", got)
	}
	if got := list(model.EventQuery{ObjectSelector: model.ObjectSelector{Kind: "Pod", Name: "one"}}); !slices.Equal(got, []string{"Newest", "Oldest"}) {
		t.Errorf("of one object: %v", got)
	}
	if got := list(model.EventQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap"}}); len(got) != 0 {
		t.Errorf("of an object without: %v", got)
	}

	// Followed: the oldest first, then what comes, also to a pod that is new.
	a := r.ask(model.AccessRequest{Events: &model.EventQuery{Follow: true}})
	seen := make(chan string, 100)
	go func() {
		defer close(seen)
		for {
			m := a.next()
			if m.End != nil {
				seen <- "end " + fault.As(m.End.Err).Code
				return
			}
			for _, reason := range reasons(m.Events) {
				seen <- reason
			}
		}
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-seen:
			if got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("waited in vain for %s", want)
		}
	}
	for _, want := range []string{"Oldest", "Middle", "Newest"} {
		expect(want)
	}
	r.event(two, "Fresh", 0)
	expect("Fresh")
	r.event(reached{Record: object("Pod access-events/stranger", "")}, "Foreign", 0)
	r.add(onePod("three"), true)
	three := r.reachable(1, model.ObjectSelector{Name: "three"})[0]
	r.event(three, "OfNewPod", 0)
	expect("OfNewPod")
	r.books.forget(app)
	r.kube.do(http.MethodDelete, "/api/v1/namespaces/access-events/pods/one", "") // something changes
	expect("end application_not_held")
}

func TestLogsOfManyPodsInTimeOrder(t *testing.T) {
	r := newRig(t, "access-logs", nil, onePod("a"), onePod("b"), configMap)
	r.reachable(2, model.ObjectSelector{Kind: "Pod"})
	k := r.kubelet
	start := time.Now().Add(-time.Hour)
	for i := range 6 {
		pod := []string{"a", "b"}[i%2]
		k.SayAt(start.Add(time.Duration(i)*time.Minute), r.ns, pod, "main", fmt.Sprintf("line %d", i))
	}
	logs := func(q model.LogQuery) ([]string, error) {
		lines, _, err := r.ask(model.AccessRequest{Logs: &q}).text()
		return lines, err
	}
	one, two := int64(1), int64(2)
	sinceTime := start.Add(4 * time.Minute)
	for name, c := range map[string]struct {
		q    model.LogQuery
		want string
	}{
		"all pods":          {model.LogQuery{}, "a/main line 0|b/main line 1|a/main line 2|b/main line 3|a/main line 4|b/main line 5"},
		"one pod":           {model.LogQuery{ObjectSelector: model.ObjectSelector{Kind: "Pod", Name: "b"}}, "b/main line 1|b/main line 3|b/main line 5"},
		"tail of each":      {model.LogQuery{Tail: &one}, "a/main line 4|b/main line 5"},
		"tail of one":       {model.LogQuery{ObjectSelector: model.ObjectSelector{Name: "a"}, Tail: &two}, "a/main line 2|a/main line 4"},
		"grep":              {model.LogQuery{Grep: "[05]$"}, "a/main line 0|b/main line 5"},
		"grep for nothing":  {model.LogQuery{Grep: "nothing"}, ""},
		"since a time":      {model.LogQuery{SinceTime: &sinceTime}, "a/main line 4|b/main line 5"},
		"since a while ago": {model.LogQuery{Since: 58*time.Minute + 30*time.Second}, "a/main line 2|b/main line 3|a/main line 4|b/main line 5"},
		"the default container, by its name": {model.LogQuery{Container: "main", ObjectSelector: model.ObjectSelector{Name: "a"}},
			"a/main line 0|a/main line 2|a/main line 4"},
	} {
		got, err := logs(c.q)
		if err != nil || strings.Join(got, "|") != c.want {
			t.Errorf("%s: %v, %v\nwant %s", name, strings.Join(got, "|"), err, c.want)
		}
	}
	for name, c := range map[string]struct {
		q    model.LogQuery
		code string
	}{
		"a container that there is not": {model.LogQuery{Container: "nope"}, "container_not_found"},
		"no life before":                {model.LogQuery{ObjectSelector: model.ObjectSelector{Name: "a"}, Previous: true}, "log_unavailable"},
		"no life of any before":         {model.LogQuery{Previous: true}, "log_unavailable"},
		"an object without pods":        {model.LogQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap"}}, "pods_not_found"},
		"a bad expression":              {model.LogQuery{Grep: "("}, "expression_invalid"},
	} {
		if _, err := logs(c.q); !fault.HasCode(err, c.code) {
			t.Errorf("%s: %v; want %s", name, err, c.code)
		}
	}
	k.Restart(r.ns, "a", "main")
	k.Say(r.ns, "a", "main", "after the restart")
	lines, notices, err := r.ask(model.AccessRequest{Logs: &model.LogQuery{Previous: true}}).text()
	if err != nil || strings.Join(lines, "|") != "a/main line 0|a/main line 2|a/main line 4" {
		t.Errorf("the life before: %v, %v", lines, err)
	}
	if len(notices) != 1 || notices[0].Code != "log_unavailable" {
		t.Errorf("of the pod that was not restarted: %+v", notices)
	}
}

func TestLogsOfAllContainers(t *testing.T) {
	r := newRig(t, "access-containers", nil, fmt.Sprintf(webDeployment, 2))
	pods := r.reachable(2, model.ObjectSelector{Kind: "Pod"})
	start := time.Now().Add(-time.Hour)
	for i, p := range pods {
		r.kubelet.SayAt(start.Add(time.Duration(2*i)*time.Second), r.ns, p.Key.Name, "web", fmt.Sprintf("web %d", i))
		r.kubelet.SayAt(start.Add(time.Duration(2*i+1)*time.Second), r.ns, p.Key.Name, "side", fmt.Sprintf("side %d", i))
	}
	for want, q := range map[string]model.LogQuery{
		"web 0|web 1":               {ObjectSelector: model.ObjectSelector{Kind: "Deployment", Name: "web"}},
		"web 0|side 0|web 1|side 1": {AllContainers: true},
		"side 0|side 1":             {Container: "side"},
	} {
		lines, _, err := r.ask(model.AccessRequest{Logs: &q}).text()
		for i, l := range lines {
			_, lines[i], _ = strings.Cut(l, " ")
		}
		if got := strings.Join(lines, "|"); got != want || err != nil {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

// While logs are followed pods come and go, containers are started again, and
// a stream breaks; no line is lost or said twice.
func TestFollowedLogs(t *testing.T) {
	r := newRig(t, "access-follow", nil, onePod("a"))
	r.reachable(1, model.ObjectSelector{Kind: "Pod"})
	k := r.kubelet
	k.Say(r.ns, "a", "main", "before")
	a := r.ask(model.AccessRequest{Logs: &model.LogQuery{Follow: true, Grep: "^[^#]"}})
	a.mustLine("a", "before")
	k.Say(r.ns, "a", "main", "# a comment", "after")
	a.mustLine("a", "after")

	r.add(onePod("b"), true)
	k.Say(r.ns, "b", "main", "new")
	a.mustLine("b", "new")

	// A new life: the pod's status says so after the kubelet does.
	k.Restart(r.ns, "a", "main")
	k.Say(r.ns, "a", "main", "second life")
	r.kube.do(http.MethodPatch, "/api/v1/namespaces/access-follow/pods/a/status", `{"status":{"containerStatuses":[{"name":"main","image":"x","imageID":"","ready":true,
		"restartCount":1,"containerID":"containerd://2","state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}`)
	a.mustLine("a", "second life")

	r.kube.do(http.MethodDelete, "/api/v1/namespaces/access-follow/pods/b?gracePeriodSeconds=0", "")
	r.reachable(1, model.ObjectSelector{Kind: "Pod"})
	k.Say(r.ns, "a", "main", "still here")
	a.mustLine("a", "still here")

	// Who has no more interest is not served any more.
	a.st.Close()
	await(t, "the kubelet to be left alone", func() bool { logs, _ := k.Serving(); return logs == 0 })
}

// Following one pod ends with it.
func TestFollowingAPodEnds(t *testing.T) {
	r := newRig(t, "access-follow-end", nil, onePod("a"))
	r.reachable(1, model.ObjectSelector{Kind: "Pod"})
	r.kubelet.Say(r.ns, "a", "main", "one")
	a := r.ask(model.AccessRequest{Logs: &model.LogQuery{Follow: true, ObjectSelector: model.ObjectSelector{Kind: "Pod", Name: "a"}}})
	a.mustLine("a", "one")
	r.kubelet.Say(r.ns, "a", "main", "last words")
	r.kubelet.Restart(r.ns, "a", "main") // nobody writes to this life any more
	r.kube.do(http.MethodDelete, "/api/v1/namespaces/access-follow-end/pods/a?gracePeriodSeconds=0", "")
	lines, _, err := a.text()
	if err != nil || len(lines) != 1 || !strings.HasSuffix(lines[0], "last words") {
		t.Errorf("%v, %v", lines, err)
	}
}

// A container that waits says why, once, and is read when it runs.
func TestFollowWaitsForAContainer(t *testing.T) {
	r := newRig(t, "access-follow-wait", nil, onePod("a"))
	r.reachable(1, model.ObjectSelector{Kind: "Pod"})
	r.kubelet.Refuse(r.ns, "a", "main", `container "main" in pod "a" is waiting to start: ContainerCreating`)
	a := r.ask(model.AccessRequest{Logs: &model.LogQuery{Follow: true}})
	for {
		m := a.next()
		if m.Notice != nil {
			if m.Notice.Code != "log_unavailable" || !strings.Contains(m.Notice.Message, "ContainerCreating") {
				t.Errorf("notice %+v", m.Notice)
			}
			break
		}
		if m.Sources == nil {
			t.Fatalf("%+v instead of a notice", m)
		}
	}
	r.kubelet.Refuse(r.ns, "a", "main", "")
	r.kubelet.Say(r.ns, "a", "main", "at last")
	a.mustLine("a", "at last")
}

func TestSourcesAreLimited(t *testing.T) {
	r := newRig(t, "access-limit", func(o *Options) { o.MaxSources, o.Sources = 2, 3 }, onePod("a"), onePod("b"))
	r.reachable(2, model.ObjectSelector{Kind: "Pod"})
	r.kubelet.Say(r.ns, "a", "main", "x")
	first := r.ask(model.AccessRequest{Logs: &model.LogQuery{Follow: true}})
	first.follow(func(model.LogSource, string) bool { return true })
	// Two of three are taken.
	if _, _, err := r.ask(model.AccessRequest{Logs: &model.LogQuery{}}).text(); !fault.HasCode(err, "access_limit") {
		t.Errorf("above the agent's limit: %v", err)
	}
	if _, _, err := r.ask(model.AccessRequest{Logs: &model.LogQuery{ObjectSelector: model.ObjectSelector{Name: "a"}}}).text(); err != nil {
		t.Errorf("within the agent's limit: %v", err)
	}
	r.add(onePod("c"), true)
	r.reachable(3, model.ObjectSelector{Kind: "Pod"})
	if _, _, err := r.ask(model.AccessRequest{Logs: &model.LogQuery{}}).text(); !fault.HasCode(err, "log_sources_limit") {
		t.Errorf("above the limit of one answer: %v", err)
	}
	// Who follows already is told.
	for {
		if m := first.next(); m.Notice != nil {
			if m.Notice.Code != "log_sources_limit" {
				t.Errorf("notice %+v", m.Notice)
			}
			break
		}
	}
	first.st.Close()
	await(t, "the tokens to come back", func() bool { return len(r.server.sources) == 0 })
}

func command(words ...string) *model.ExecQuery {
	return &model.ExecQuery{ObjectSelector: model.ObjectSelector{Name: "p"}, Command: words}
}

func (a *asked) say(in model.AccessInput) {
	a.t.Helper()
	if err := a.st.Send(context.Background(), wireInput(in)); err != nil {
		a.t.Fatal(err)
	}
}

func TestExec(t *testing.T) {
	r := newRig(t, "access-exec", nil, onePod("p"), configMap)
	r.reachable(1, model.ObjectSelector{Kind: "Pod"})
	await(t, "the pod to be on a node", func() bool {
		return bytes.Contains(r.kube.do(http.MethodGet, "/api/v1/namespaces/access-exec/pods/p", ""), []byte(`"nodeName"`))
	})
	run := func(q *model.ExecQuery, inputs ...model.AccessInput) (stdout, stderr string, end model.AccessEnd) {
		t.Helper()
		a := r.ask(model.AccessRequest{Exec: q})
		for _, in := range inputs {
			a.say(in)
		}
		pieces, end := a.all()
		for i, m := range pieces {
			if m.Output != nil {
				stdout += string(m.Output.Stdout)
				stderr += string(m.Output.Stderr)
			}
			if i == 0 && (m.Started == nil || m.Started.Pod != "p" || m.Started.Container != "main" || m.Started.Namespace != r.ns) {
				t.Errorf("it begins with %+v", m)
			}
		}
		return stdout, stderr, end
	}
	if out, errs, end := run(command("echo", "hello", "world")); out != "hello world\n" || errs != "" || end.Err != nil || end.ExitCode != 0 {
		t.Errorf("echo: %q, %q, %+v", out, errs, end)
	}
	if out, errs, end := run(command("warn", "careful")); out != "" || errs != "careful\n" || end.ExitCode != 0 {
		t.Errorf("warn: %q, %q, %+v", out, errs, end)
	}
	if _, _, end := run(command("exit", "42")); end.Err != nil || end.ExitCode != 42 {
		t.Errorf("exit: %+v", end)
	}
	if _, _, end := run(command("nope")); end.Err != nil || end.ExitCode != 127 {
		t.Errorf("an unknown command: %+v", end)
	}
	cat := command("cat")
	cat.Stdin = true
	big := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
	var inputs []model.AccessInput
	for piece := range slices.Chunk(big, 32<<10) {
		inputs = append(inputs, model.AccessInput{Stdin: piece})
	}
	if out, _, end := run(cat, append(inputs, model.AccessInput{StdinEnd: true})...); out != string(big) || end.Err != nil {
		t.Errorf("cat: %d bytes of %d, %+v", len(out), len(big), end)
	}
	size := command("size")
	size.TTY, size.Stdin, size.Size = true, true, model.TerminalSize{Columns: 80, Rows: 24}
	a := r.ask(model.AccessRequest{Exec: size})
	var out string
	until := func(want string) {
		t.Helper()
		for !strings.Contains(out, want) {
			m := a.next()
			if m.End != nil {
				t.Fatalf("it ended: %+v after %q", m.End, out)
			}
			if m.Output != nil {
				out += string(m.Output.Stdout)
			}
		}
	}
	until("80x24")
	a.say(model.AccessInput{Size: &model.TerminalSize{Columns: 132, Rows: 50}})
	until("132x50")
	a.say(model.AccessInput{StdinEnd: true})
	if _, end := a.all(); end.Err != nil || end.ExitCode != 0 {
		t.Errorf("it ends with %+v", end)
	}
	for name, c := range map[string]struct {
		q    model.ExecQuery
		code string
	}{
		"a ConfigMap":  {model.ExecQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap"}, Command: []string{"x"}}, "not_a_pod"},
		"no container": {model.ExecQuery{ObjectSelector: model.ObjectSelector{Name: "p"}, Container: "nope", Command: []string{"x"}}, "container_not_found"},
	} {
		if _, end := r.ask(model.AccessRequest{Exec: &c.q}).all(); !fault.HasCode(end.Err, c.code) {
			t.Errorf("%s: %v", name, end.Err)
		}
	}

	// A command ends when the hub hangs up, also one that does not read its input
	// while there is more than it takes.
	stuck := command("flood", "100000000")
	stuck.Stdin = true
	b := r.ask(model.AccessRequest{Exec: stuck})
	b.next()
	for range 6 {
		b.say(model.AccessInput{Stdin: make([]byte, 32<<10)})
	}
	b.st.Close()
	await(t, "the command to end", func() bool { _, commands := r.kubelet.Serving(); return commands == 0 })
}

func TestExecIsOffUnlessAllowed(t *testing.T) {
	r := newRig(t, "access-exec-off", func(o *Options) { o.AllowExec = false }, onePod("p"))
	r.reachable(1, model.ObjectSelector{Kind: "Pod"})
	pieces, end := r.ask(model.AccessRequest{Exec: command("echo")}).all()
	if len(pieces) > 0 || !fault.HasCode(end.Err, "exec_disabled") || fault.As(end.Err).Fix == "" {
		t.Errorf("%v, %+v", pieces, end)
	}
}

func TestRequestsHaveDeadlines(t *testing.T) {
	r := newRig(t, "access-deadline", nil, onePod("p"))
	r.reachable(1, model.ObjectSelector{Kind: "Pod"})
	began := time.Now()
	q := command("sleep")
	q.Stdin = true
	_, end := r.ask(model.AccessRequest{Exec: q, Timeout: time.Second}).all()
	if !fault.HasCode(end.Err, "access_timeout") || time.Since(began) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(began), end.Err)
	}
	// A hub that opens a stream and says nothing is not waited for.
	st, err := r.hub.Open()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-st.Done():
	case <-time.After(requestTimeout + patience):
		t.Error("the stream of a silent hub stays open")
	}
}

// A flood that nobody reads waits at the kubelet: the agent holds next to
// nothing of it, and other requests are answered meanwhile.
func TestP15_UnreadLogsWaitAtTheKubelet(t *testing.T) {
	r := newRig(t, "access-flood", nil, onePod("flood"), configMap)
	r.reachable(2, model.ObjectSelector{})
	written := make(chan int, 1)
	setFlood(t, func(ctx context.Context, q testbed.LogRequest, w io.Writer) bool {
		line := time.Now().UTC().Format(time.RFC3339Nano) + " " + strings.Repeat("x", 1000) + "\n"
		block := []byte(strings.Repeat(line, 60))
		n := 0
		for n < 1<<30 && ctx.Err() == nil {
			m, err := w.Write(block)
			n += m
			if err != nil {
				break
			}
		}
		written <- n
		return true
	})
	flood := r.ask(model.AccessRequest{Logs: &model.LogQuery{Follow: true}})
	flood.follow(func(model.LogSource, string) bool { return true })
	for range 20 {
		began := time.Now()
		objectOf(t, r.ask(model.AccessRequest{Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap"}}}))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("beside a flood an object takes %s", took)
		}
	}
	flood.st.Close()
	select {
	case n := <-written:
		// What is on the way: the hub's window, and buffers of the kernel and the
		// API server.
		if n > 64<<20 {
			t.Errorf("the kubelet has written %d MiB although nobody reads", n>>20)
		}
		t.Logf("%d KiB were on the way", n>>10)
	case <-time.After(patience):
		t.Error("the kubelet still writes")
	}
}

// A stream from the kubelet that breaks while the container runs is taken up
// where it was left: the lines that come again are not said again.
func TestBrokenStreamIsTakenUp(t *testing.T) {
	r := newRig(t, "access-broken", nil, onePod("broken"))
	r.reachable(1, model.ObjectSelector{Kind: "Pod"})
	var opened atomic.Int32
	setFlood(t, func(ctx context.Context, q testbed.LogRequest, w io.Writer) bool {
		if q.Pod != "broken" {
			return false
		}
		n := int(opened.Add(1))
		for i := range 3 * n { // each time some more
			fmt.Fprintf(w, "%s line %d\n", at(i/2).Format(time.RFC3339Nano), i)
		}
		return true
	})
	a := r.ask(model.AccessRequest{Logs: &model.LogQuery{Follow: true}})
	for i := range 9 {
		a.mustLine("broken", fmt.Sprintf("line %d", i))
	}
	if n := opened.Load(); n < 3 {
		t.Errorf("the log was opened %d times", n)
	}
}
