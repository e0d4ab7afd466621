package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/migrations"
)

// firstLoginLink is the link of a login code. The code is in its fragment.
func firstLoginLink(c Config, code string) string {
	return "https://" + c.Advertise + api.FirstLoginPath + "#" + code
}

// FirstLogin makes a one-time login code without a hub, as whoever can read the
// hub's database and its key may, and prints its link. The code before is void. It
// is for a hub whose administrators cannot log in any more.
func FirstLogin(ctx context.Context, cfg Config, out io.Writer) (err error) {
	if err := cfg.complete(); err != nil {
		return err
	}
	if err := cfg.makeDataDir(); err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	dsn, private, err := cfg.openDatabase(ctx, log)
	if err != nil {
		return err
	}
	if private != nil {
		defer func() { err = errors.Join(err, private.Stop()) }()
	}
	if err := migrations.Up(ctx, dsn); err != nil {
		return err
	}
	box, _, err := cfg.openVault()
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, dsn, box, store.Options{Log: log})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.LearnKeys(ctx); err != nil {
		return err
	}
	var code string
	err = attended(ctx, s, "hubFirstLogin", "users", func() (err error) {
		code, err = auth.New(s, nil, log).NewLoginCode(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if err := writeFor(cfg.LoginCodeFile, code, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(out, `Within a day, once, in a browser:

  %s

or without one, where hawser login asks for the code:

  %s
`, firstLoginLink(cfg, code), code)
	return nil
}
