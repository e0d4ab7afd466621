package sync

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// ownKube is a Kube whose requests are the agent's own unless they say otherwise,
// for tests that are about something else.
type ownKube struct{ *Kube }

func own(ctx context.Context) context.Context {
	if _, ok := CallerOf(ctx); ok {
		return ctx
	}
	return As(ctx, Own)
}

func (k ownKube) Apply(ctx context.Context, w Write) ([]byte, error) {
	return k.Kube.Apply(own(ctx), w)
}
func (k ownKube) Create(ctx context.Context, w Write) ([]byte, error) {
	return k.Kube.Create(own(ctx), w)
}
func (k ownKube) Patch(ctx context.Context, p PatchRequest) ([]byte, error) {
	return k.Kube.Patch(own(ctx), p)
}
func (k ownKube) Delete(ctx context.Context, r Removal) error  { return k.Kube.Delete(own(ctx), r) }
func (k ownKube) Release(ctx context.Context, r Release) error { return k.Kube.Release(own(ctx), r) }
func (k ownKube) Get(ctx context.Context, kind live.Kind, version string, key model.ObjectKey) ([]byte, error) {
	return k.Kube.Get(own(ctx), kind, version, key)
}

// everyRequest makes each request that an Applier can make.
func everyRequest(k Applier) map[string]func(context.Context) error {
	kind := live.Kind{GroupKind: model.GroupKind{Kind: "ConfigMap"}, Version: "v1", Resource: "configmaps", Namespaced: true}
	key := model.ObjectKey{Kind: "ConfigMap", Namespace: "n", Name: "a"}
	write := Write{Kind: kind, Key: key, Version: "v1", Body: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"n"}}`)}
	with := func(change func(*Write)) Write {
		w := write
		change(&w)
		return w
	}
	apply := func(w Write) func(context.Context) error {
		return func(ctx context.Context) error { _, err := k.Apply(ctx, w); return err }
	}
	return map[string]func(context.Context) error{
		"apply":    apply(write),
		"replace":  apply(with(func(w *Write) { w.Mode, w.UID, w.ResourceVersion = ModeReplace, "u", "1" })),
		"recreate": apply(with(func(w *Write) { w.Mode, w.UID = ModeRecreate, "u" })),
		"force":    apply(with(func(w *Write) { w.Force, w.UID = true, "u" })),
		"migrate":  apply(with(func(w *Write) { w.Migrate, w.UID, w.ResourceVersion = []string{"kubectl"}, "u", "1" })),
		"create":   func(ctx context.Context) error { _, err := k.Create(ctx, write); return err },
		"patch": func(ctx context.Context) error {
			_, err := k.Patch(ctx, PatchRequest{Kind: kind, Key: key, Patch: []byte(`{}`)})
			return err
		},
		"delete":  func(ctx context.Context) error { return k.Delete(ctx, Removal{Kind: kind, Key: key, UID: "u"}) },
		"release": func(ctx context.Context) error { return k.Release(ctx, Release{Kind: kind, Key: key, UID: "u"}) },
		"get":     func(ctx context.Context) error { _, err := k.Get(ctx, kind, "v1", key); return err },
		"dry run": apply(with(func(w *Write) { w.DryRun = true })),
	}
}

// heard is an API server that says yes to everything and notes what it heard.
func heard(t *testing.T) (*Kube, *[]*http.Request) {
	t.Helper()
	var seen []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"1"}}`))
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return NewKube(server.Client(), base, "hawser-agent/test"), &seen
}

func TestM05_RequestsOnNobodysBehalfAreNotMade(t *testing.T) {
	k, seen := heard(t)
	for name, request := range everyRequest(k) {
		if err := request(t.Context()); !fault.HasCode(err, "caller_missing") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(*seen) > 0 {
		t.Errorf("%d requests were made", len(*seen))
	}
}

func TestM05_EveryRequestIsImpersonated(t *testing.T) {
	const user = "system:serviceaccount:shop:deployer"
	k, seen := heard(t)
	for name, request := range everyRequest(k) {
		*seen = nil
		_ = request(As(t.Context(), Caller{User: user})) // what the answer means is not the question
		if len(*seen) == 0 {
			t.Errorf("%s: no request", name)
		}
		for _, r := range *seen {
			if got := r.Header.Values("Impersonate-User"); len(got) != 1 || got[0] != user {
				t.Errorf("%s: %s %s as %q", name, r.Method, r.URL, got)
			}
		}
	}
	*seen = nil
	for _, request := range everyRequest(k) {
		_ = request(As(t.Context(), Own))
	}
	for _, r := range *seen {
		if r.Header.Get("Impersonate-User") != "" {
			t.Errorf("the agent's own %s %s is impersonated", r.Method, r.URL)
		}
	}
}

func TestWhoMayOnlyReadWritesNothing(t *testing.T) {
	k, seen := heard(t)
	for name, request := range everyRequest(k) {
		err := request(As(t.Context(), Caller{ReadOnly: func() bool { return true }}))
		if harmless := name == "get"; harmless != (err == nil) {
			t.Errorf("%s: %v", name, err)
		} else if !harmless && !fault.HasCode(err, CodeObserveOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range *seen {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s was made", r.Method, r.URL)
		}
	}
}

func TestM05_WhomNobodyCanActAsDoesNothing(t *testing.T) {
	k, seen := heard(t)
	refused := fault.New(fault.Denied, "service_account_not_found", "none")
	for name, request := range everyRequest(k) {
		if err := request(As(t.Context(), Caller{Refused: refused})); !fault.HasCode(err, "service_account_not_found") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(*seen) > 0 {
		t.Errorf("%d requests were made", len(*seen))
	}
}

func TestM05_RefusalsOfImpersonatedRequests(t *testing.T) {
	const user = "system:serviceaccount:shop:deployer"
	for name, c := range map[string]struct {
		said    string
		account int // status of its GET
		code    string
	}{
		"the account may not": {`User \"system:serviceaccount:shop:deployer\" cannot patch resource`, 200, "forbidden"},
		"there is no account": {`User \"system:serviceaccount:shop:deployer\" cannot patch resource`, 404, "service_account_missing"},
		"nobody can tell":     {`User \"system:serviceaccount:shop:deployer\" cannot patch resource`, 403, "forbidden"},
		"the agent may not":   {`User \"system:serviceaccount:h:agent\" cannot impersonate resource \"serviceaccounts\"`, 200, "impersonation_forbidden"},
		"a quota":             {`exceeded quota: q`, 404, "quota_exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case r.Header.Get("Impersonate-User") == user:
					w.WriteHeader(http.StatusForbidden)
					_, _ = w.Write([]byte(`{"kind":"Status","status":"Failure","reason":"Forbidden","code":403,"message":"configmaps is forbidden: ` + c.said + `"}`))
				case r.Method == http.MethodGet && r.URL.Path == "/api/v1/namespaces/shop/serviceaccounts/deployer":
					w.WriteHeader(c.account)
					_, _ = w.Write([]byte(`{"kind":"Status","status":"Failure","message":"serviceaccounts \"deployer\" not found","details":{"kind":"serviceaccounts","name":"deployer"}}`))
				default:
					t.Errorf("%s %s with the agent's own rights", r.Method, r.URL)
				}
			}))
			defer server.Close()
			base, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			k := NewKube(server.Client(), base, "hawser-agent/test")
			err = everyRequest(k)["apply"](As(t.Context(), Caller{User: user}))
			if !fault.HasCode(err, c.code) {
				t.Errorf("got %v (%s), want %s", err, fault.As(err).Code, c.code)
			}
		})
	}
}
