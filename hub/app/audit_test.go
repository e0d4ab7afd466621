package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/metrics"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// killedCommand has the test binary begin a command offline and wait to be killed.
const killedCommand = "killed-offline-for-tests"

func killedOffline() error {
	cfg := Config{Data: os.Args[3]}
	box, _, err := cfg.openVault()
	if err != nil {
		return err
	}
	s, err := store.Open(context.Background(), os.Args[2], box, store.Options{})
	if err != nil {
		return err
	}
	if err := s.LearnKeys(context.Background()); err != nil {
		return err
	}
	return attended(context.Background(), s, "hubFirstLogin", "users", func() error {
		_, _ = os.Stdout.WriteString("begun\n")
		select {}
	})
}

// stored is the store of an offline command's database.
func stored(t *testing.T, cfg Config) *store.Store {
	t.Helper()
	box, _, err := cfg.openVault()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), cfg.DatabaseURL, box, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.LearnKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func records(t *testing.T, s *store.Store) (out []audit.Record) {
	t.Helper()
	list, err := s.AuditRecords(t.Context(), fleet.AuditFilter{OldestFirst: true, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		var r audit.Record
		if err := json.Unmarshal(l.Record, &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// What somebody does at the hub's machine, past its API, has a record with his name
// there; also what failed.
func TestS13_OfflineCommandsHaveRecords(t *testing.T) {
	var cfg Config
	flags := pflag.NewFlagSet("offline", pflag.ContinueOnError)
	cfg.Flags(flags)
	if err := flags.Parse([]string{"--data", t.TempDir(), "--database-url", dbtest.Postgres(t), "--advertise", "hub.example:443"}); err != nil {
		t.Fatal(err)
	}
	if err := FirstLogin(t.Context(), cfg, io.Discard); err != nil {
		t.Fatal(err)
	}
	keys := Keys{Config: cfg, Output: "json"}
	if err := keys.Rotate(t.Context(), io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	keys.Output = "table"
	if err := keys.RotateAudit(t.Context(), &said); err != nil {
		t.Fatal(err)
	}
	if err := keys.RotateAudit(t.Context(), io.Discard); !fault.HasCode(err, "audit_key_new") {
		t.Errorf("rotated again: %v", err)
	}
	s := stored(t, cfg)
	if err := attended(t.Context(), s, "hubKeysRetire", "settings", func() error { return errors.New("no") }); err == nil {
		t.Error("a failure was kept back")
	}
	var got []string
	for _, r := range records(t, s) {
		if !strings.HasPrefix(r.Actor, "operating-system user ") || !strings.HasSuffix(r.Actor, " at the hub") || r.Actor == "operating-system user  at the hub" || r.From == "" {
			t.Errorf("%+v", r)
		}
		got = append(got, r.Action+" "+string(r.Outcome))
		if r.NextKey != "" && !strings.Contains(said.String(), r.NextKey) {
			t.Errorf("the key is %s: %s", r.NextKey, &said)
		}
	}
	if want := "hubFirstLogin done, hubKeysRotate done, auditKeyHandedOver done, auditKeyTakenOver done, hubAuditKeyRotate done, hubAuditKeyRotate failed, hubKeysRetire failed"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A command that is killed before it ends has left its record, and a hub ends it.
func TestS13_AKilledOfflineCommandHasARecord(t *testing.T) {
	cfg := Config{Data: t.TempDir(), DatabaseURL: dbtest.Postgres(t)}
	if err := migrations.Up(t.Context(), cfg.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	s := stored(t, cfg)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, killedCommand, cfg.DatabaseURL, filepath.Clean(cfg.Data))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	_, err = io.ReadFull(out, line)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Fatal("the command did not begin: ", err)
	}
	if got := records(t, s); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	if _, n, err := s.CloseAudit(t.Context(), audit.Head{}, 0); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	got := records(t, s)
	if len(got) != 1 || got[0].Outcome != audit.Unknown || got[0].Action != "hubFirstLogin" || got[0].Reason == "" {
		t.Errorf("%+v", got)
	}
}

// The metric rises each time that the database takes no record: of a command, which
// is not carried out then, and of what is stored later.
func TestAuditFailuresAreCounted(t *testing.T) {
	box, err := vault.New(make([]byte, vault.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), dbtest.Postgres(t), box, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	set := metrics.New("test", time.Now)
	h := &hub{store: s, metrics: set, log: slog.New(slog.DiscardHandler)}
	if err := h.startAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
	failures := func() float64 {
		t.Helper()
		families, err := set.Registry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "hawser_audit_failures_total" {
				return f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		t.Fatal("there is no such metric")
		return 0
	}
	r := audit.Record{Kind: audit.Command, Action: "syncApplication", Outcome: audit.Unknown}
	if _, err := h.audit.Begin(t.Context(), r); err != nil || failures() != 0 {
		t.Fatalf("%v, %v failures", err, failures())
	}
	s.Close() // from here on it takes nothing
	if _, err := h.audit.Begin(t.Context(), r); !fault.HasCode(err, "audit_unavailable") || failures() != 1 {
		t.Errorf("%v, %v failures", err, failures())
	}
	h.audit.Add(fleet.AuditEntry{Record: r})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.audit.Run(over); err != nil || failures() < 2 { // its last write fails
		t.Errorf("%v, %v failures", err, failures())
	}
}
