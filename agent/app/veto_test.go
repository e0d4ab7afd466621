package app

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/veto"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// cupboard keeps Secrets as the API server does: with versions.
type cupboard struct {
	mu      sync.Mutex
	secrets map[string]journal.Secret
	version int
}

func (c *cupboard) Get(_ context.Context, name string) (journal.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.secrets[name]
	if !ok {
		return s, fault.New(fault.NotFound, "not_found", "none")
	}
	return s, nil
}

func (c *cupboard) Create(_ context.Context, s journal.Secret) (journal.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.secrets[s.Name]; ok {
		return s, fault.New(fault.Conflict, "version_conflict", "it exists")
	}
	return c.put(s), nil
}

func (c *cupboard) Update(_ context.Context, s journal.Secret) (journal.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch old, ok := c.secrets[s.Name]; {
	case !ok:
		return s, fault.New(fault.NotFound, "not_found", "none")
	case old.ResourceVersion != s.ResourceVersion:
		return s, fault.New(fault.Conflict, "version_conflict", "another version")
	}
	return c.put(s), nil
}

func (c *cupboard) put(s journal.Secret) journal.Secret {
	c.version++
	s.ResourceVersion = strconv.Itoa(c.version)
	if c.secrets == nil {
		c.secrets = map[string]journal.Secret{}
	}
	c.secrets[s.Name] = s
	return s
}

func TestTheCountOfDeletesIsKept(t *testing.T) {
	c := &cupboard{}
	v := &vetoCounts{secrets: c}
	if b, err := v.LoadCounts(t.Context()); err != nil || b != nil {
		t.Fatalf("%s %v", b, err)
	}
	for _, text := range []string{"one", "two"} {
		if err := v.SaveCounts(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	// Another process writes: this one has to read that first.
	other := &vetoCounts{secrets: c}
	if b, err := other.LoadCounts(t.Context()); err != nil || string(b) != "two" {
		t.Fatalf("%s %v", b, err)
	}
	if err := other.SaveCounts(t.Context(), []byte("three")); err != nil {
		t.Fatal(err)
	}
	if err := v.SaveCounts(t.Context(), []byte("four")); !fault.Is(err, fault.Conflict) {
		t.Errorf("%v", err)
	}
	if b, err := v.LoadCounts(t.Context()); err != nil || string(b) != "three" {
		t.Errorf("%s %v", b, err)
	}
	if err := v.SaveCounts(t.Context(), []byte("four")); err != nil {
		t.Error(err)
	}
}

func TestTheHubsSettingsAreKept(t *testing.T) {
	c := &cupboard{}
	s := hubSettings{c}
	if _, ok, err := s.LoadSettings(t.Context()); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	for v := range int64(3) {
		want := model.Settings{Version: v, Customizations: model.Customizations{"k": fmt.Sprint("<", v, ">\n")}}
		if err := s.SaveSettings(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, ok, err := s.LoadSettings(t.Context())
		if err != nil || !ok || got.Version != v || got.Customizations.Digest() != want.Customizations.Digest() {
			t.Errorf("%+v %v %v", got, ok, err)
		}
	}
	for _, data := range []map[string][]byte{
		nil,
		{settingsVersion: []byte("x"), settingsCustomizations: []byte("{}")},
		{settingsVersion: []byte("1"), settingsCustomizations: []byte("{")},
	} {
		c.put(journal.Secret{Name: settingsSecret, Data: data})
		if _, _, err := s.LoadSettings(t.Context()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func TestActionsAskTheClustersPolicy(t *testing.T) {
	a := &agent{veto: veto.NewKeeper(veto.Options{Namespace: "hawser-system"})}
	a.veto.Set(map[string]string{veto.PolicyKey: "deny: [{verbs: [action], namespaces: [closed]}]"}, true)
	run := func(namespace string) ([]string, error) {
		obj := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": map[string]any{"name": "web", "namespace": namespace},
			"spec":     map[string]any{"template": map[string]any{"spec": map[string]any{}}}}
		effects, err := runs{a}.Run(model.GroupKind{Group: "apps", Kind: "Deployment"}, "restart", nil, obj, "01a", time.Unix(0, 0))
		var out []string
		for _, e := range effects {
			out = append(out, fmt.Sprint(e.Create, e.Subresource, e.Object["kind"]))
		}
		return out, err
	}
	for _, ns := range []string{"closed", "hawser-system"} {
		if _, err := run(ns); !fault.HasCode(err, "vetoed") {
			t.Errorf("%s: %v", ns, err)
		}
	}
	if got, err := run("open"); err != nil || len(got) != 1 || got[0] != "falseDeployment" {
		t.Errorf("%v %v", got, err)
	}
}
