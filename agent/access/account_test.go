package access

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/remotecommand"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestM05_RequestsAreMadeAsTheProjectsAccount(t *testing.T) {
	const user = "system:serviceaccount:shop:viewer"
	pod := object("Pod a/p", "shop")
	var mu sync.Mutex
	var users []string
	s, _, _ := small(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		users = append(users, r.Header.Get("Impersonate-User"))
		w.WriteHeader(http.StatusForbidden)
	}, &objects{records: []live.Record{pod}}, pod.Key)
	if _, err := s.get(context.Background(), "/version", nil); !fault.HasCode(err, "caller_missing") {
		t.Errorf("on nobody's behalf: %v", err)
	}
	if _, err := s.executor(context.Background(), reached{Record: pod}, "c", model.ExecQuery{}); !fault.HasCode(err, "caller_missing") {
		t.Errorf("a command on nobody's behalf: %v", err)
	}
	if len(users) > 0 {
		t.Fatalf("%d requests were made", len(users))
	}
	_, err := s.get(as(context.Background(), user), "/version", nil)
	if f := fault.As(err); f.Code != "access_forbidden" || f.Fix != "let the service account shop/viewer read it" {
		t.Errorf("%+v", f)
	}
	// A command is refused as an answer of the API server, which names the user.
	executor, err := s.executor(as(context.Background(), user), reached{Record: pod, kind: live.Kind{Resource: "pods", Version: "v1", Namespaced: true}}, "c", model.ExecQuery{Command: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard}); err == nil {
		t.Error("the command ran")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(users) < 2 {
		t.Fatalf("%d requests", len(users))
	}
	for _, u := range users {
		if u != user {
			t.Errorf("a request as %q", u)
		}
	}
}

func TestM05_WhatIsShownEndsWithTheAccount(t *testing.T) {
	pod := object("Pod a/p", "shop")
	s, _, _ := small(t, nil, &objects{records: []live.Record{pod}}, pod.Key)
	var mu sync.Mutex
	account := "system:serviceaccount:shop:one"
	var refused error
	s.o.Account = func(model.AppUID) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		return account, refused
	}
	for name, c := range map[string]struct {
		change func()
		code   string
	}{
		"another account": {func() { account = "system:serviceaccount:shop:two" }, "account_changed"},
		"no account":      {func() { refused = fault.New(fault.Denied, "service_account_not_found", "none") }, "service_account_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			account, refused = "system:serviceaccount:shop:one", nil
			all, err := s.reach(app)
			if err != nil {
				t.Fatal(err)
			}
			g, stop := s.guard(&answer{ctx: as(t.Context(), account), app: app}, "logs", all)
			defer stop()
			mu.Lock()
			c.change()
			mu.Unlock()
			select {
			case <-g.ctx.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("it goes on")
			}
			if err := context.Cause(g.ctx); !fault.HasCode(err, c.code) {
				t.Error(err)
			}
		})
	}
}
