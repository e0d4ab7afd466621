package kubecall

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// A hub that was taken over signs what it likes. Whoever comes of it is a user of
// the hub's, for this request to this cluster.
func FuzzStatement(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	ca := &x509.Certificate{PublicKey: &key.PublicKey}
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	digest := Digest("GET", "/api/v1/pods", "")
	sign := func(sum []byte) ([]byte, error) { return ecdsa.SignASN1(rand.Reader, key, sum) }
	good, err := Statement{Cluster: "eu", Request: "r1", Digest: digest, User: "hawser:user:ann", Groups: []string{"hawser:everyone"}, At: now}.Sign(sign)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good.Statement))
	for old, other := range map[string]string{
		"hawser:user:ann": "system:admin", "hawser:everyone": "system:masters", `"user"`: `"USER"`, "ann": `ann\nb`, `"groups":[`: `"groups":["system:masters"],"groups":[`, "ann ": "a\xffb", "2026": "9999",
	} {
		f.Add(strings.Replace(string(good.Statement), old, other, 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		signature, err := sign(signedText([]byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := Verify(ca, model.KubeIdentity{Statement: []byte(text), Signature: signature}, "eu", "r1", digest, now)
		if err != nil {
			return
		}
		if s.Cluster != "eu" || s.Request != "r1" || string(s.Digest) != string(digest) || now.Sub(s.At).Abs() > statementLife+maxSkew {
			t.Errorf("%q is taken as %+v", text, s)
		}
		for _, name := range append([]string{s.User}, s.Groups...) {
			if !strings.HasPrefix(name, Prefix) || strings.ContainsAny(name, "\r\n\x00") {
				t.Errorf("%q may be %q", text, name)
			}
		}
	})
}
