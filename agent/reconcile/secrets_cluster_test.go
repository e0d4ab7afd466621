package reconcile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// GHSA-3v3m-wc6v-x4x3 and GHSA-rg3g-4rw9-gqrp at a real API server: Secrets whose
// values another field manager wrote, with kubectl's copy of them among the
// annotations, are targets of manifests without data, or with one other value. The
// dry run that decides about them answers with the whole objects; what the agent says
// of it has tags in place of all values.
func TestA44_TestA28_ADryRunOfASecretThatOthersFilledShowsMasks(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-a44")
	const ns, uid = "a44", "uid-a44"
	canaries := map[string]string{}
	for _, name := range []string{"live", "copied", "desired", "drifted"} {
		canaries[name] = "canary-" + name + "-b7Qx"
	}
	b64 := func(name string) string { return base64.StdEncoding.EncodeToString([]byte(canaries[name])) }
	a.k.do(http.MethodPost, "/api/v1/namespaces", "application/json", `{"metadata":{"name":"`+ns+`"}}`)
	for _, name := range []string{"empty", "other"} {
		copied, err := json.Marshal(fmt.Sprintf(`{"kind":"Secret","data":{"k":"%s"}}`, b64("copied")))
		if err != nil {
			t.Fatal(err)
		}
		a.k.do(http.MethodPost, "/api/v1/namespaces/"+ns+"/secrets?fieldManager=somebody", "application/json",
			`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"`+name+`","annotations":{"kubectl.kubernetes.io/last-applied-configuration":`+string(copied)+`}},"data":{"k":"`+b64("live")+`","more":"`+b64("live")+`"}}`)
	}
	secret := func(name, more string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: " + ns + ", labels: {wanted: \"yes\"}}\n" + more + "---\n"
	}
	said := func() string {
		b, err := json.Marshal([]any{a.status(uid), a.ops.all()})
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + a.log.String()
	}
	masked := func(when string) {
		t.Helper()
		text := said()
		for name := range canaries {
			if strings.Contains(text, canaries[name]) || strings.Contains(text, b64(name)) {
				t.Errorf("%s: the %s value is told", when, name)
			}
		}
		if strings.Contains(text, "last-applied-configuration") {
			t.Errorf("%s: kubectl's copy is told of", when)
		}
	}
	// differs waits until a Secret is said to differ, with a tag at a field or at none.
	differs := func(name, path string) {
		t.Helper()
		eventually(t, 30*time.Second, func() error {
			for _, r := range a.status(uid).Resources {
				for _, d := range r.Differences {
					if r.Name == name && d.Path == path && (!strings.HasPrefix(path, ".data") || strings.Contains(d.Live+d.Desired, "redacted:")) {
						return nil
					}
				}
			}
			return fmt.Errorf("%s does not differ at %s: %+v", name, path, a.status(uid).Resources)
		})
	}

	d, b := desired(t, "a44", ns, 1, nil, secret("empty", "")+secret("other", "data: {k: "+b64("desired")+"}\n"))
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		if st := a.status(uid); st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("sync %+v", st.Sync)
		}
		return nil
	})
	masked("before anything is applied")
	a.operation("op-dry", 1, uid, model.OperationSpec{DryRun: true})
	a.ended("op-dry")
	masked("a dry run")
	a.operation("op-sync", 2, uid, model.OperationSpec{})
	if end := a.ended("op-sync"); end.Phase != model.PhaseSucceeded {
		t.Fatalf("%+v", end)
	}
	a.synced(uid, 1)
	masked("applied")
	if got := field(a.k.get("/api/v1/namespaces/"+ns+"/secrets/empty"), "data", "k"); got != b64("live") {
		t.Fatalf("the Secret without data has lost what others wrote: %v", got)
	}

	// The other manager writes what is ours.
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"empty", "other"} {
		a.k.merge("/api/v1/namespaces/"+ns+"/secrets/"+name, `{"metadata":{"labels":{"wanted":"no"}},"data":{"k":"`+b64("drifted")+`"}}`)
	}
	differs("empty", ".metadata.labels.wanted")
	differs("other", ".data.k")
	masked("drifted")
	asked := map[string]bool{}
	for _, e := range a.requestsIn(audit, ns) {
		asked[e.Name] = asked[e.Name] || strings.Contains(e.RequestURI, "dryRun=All")
	}
	if !asked["empty"] || !asked["other"] {
		t.Errorf("the API server was asked by no dry run about %v", asked)
	}
	a.operation("op-dry-again", 3, uid, model.OperationSpec{DryRun: true})
	a.ended("op-dry-again")
	masked("a dry run of what drifted")
}

func (o *opLog) all() []model.OperationUpdate {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]model.OperationUpdate{}, o.updates...)
}
