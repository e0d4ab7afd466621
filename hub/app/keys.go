package app

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// keysInterval is how often a hub reads the versions of the vault's key.
	keysInterval = 5 * time.Second
	// resealInterval is how often it looks for values that an older version sealed,
	// while one is not retired.
	resealInterval = time.Minute
	// resealPause is between two batches: others need the database too.
	resealPause = 50 * time.Millisecond
)

func (c *Config) openVault() (*vault.Box, vault.Source, error) {
	return vault.Load(vault.KeyOptions{File: os.Getenv("HAWSER_VAULT_KEY_FILE"), Value: os.Getenv(vault.EnvKey), Dir: c.Data})
}

// watchKeys keeps up with the versions of the vault's key, and seals anew what older
// ones sealed.
func (h *hub) watchKeys(ctx context.Context) error {
	tick := time.NewTicker(keysInterval)
	defer tick.Stop()
	var looked time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := h.keys(ctx, &looked); err != nil && ctx.Err() == nil {
			h.log.Warn("the versions of the vault's key are not up to date", "error", err)
		}
	}
}

func (h *hub) keys(ctx context.Context, looked *time.Time) error {
	if err := h.store.ReadKeys(ctx, h.instance); err != nil {
		return err
	}
	announced, opening, err := h.store.ResealingDue(ctx)
	if err != nil {
		return err
	}
	if announced {
		done, waiting, err := h.store.UseAnnouncedKey(ctx)
		switch {
		case err != nil:
			return err
		case done:
			h.log.Info("a new version of the vault's key seals from now on")
			*looked, opening = time.Time{}, true
		case len(waiting) > 0:
			h.log.Info("a new version of the vault's key waits for hubs that do not have it yet", "instances", waiting)
		}
	}
	if !opening || time.Since(*looked) < resealInterval {
		return nil
	}
	*looked = time.Now()
	done, damaged, err := reseal(ctx, h.store, func(int) {})
	if done > 0 {
		h.log.Info("values are sealed with the new version of the vault's key", "count", done)
	}
	for _, d := range damaged {
		h.log.Warn("a sealed value cannot be opened", "value", d)
	}
	return err
}

func (h *hub) stopKeys(ctx context.Context) error {
	if err := h.store.LeaveKeys(ctx, h.instance); err != nil {
		h.log.Warn("others wait a minute for this hub if the vault's key is rotated now", "error", err)
	}
	return nil
}

// reseal works until nothing is left that an older version sealed, or somebody else
// is at it.
func reseal(ctx context.Context, s *store.Store, progress func(done int)) (total int, damaged []string, err error) {
	for {
		step, err := s.Reseal(ctx)
		if err != nil {
			return total, damaged, err
		}
		total, damaged = total+step.Done, step.Damaged
		progress(step.Done)
		if !step.More && !step.Busy {
			return total, damaged, nil
		}
		select {
		case <-ctx.Done():
			return total, damaged, ctx.Err()
		case <-time.After(resealPause):
		}
	}
}

// Keys are the commands about the versions of the vault's key. They use the
// database and the key file, whether or not a hub runs.
type Keys struct {
	Config Config
	Output string
	// Wait bounds how long Rotate waits for hubs to learn a version.
	Wait time.Duration
}

// Flags registers the options.
func (k *Keys) Flags(f *pflag.FlagSet) {
	k.Config.Flags(f)
	f.StringVarP(&k.Output, "output", "o", "table", "table or json")
}

// RotateFlags registers those of Rotate.
func (k *Keys) RotateFlags(f *pflag.FlagSet) {
	f.DurationVar(&k.Wait, "wait", 2*time.Minute, "how long to wait until every hub that runs has the new version")
}

func (k *Keys) with(ctx context.Context, do func(*store.Store) error) error {
	if k.Output != "table" && k.Output != "json" {
		return fault.New(fault.Invalid, "flag_invalid", "%q is no format", k.Output).WithField("--output").WithFix("use table or json")
	}
	return k.Config.withDatabase(ctx, func(_ string, s *store.Store) error { return do(s) })
}

// withDatabase opens the hub's database with its keys, for a command that works
// beside hubs or without any.
func (c *Config) withDatabase(ctx context.Context, do func(dsn string, s *store.Store) error) (err error) {
	if err := c.complete(); err != nil {
		return err
	}
	if err := c.makeDataDir(); err != nil {
		return err
	}
	dsn, private, err := c.openDatabase(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if private != nil {
		defer func() { err = errors.Join(err, private.Stop()) }() // a hub that uses it keeps it up
	}
	box, _, err := c.openVault()
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, dsn, box, store.Options{MaxConns: 4})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.LearnKeys(ctx); err != nil {
		return err
	}
	return do(dsn, s)
}

