package scenarios

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

func cmdCommit(ts *testscript.TestScript, neg bool, args []string) {
	signed := len(args) == 3 && args[2] == "signed"
	if neg || len(args) != 2 && !signed {
		usage(ts, "commit DIR MESSAGE [signed]")
	}
	dir := ts.MkAbs(args[0])
	files := map[string][]byte{}
	ts.Check(filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		files[filepath.ToSlash(rel)] = append([]byte{}, b...)
		return err
	}))
	ctx, cancel := within()
	defer cancel()
	change := testbed.Change{Message: args[1], Files: files, ReplaceAll: true}
	if signed {
		change.Sign = of(ts).sign
	}
	sha, err := of(ts).repo.Apply(ctx, change)
	ts.Check(err)
	ts.Setenv("COMMIT", sha)
}

func cmdTag(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		usage(ts, "tag NAME")
	}
	ctx, cancel := within()
	defer cancel()
	ts.Check(of(ts).repo.SetTag(ctx, args[0], ts.Getenv("COMMIT")))
}

func cmdPush(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		usage(ts, "push")
	}
	s := of(ts)
	ctx, cancel := within()
	defer cancel()
	ts.Check(s.Push(ctx, s.repo.URL(), testbed.DefaultBranch, ts.Getenv("COMMIT")))
}

// cmdGit makes the Git server that all scripts share misbehave.
func cmdGit(ts *testscript.TestScript, neg bool, args []string) {
	git := of(ts).Git
	switch {
	case len(args) == 1 && args[0] == "down":
		git.Down()
		ts.Defer(func() { git.Up() })
	case len(args) == 1 && args[0] == "up":
		ts.Check(git.Up())
	case len(args) == 1 && args[0] == "html":
		git.SetFault(testbed.FaultHTML())
		ts.Defer(git.ClearFaults)
	case len(args) == 1 && args[0] == "well":
		git.ClearFaults()
	case len(args) == 2 && args[0] == "status":
		code, err := strconv.Atoi(args[1])
		ts.Check(err)
		git.SetFault(testbed.FaultStatus(code))
		ts.Defer(git.ClearFaults)
	default:
		usage(ts, "git down|up|html|well|status N")
	}
}

// newSigner makes the key that a script signs with, and its public part in ASCII
// armour.
func newSigner(name string) (signer *openpgp.Entity, public []byte, err error) {
	signer, err = openpgp.NewEntity("Ann of "+name, "", "ann@"+name+".test", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err == nil {
		err = signer.Serialize(w)
	}
	if err == nil {
		err = w.Close()
	}
	return signer, append(b.Bytes(), '\n'), err
}

// sign signs an object of Git with the script's key.
func (s *script) sign(object []byte) (string, error) {
	var b bytes.Buffer
	err := openpgp.ArmoredDetachSign(&b, s.signer, bytes.NewReader(object), nil)
	return b.String(), err
}
