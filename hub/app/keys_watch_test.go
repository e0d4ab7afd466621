package app

import (
	"bytes"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/migrations"
)

// A rotation that was cut after it announced a version is ended by the hubs: the last
// to learn the version has it used, and values that the older one sealed are sealed
// anew. None of that is done before all know it.
func TestHubsEndARotationThatWasCut(t *testing.T) {
	ctx, dsn := t.Context(), dbtest.Postgres(t)
	if err := migrations.Up(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	var hubs []*hub
	for _, name := range []string{"a", "b"} {
		box, err := vault.New(bytes.Repeat([]byte{7}, vault.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(ctx, dsn, box, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		hubs = append(hubs, &hub{store: s, instance: name, log: slog.New(slog.DiscardHandler)})
		if err := s.ReadKeys(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := hubs[0].store.PutSecretOnce(ctx, "one", []byte("value")); err != nil {
		t.Fatal(err)
	}
	announced, err := hubs[0].store.AnnounceKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	version := func() fleet.VaultKey {
		t.Helper()
		status, err := hubs[0].store.KeyStatus(ctx)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(status.Keys, func(k fleet.VaultKey) bool { return k.Version == announced })
		if i < 0 {
			t.Fatalf("version %s is gone: %+v", announced, status)
		}
		return status.Keys[i]
	}
	look := func(h *hub) {
		t.Helper()
		if err := h.keys(ctx, new(time.Time)); err != nil {
			t.Fatal(err)
		}
	}
	look(hubs[0])
	if got := version(); got.State == fleet.KeySealing {
		t.Fatalf("it is used before hub b knows it: %+v", got)
	}
	look(hubs[1])
	if got := version(); got.State != fleet.KeySealing || got.Count() == 0 {
		t.Errorf("nobody ended the rotation: %+v", got)
	}
	if text, err := hubs[0].store.Secret(ctx, "one"); err != nil || string(text) != "value" {
		t.Errorf("%q, %v", text, err)
	}
}
