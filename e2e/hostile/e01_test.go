package hostile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net/url"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// One token enrols one cluster once: not again, not twice at the same time, not
// late, and not under another name.
func TestE01_ATokenIsGoodOnce(t *testing.T) {
	w := newWorld(t, nil)
	key, err := Key()
	must(t, err)
	csr, err := CSR(key, nil)
	must(t, err)
	token := w.token("eu", time.Hour)

	var wg sync.WaitGroup
	results := make(chan error, 16)
	for range cap(results) {
		cc := call(t, w.stranger(), model.EnrolServerName)
		wg.Go(func() {
			_, err := agentv1.NewEnrolmentClient(cc).Enrol(within(t), &agentv1.EnrolRequest{Token: token, CsrPem: csr})
			results <- fault.FromGRPC(err)
		})
	}
	wg.Wait()
	close(results)
	good := 0
	for err := range results {
		switch {
		case err == nil:
			good++
		case !fault.HasCode(err, "enrolment_token_used"):
			t.Errorf("a race: %v", err)
		}
	}
	if good != 1 {
		t.Errorf("the token was good %d times", good)
	}

	late, other := w.token("us", time.Hour), w.token("asia", 3*time.Hour)
	for code, try := range map[string]func() error{
		"enrolment_token_used":          func() error { _, err := w.enrol(token, "eu", csr); return err },
		"enrolment_token_other_cluster": func() error { _, err := w.enrol(late, "eu", csr); return err },
		"enrolment_token_malformed":     func() error { _, err := w.enrol(late[:len(late)-1], "", csr); return err },
		"enrolment_token_unknown":       func() error { _, err := w.enrol(newWorld(t, nil).token("eu", time.Hour), "eu", csr); return err },
	} {
		if err := try(); !fault.HasCode(err, code) {
			t.Errorf("%s: got %v", code, err)
		}
		if w.refused.of(code) == 0 {
			t.Errorf("%s is not counted", code)
		}
	}
	w.ahead.Store(int64(2 * time.Hour))
	if _, err := w.enrol(late, "us", csr); !fault.HasCode(err, "enrolment_token_expired") {
		t.Errorf("a late one: %v", err)
	}
	key, err = Key() // a key is of one cluster
	must(t, err)
	csr, err = CSR(key, nil)
	must(t, err)
	if _, err := w.enrol(other, "asia", csr); err != nil {
		t.Errorf("a refusal has spent a token: %v", err)
	}
	for _, secret := range []string{token, late, other} {
		if w.logs.line(secret) {
			t.Error("a token is in the log")
		}
	}
}

// A request decides about nothing but the key; keys that are weak and requests
// that are none cost no token.
func TestE02_TheRequestDecidesAboutTheKeyAlone(t *testing.T) {
	w := newWorld(t, nil)
	victim, victimID := w.join("victim")
	key, err := Key()
	must(t, err)
	token := w.token("mine", time.Hour)
	weak := func(make func() (crypto.Signer, error)) []byte {
		signer, err := make()
		must(t, err)
		csr, err := CSR(signer, nil)
		must(t, err)
		return csr
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	good, err := CSR(key, nil)
	must(t, err)
	block, _ := pem.Decode(good)
	block.Bytes[len(block.Bytes)-1] ^= 1
	for name, csr := range map[string][]byte{
		"RSA 1024":            weak(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 1024) }),
		"P-224":               weak(func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P224(), rand.Reader) }),
		"of another key":      pem.EncodeToMemory(block),
		"nothing":             nil,
		"two":                 append(append([]byte{}, good...), good...),
		"with 1 MiB after it": append(append([]byte{}, good...), make([]byte, 1<<20)...),
	} {
		if _, err := w.enrol(token, "mine", csr); !fault.HasCode(err, "csr_invalid") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = agentv1.NewEnrolmentClient(call(t, w.stranger(), model.EnrolServerName)).Enrol(within(t),
		&agentv1.EnrolRequest{Token: token, CsrPem: make([]byte, 10<<20)}, grpc.MaxCallSendMsgSize(20<<20))
	if err == nil {
		t.Error("10 MiB were taken")
	}

	uri, err := url.Parse("hawser://cluster/" + string(victimID))
	must(t, err)
	ca, err := asn1.Marshal(struct{ IsCA bool }{true})
	must(t, err)
	greedy, err := CSR(key, func(r *x509.CertificateRequest) {
		r.Subject = pkix.Name{CommonName: "hawser agent " + string(victimID), Organization: []string{"system:masters"}}
		r.URIs, r.DNSNames = []*url.URL{uri}, []string{model.AgentServerName}
		r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: ca}}
	})
	must(t, err)
	r, err := w.enrol(token, "mine", greedy)
	must(t, err)
	pair, err := Pair(r.CertificatePem, key)
	must(t, err)
	leaf := pair.Leaf
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || len(leaf.DNSNames) > 0 || len(leaf.Subject.Organization) > 0 ||
		len(leaf.URIs) != 1 || leaf.URIs[0].String() != "hawser://cluster/"+r.ClusterId ||
		len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Errorf("the certificate has what was asked for: %+v", leaf)
	}
	mine := w.stranger()
	mine.Certificate = pair
	if err := begin(t, call(t, mine, model.AgentServerName), Hello(victimID)).end(); !fault.HasCode(err, "cluster_mismatch") {
		t.Errorf("as the victim: %v", err)
	}
	w.lives(open(t, call(t, victim, model.AgentServerName), victimID))
}

// T06: ids that are nearly another cluster's are other clusters.
func TestE02_T06_IdentitiesAreComparedAsAWhole(t *testing.T) {
	w := newWorld(t, nil)
	a, cluster := w.join("eu")
	for _, id := range []string{string(cluster) + "0", string(cluster[:len(cluster)-1]), string(cluster) + ".", string(cluster) + "/", " " + string(cluster), string(cluster) + "\x00", "*", "eu"} {
		if err := begin(t, call(t, a, model.AgentServerName), Hello(model.ClusterID(id))).end(); !fault.HasCode(err, "cluster_mismatch") {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// T05: enrolling the name of a cluster needs a token for it, and ends what the
// old certificate could.
func TestE01_T05_TakingANameOverNeedsATokenForIt(t *testing.T) {
	w := newWorld(t, nil)
	old, cluster := w.join("eu")
	s := open(t, call(t, old, model.AgentServerName), cluster)
	key, err := Key()
	must(t, err)
	csr, err := CSR(key, nil)
	must(t, err)
	if _, err := w.enrol(w.token("us", time.Hour), "eu", csr); !fault.HasCode(err, "enrolment_token_other_cluster") {
		t.Errorf("with a token for another: %v", err)
	}
	w.lives(s)
	_, again := w.join("eu")
	if again != cluster {
		t.Errorf("the cluster became %s", again)
	}
	if err := s.end(); !fault.HasCode(err, "certificate_revoked") {
		t.Errorf("the old session: %v", err)
	}
	if err := begin(t, call(t, old, model.AgentServerName), Hello(cluster)).end(); !fault.HasCode(err, "certificate_revoked") {
		t.Errorf("the old certificate: %v", err)
	}
}
