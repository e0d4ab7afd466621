package devdb

import (
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the server's programs run as. PostgreSQL refuses
// root, so root lends it another.
type account struct {
	name string
	// lent is nil when the programs run as ourselves.
	lent *syscall.Credential
}

func serverUser() (*account, error) {
	if os.Geteuid() != 0 {
		return &account{name: "this user"}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &account{name: name, lent: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
		}
	}
	return &account{name: "nobody", lent: &syscall.Credential{Uid: 65534, Gid: 65534}}, nil
}

// apply makes cmd run as the account, in a directory that it can read, with an
// environment that holds nothing of ours.
func (a *account) apply(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if a.lent != nil {
		c := *a.lent
		cmd.SysProcAttr.Credential = &c
	}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}

// own gives the files to the account.
func (a *account) own(paths ...string) error {
	if a.lent == nil {
		return nil
	}
	for _, p := range paths {
		if err := os.Chown(p, int(a.lent.Uid), int(a.lent.Gid)); err != nil {
			return fmt.Errorf("devdb: give %s to user %s: %w", p, a.name, err)
		}
	}
	return nil
}

// reach checks that the account may pass through every parent of dir.
func (a *account) reach(dir string) error {
	if a.lent == nil {
		return nil
	}
	for d := dir; ; d = filepath.Dir(d) {
		st, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("devdb: %w", err)
		}
		sys := st.Sys().(*syscall.Stat_t)
		need := os.FileMode(0o001)
		switch {
		case sys.Uid == a.lent.Uid:
			need = 0o100
		case sys.Gid == a.lent.Gid:
			need = 0o010
		}
		if st.Mode().Perm()&need == 0 {
			return fmt.Errorf("devdb: PostgreSQL does not run as root, and user %s may not pass through %s (mode %04o); choose another data directory, set DATABASE_URL, or run the hub as an ordinary user",
				a.name, d, st.Mode().Perm())
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

// prepareDir makes the directory and what must be in it before the first start.
func prepareDir(opts Options, as *account) (dir string, own bool, err error) {
	if opts.Dir == "" {
		if !opts.Ephemeral {
			return "", false, fmt.Errorf("devdb: a directory is needed")
		}
		removeAbandoned()
		// A short path, because a socket lives in it.
		dir, err = os.MkdirTemp("", ephemeralPrefix)
		if err != nil {
			return "", false, fmt.Errorf("devdb: %w", err)
		}
		own = true
	} else {
		if dir, err = filepath.Abs(opts.Dir); err != nil {
			return "", false, fmt.Errorf("devdb: %w", err)
		}
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return "", false, fmt.Errorf("devdb: %w", err)
		}
	}
	fail := func(err error) (string, bool, error) {
		if own {
			os.RemoveAll(dir)
		}
		return "", false, err
	}
	if as.lent != nil {
		// The account passes through; what is secret in here has its own mode.
		if err := os.Chmod(dir, 0o711); err != nil {
			return fail(fmt.Errorf("devdb: %w", err))
		}
		if err := as.reach(dir); err != nil {
			return fail(err)
		}
	}
	run := filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return fail(fmt.Errorf("devdb: %w", err))
	}
	if err := as.own(run); err != nil {
		return fail(err)
	}
	return dir, own, nil
}
