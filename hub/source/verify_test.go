package source

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/policy"
)

// gpgKey is a key, and its public part in ASCII.
func gpgKey(t *testing.T, name string) (*openpgp.Entity, string) {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.test", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err == nil {
		err = e.Serialize(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return e, b.String() + "\n"
}

// signedCommit makes a commit on main, signed by e; nil does not sign.
func signedCommit(t *testing.T, repo *testbed.Repo, e *openpgp.Entity, message string) string {
	t.Helper()
	id := change(t, repo, testbed.Change{Message: message, Files: content(map[string]string{"a.yaml": fmt.Sprintf("at: %d\n", time.Now().UnixNano())})})
	if e == nil {
		return id
	}
	raw, err := repo.Raw(t.Context(), "commit", id)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&b, e, bytes.NewReader(raw), nil); err != nil {
		t.Fatal(err)
	}
	header, body, _ := strings.Cut(string(raw), "\n\n")
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	id, err = repo.Object(t.Context(), "commit", []byte(header+"\ngpgsig "+strings.Join(lines, "\n ")+"\n\n"+body))
	if err == nil {
		err = repo.SetBranch(t.Context(), "main", id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// states are the states of facts in short, such as "good×2 unsigned".
func states(f policy.SignatureFacts) string {
	var out []string
	for _, s := range f.Signatures {
		text := string(s.State)
		if s.Tag {
			text = "tag " + text
		}
		if s.Objects > 1 {
			text += fmt.Sprintf("×%d", s.Objects)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestWhoHasSigned(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, err := server.CreateRepo(t.Context(), "signed")
	if err != nil {
		t.Fatal(err)
	}
	ann, annKey := gpgKey(t, "ann")
	bob, _ := gpgKey(t, "bob")
	for range 100 { // more than is fetched at first
		signedCommit(t, repo, nil, "before anybody signed")
	}
	signedCommit(t, repo, ann, "From now on\n\nArgocd-gpg-seal: everything before was reviewed\n")
	for range 3 {
		signedCommit(t, repo, ann, "signed")
	}
	s := newSources(t, Options{AllowFile: true})
	verify := func(revision string, mode policy.SignatureMode, keys ...string) policy.SignatureFacts {
		t.Helper()
		target := fleet.Target{RepoURL: repo.URL(), Revision: revision}
		r := resolveOne(t, s, repo.URL(), revision)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		f, err := s.Verify(t.Context(), target, r.Commit, r.Tag, mode, keys)
		if err != nil {
			t.Fatal(err)
		}
		if f.Commit != r.Commit || f.Mode != mode {
			t.Errorf("%+v", f)
		}
		return f
	}
	want := func(name string, f policy.SignatureFacts, text string) {
		t.Helper()
		if got := states(f); got != text {
			t.Errorf("%s: %s, want %s", name, got, text)
		}
	}
	want("head", verify("main", policy.SignatureHead, annKey), "good")
	want("strict, back to the seal", verify("main", policy.SignatureStrict, annKey), "good×4")
	want("without the key", verify("main", policy.SignatureHead), "unknown_key")
	signedCommit(t, repo, nil, "nobody")
	want("unsigned head", verify("main", policy.SignatureHead, annKey), "unsigned")
	signedCommit(t, repo, ann, "on top")
	want("head over an unsigned one", verify("main", policy.SignatureHead, annKey), "good")
	want("strict over an unsigned one", verify("main", policy.SignatureStrict, annKey), "good×5, unsigned")
	signedCommit(t, repo, bob, "I seal\n\nArgocd-gpg-seal: says bob\n")
	want("a seal of somebody unknown", verify("main", policy.SignatureStrict, annKey), "unknown_key")

	// An annotated tag has a signature of its own.
	head := signedCommit(t, repo, ann, "released\n\nArgocd-gpg-seal: for the release\n")
	if err := repo.AnnotatedTag(t.Context(), "plain", head, "no signature"); err != nil {
		t.Fatal(err)
	}
	if err := repo.SetTag(t.Context(), "light", head); err != nil {
		t.Fatal(err)
	}
	tag := "object " + head + "\ntype commit\ntag v1\ntagger Ann <ann@example.test> 1772366400 +0000\n\nRelease\n"
	var b bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&b, ann, strings.NewReader(tag), nil); err != nil {
		t.Fatal(err)
	}
	id, err := repo.Object(t.Context(), "tag", []byte(tag+b.String()+"\n"))
	if err == nil {
		err = repo.SetTag(t.Context(), "v1", id)
	}
	if err != nil {
		t.Fatal(err)
	}
	want("an unsigned tag of a signed commit", verify("plain", policy.SignatureHead, annKey), "tag unsigned")
	want("a light tag is its commit", verify("light", policy.SignatureHead, annKey), "good")
	want("a signed tag", verify("v1", policy.SignatureHead, annKey), "tag good")
	want("a signed tag, strict", verify("v1", policy.SignatureStrict, annKey), "tag good, good")

	// What is remembered does not need the server; other keys are another question.
	server.Close()
	f, err := s.Verify(t.Context(), fleet.Target{RepoURL: repo.URL(), Revision: "light"}, head, "", policy.SignatureHead, []string{annKey})
	if err != nil || states(f) != "good" {
		t.Errorf("%s, %v", states(f), err)
	}
}

func TestHistoryWithoutASealIsWalkedToItsBeginning(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, err := server.CreateRepo(t.Context(), "long")
	if err != nil {
		t.Fatal(err)
	}
	ann, annKey := gpgKey(t, "ann")
	for range 90 {
		signedCommit(t, repo, nil, "unsigned")
	}
	for range 3 {
		signedCommit(t, repo, ann, "signed")
	}
	s := newSources(t, Options{})
	r := resolveOne(t, s, repo.URL(), "main")
	f, err := s.Verify(t.Context(), fleet.Target{RepoURL: repo.URL(), Revision: "main"}, r.Commit, r.Tag, policy.SignatureStrict, []string{annKey})
	if err != nil || states(f) != "good×3, unsigned×90" || f.Examined != 93 || f.Bound != 0 {
		t.Errorf("%s of %d, %v", states(f), f.Examined, err)
	}
}
