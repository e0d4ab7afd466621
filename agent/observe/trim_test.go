package observe

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

var plain trimmer

const deploymentJSON = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop","uid":"u1","resourceVersion":"7","generation":3,
"creationTimestamp":"2026-11-23T01:02:03Z","annotations":{"argocd.argoproj.io/tracking-id":"store:apps/Deployment:shop/web","x":"y"},
"managedFields":[{"manager":"hawser","operation":"Apply","apiVersion":"apps/v1","time":"2026-11-23T01:02:04Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{}}},{"manager":"kcm","operation":"Update","subresource":"status","fieldsV1":{"f:status":{}}}]},
"spec":{"replicas":0,"template":{"spec":{"containers":[{"name":"a","image":"nginx:1"}]}}},"status":{"observedGeneration":3}}`

func mustRecord(t *testing.T, gk model.GroupKind, doc string) live.Record {
	t.Helper()
	rec, err := plain.record(gk, "", []byte(doc), true)
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	return rec
}

func TestRecordOfATrackedObject(t *testing.T) {
	rec := mustRecord(t, gkDeployment, deploymentJSON)
	if rec.Key != (model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}) || rec.Version != "v1" || rec.UID != "u1" ||
		rec.ResourceVersion != "7" || rec.Generation != 3 || !rec.CreatedAt.Equal(time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)) ||
		rec.TrackingID != "store:apps/Deployment:shop/web" || rec.Deleting || rec.HealthIgnored || rec.Health.Status != model.HealthHealthy {
		t.Errorf("%+v", rec)
	}
	if len(rec.Images) != 1 || rec.Images[0] != "nginx:1" || len(rec.Info) != 1 {
		t.Errorf("facts %v %v", rec.Images, rec.Info)
	}
	if len(rec.Managers) != 2 || rec.Managers[0].Manager != "hawser" || string(rec.Managers[0].FieldsV1) != `{"f:spec":{}}` ||
		rec.Managers[0].Time.IsZero() || rec.Managers[1].Subresource != "status" {
		t.Errorf("managers %+v", rec.Managers)
	}
	var got, want map[string]any
	if err := json.Unmarshal(rec.Body, &got); err != nil {
		t.Fatalf("%v\n%s", err, rec.Body)
	}
	if err := json.Unmarshal([]byte(deploymentJSON), &want); err != nil {
		t.Fatal(err)
	}
	delete(want["metadata"].(map[string]any), "managedFields")
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) {
		t.Errorf("body\n%s\nwant\n%s", a, b)
	}
}

func TestSpecHash(t *testing.T) {
	base := mustRecord(t, gkDeployment, deploymentJSON).SpecHash
	for from, to := range map[string]string{
		`"resourceVersion":"7"`:   `"resourceVersion":"8"`,
		`"generation":3`:          `"generation":4`,
		`"observedGeneration":3`:  `"observedGeneration":2`,
		`"f:spec":{}`:             `"f:spec":{"f:x":{}}`,
		`"apiVersion":"apps/v1",`: ``,
	} {
		if got := mustRecord(t, gkDeployment, strings.Replace(deploymentJSON, from, to, 1)).SpecHash; got != base {
			t.Errorf("%s: the hash changed", to)
		}
	}
	for from, to := range map[string]string{
		`"replicas":0`: `"replicas":1`,
		`"x":"y"`:      `"x":"z"`,
		`"uid":"u1"`:   `"uid":"u2"`,
		`"uid":"u1",`:  `"uid":"u1","labels":{"a":"b"},`,
	} {
		if got := mustRecord(t, gkDeployment, strings.Replace(deploymentJSON, from, to, 1)).SpecHash; got == base {
			t.Errorf("%s: the hash did not change", to)
		}
	}
}

// TestCopiedTrackingIDIsNotOurs: the Deployment controller copies annotations
// to the ReplicaSets that it makes.
func TestCopiedTrackingIDIsNotOurs(t *testing.T) {
	rec := mustRecord(t, model.GroupKind{Group: "apps", Kind: "ReplicaSet"}, `{"metadata":{"name":"web-1","namespace":"shop","uid":"r",
		"annotations":{"argocd.argoproj.io/tracking-id":"store:apps/Deployment:shop/web"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"u1"}]}}`)
	if rec.TrackingID != "" || rec.Body != nil || rec.SpecHash != "" || rec.Managers != nil {
		t.Errorf("%+v", rec)
	}
	if len(rec.Owners) != 1 || rec.Owners[0] != (live.Owner{UID: "u1", Kind: "Deployment", Name: "web"}) || rec.Health.Status == "" {
		t.Errorf("%+v", rec)
	}
}

func TestNoBodyOfForeignObjects(t *testing.T) {
	for _, gk := range []model.GroupKind{{Kind: "Secret"}, {Kind: "ConfigMap"}} {
		rec := mustRecord(t, gk, `{"metadata":{"name":"a","namespace":"b","uid":"c"},"data":{"k":"aHVudGVyMg=="}}`)
		if rec.Body != nil || rec.Managers != nil || rec.SpecHash != "" {
			t.Errorf("%s: %+v", gk, rec)
		}
	}
}

func TestPoisonedObjects(t *testing.T) {
	tracked := `"annotations":{"argocd.argoproj.io/tracking-id":"a:apps/Deployment:b/a"}`
	for _, doc := range []string{
		`{"metadata":{"name":"a","namespace":"b",` + tracked + `},"spec":[],"status":"x"}`,
		`{"metadata":{"name":"a","namespace":"b",` + tracked + `,"managedFields":"odd","ownerReferences":null},"spec":{"replicas":"many","template":7}}`,
		`{"metadata":{"name":"a","namespace":"b","annotations":null,"ownerReferences":[{"uid":1}],"creationTimestamp":null,"generation":"x"}}`,
		`{"metadata":{"name":"a","namespace":"b",` + tracked + `},"status":{"conditions":[[],{"type":[]}],"containerStatuses":[1]}}`,
	} {
		rec := mustRecord(t, gkDeployment, doc)
		if rec.Key.Name != "a" {
			t.Errorf("%s: %+v", doc, rec)
		}
	}
	for _, doc := range []string{``, `{}`, `[]`, `{"metadata":{}}`, `{"metadata":[]}`, `{"metadata":{"name":7}}`, `{"metadata":{"name":"a"}`, `{"metadata":{"name":"a","annotations":[]}}`} {
		if rec, err := plain.record(gkDeployment, "", []byte(doc), true); err == nil {
			t.Errorf("%s: %+v", doc, rec)
		}
	}
	var panics trimmer
	panics.setOverride(func(model.GroupKind, map[string]any) (model.HealthFacet, bool) { panic("poison") })
	rec, err := panics.record(gkDeployment, "", []byte(deploymentJSON), true)
	if err != nil || rec.Health.Status != model.HealthUnknown || rec.Body == nil {
		t.Errorf("a judge that panics: %+v, %v", rec, err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(deploymentJSON))
	f.Add([]byte(`{"metadata":{"name":"a","annotations":{"argocd.argoproj.io/tracking-id":"a:apps/Deployment:/a"},"managedFields":[{}]}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		rec, err := plain.record(gkDeployment, "apps/v1", doc, true)
		if err != nil {
			return
		}
		if rec.Key.Name == "" {
			t.Error("a record without a name")
		}
		if json.Valid(doc) && rec.Body != nil && !json.Valid(rec.Body) {
			t.Errorf("body %s", rec.Body)
		}
		_, _ = kindOf(doc)
	})
}