// changing is with, for what has an audit record.
func (k *Keys) changing(ctx context.Context, action string, do func(*store.Store) error) error {
	return k.with(ctx, func(s *store.Store) error {
		return attended(ctx, s, action, "settings", func() error { return do(s) })
	})
}

// Rotate makes a new version, waits until all hubs have it, and seals everything
// with it. What a call that was killed has begun, the next one ends.
func (k *Keys) Rotate(ctx context.Context, out, progress io.Writer) error {
	return k.changing(ctx, "hubKeysRotate", func(s *store.Store) error {
		version, err := s.AnnounceKey(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(progress, "version %s is announced\n", version)
		if err := k.await(ctx, s, version, progress); err != nil {
			return err
		}
		fmt.Fprintf(progress, "version %s seals\n", version)
		total := 0
		_, damaged, err := reseal(ctx, s, func(n int) {
			if total += n; n > 0 {
				fmt.Fprintf(progress, "%d values are sealed anew\n", total)
			}
		})
		if err != nil {
			return err
		}
		for _, d := range damaged {
			fmt.Fprintf(progress, "warning: %s cannot be opened and stays as it is (vault_value_damaged)\n", d)
		}
		return k.print(ctx, s, out)
	})
}

// await returns when a version is no longer only announced.
func (k *Keys) await(ctx context.Context, s *store.Store, version string, progress io.Writer) error {
	for deadline := time.Now().Add(k.Wait); ; {
		done, waiting, err := s.UseAnnouncedKey(ctx)
		if err != nil || done {
			return err
		}
		if len(waiting) == 0 {
			return nil // a hub was quicker
		}
		if !time.Now().Before(deadline) {
			return fault.New(fault.Unavailable, "vault_key_waits", "hubs that run have not learnt key version %s within %s: %v", version, k.Wait, waiting).
				WithFix("see that they reach the database; the hubs go on by themselves, and so does hawser-hub keys rotate")
		}
		fmt.Fprintf(progress, "waiting for %v\n", waiting)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// Retire ends the versions that nothing is sealed with any more.
func (k *Keys) Retire(ctx context.Context, out, progress io.Writer) error {
	return k.changing(ctx, "hubKeysRetire", func(s *store.Store) error {
		// A hub may have sealed with the old one until it saw the new one.
		if _, _, err := reseal(ctx, s, func(int) {}); err != nil {
			return err
		}
		retired, held, err := s.RetireKeys(ctx)
		if err != nil {
			return err
		}
		for _, v := range retired {
			fmt.Fprintf(progress, "version %s is retired\n", v)
		}
		if len(held) > 0 {
			return fault.New(fault.Conflict, "vault_key_in_use", "values are still sealed with older key versions: %v", held).
				WithFix("hawser-hub keys rotate ends what is begun; hawser-hub keys status says where they are")
		}
		return k.print(ctx, s, out)
	})
}

// RotateAudit has a new key sign the audit records. Hubs that run sign with it from
// their next record on.
func (k *Keys) RotateAudit(ctx context.Context, out io.Writer) error {
	return k.changing(ctx, "hubAuditKeyRotate", func(s *store.Store) error {
		key, err := s.RotateAuditKey(ctx, atTheHub())
		if err != nil {
			return err
		}
		if k.Output == "json" {
			return json.NewEncoder(out).Encode(map[string]string{"key": hex.EncodeToString(key)})
		}
		_, err = fmt.Fprintf(out, "audit records are signed with the key %x\n", key)
		return err
	})
}

// Status prints the versions, what each has sealed, and which hubs have them.
func (k *Keys) Status(ctx context.Context, out io.Writer) error {
	return k.with(ctx, func(s *store.Store) error { return k.print(ctx, s, out) })
}

func (k *Keys) print(ctx context.Context, s *store.Store, out io.Writer) error {
	status, err := s.KeyStatus(ctx)
	if err != nil {
		return err
	}
	if k.Output == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(status)
	}
	return printKeys(status, out)
}

func printKeys(status fleet.KeyStatus, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tSTATE\tKEPT UNDER\tSEALS SINCE\tVALUES")
	at := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.Format(time.RFC3339)
	}
	for _, v := range status.Keys {
		kept := v.KeptUnder
		if kept == "" {
			kept = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", v.Version, v.State, kept, at(v.SealingAt), v.Count())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range status.Readers {
		for _, v := range status.Keys {
			if r.Live && (v.State == fleet.KeyAnnounced || v.State == fleet.KeySealing) && !slices.Contains(r.Versions, v.Version) {
				fmt.Fprintf(out, "hub %s does not have version %s\n", r.Instance, v.Version)
			}
		}
	}
	return nil
}
