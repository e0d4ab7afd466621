package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// TestNothingOfASecretLeaves is the last door: whoever built the differences
// should have redacted them, and did not.
func TestNothingOfASecretLeaves(t *testing.T) {
	const canary = `"aHVudGVyMg=="`
	hidden := []string{".data.password", ".stringData.password", ".data", "", ".", ".metadata", ".metadata.annotations",
		".metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]", ".metadata.annotations.note", ".spec.x", "data", ".typeX"}
	for _, path := range hidden {
		t.Run(path, func(t *testing.T) {
			s := model.AppStatus{Resources: []model.ResourceStatus{resource("Secret", "s", "u")}}
			s.Resources[0].Differences = []model.FieldDifference{{Path: path, Desired: canary, Live: canary}}
			b := string(bound(&s))
			if strings.Contains(b, "aHVudGVyMg") || !strings.Contains(b, "redacted") {
				t.Errorf("%s", b)
			}
		})
	}
	for path, values := range map[string][2]string{
		".type":                   {`"Opaque"`, `"Opaque"`},
		".metadata.labels.app":    {`"shop"`, `"shop"`},
		".data.password":          {`"redacted:0123abcd"`, `"redacted:0123abcd"`},
		".data.other":             {"", ""},
		".stringData.longer":      {`"redacted:0123abcdhunter2"`, manifest.Hidden},
		".metadata.annotations.x": {`"redacted:0123abcd"`, `"redacted:0123abcd"`},
	} {
		s := model.AppStatus{Resources: []model.ResourceStatus{resource("Secret", "s", "u")}}
		s.Resources[0].Differences = []model.FieldDifference{{Path: path, Live: values[0]}}
		bound(&s)
		if got := s.Resources[0].Differences[0].Live; got != values[1] {
			t.Errorf("%s: %s became %s, want %s", path, values[0], got, values[1])
		}
	}
	s := model.AppStatus{Resources: []model.ResourceStatus{resource("ConfigMap", "c", "u")}}
	s.Resources[0].Differences = []model.FieldDifference{
		{Path: ".data.k", Live: `"v"`},
		{Path: ".metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]", Live: canary},
	}
	bound(&s)
	if d := s.Resources[0].Differences; d[0].Live != `"v"` || d[1].Live != manifest.Hidden {
		t.Errorf("ConfigMap: %+v", d)
	}
}

func TestBounds(t *testing.T) {
	s := model.AppStatus{Health: model.HealthFacet{Message: strings.Repeat("ä", 3000)}}
	for i := range 50 {
		s.Conditions = append(s.Conditions, model.Condition{Type: fmt.Sprint(i), Message: strings.Repeat("x", 5000)})
		s.History = append(s.History, model.HistoryEntry{ID: int64(i)})
	}
	r := resource("ConfigMap", "c", "u")
	for i := range 30 {
		r.Differences = append(r.Differences, model.FieldDifference{Path: fmt.Sprint(".data.", i), Live: strings.Repeat("ü", 1000)})
	}
	s.Resources = []model.ResourceStatus{r}
	before := r.Differences[0].Live
	bound(&s)
	d := s.Resources[0].Differences
	if len(d) != MaxDifferences || len(d[0].Live) > MaxValue || len(d[0].Live) < MaxValue-8 || strings.ContainsRune(d[0].Live, '\ufffd') {
		t.Errorf("%d differences of %d bytes", len(d), len(d[0].Live))
	}
	if len(s.Conditions) != maxConditions || len(s.Conditions[0].Message) > maxMessage || len(s.Health.Message) > maxMessage {
		t.Errorf("%d conditions, messages %d and %d", len(s.Conditions), len(s.Conditions[0].Message), len(s.Health.Message))
	}
	if len(s.History) != maxHistory || s.History[maxHistory-1].ID != 49 {
		t.Errorf("history keeps the newest: %+v", s.History)
	}
	if r.Differences[0].Live != before {
		t.Error("the caller's differences were changed")
	}
}

func TestAHugeStatusIsCutWhereItHurtsLeast(t *testing.T) {
	for name, shape := range map[string]func(i int, r *model.ResourceStatus){
		"objects":     func(int, *model.ResourceStatus) {},
		"all bad":     func(i int, r *model.ResourceStatus) { r.Health.Status = model.HealthDegraded },
		"differences": func(i int, r *model.ResourceStatus) { r.Differences = manyDifferences() },
		"messages":    func(i int, r *model.ResourceStatus) { r.Health.Message = strings.Repeat("m", 900) },
	} {
		t.Run(name, func(t *testing.T) {
			s := synced(1)
			for i := range 3000 {
				r := resource("ConfigMap", fmt.Sprintf("a-rather-long-name-of-an-object-%d", i), "0123456789abcdef0123456789abcdef")
				shape(i, &r)
				if i == 2999 {
					r.Sync.Status = model.SyncOutOfSync
				}
				s.Resources = append(s.Resources, r)
			}
			b := bound(&s)
			if len(b) > maxStatus || len(s.Resources) < 300 {
				t.Errorf("%d bytes, %d resources", len(b), len(s.Resources))
			}
			found := false
			for _, r := range s.Resources {
				found = found || r.Sync.Status == model.SyncOutOfSync
			}
			if !found {
				t.Error("the object that is out of sync is not listed")
			}
			if last := s.Conditions[len(s.Conditions)-1]; last.Type != "StatusTruncated" {
				t.Errorf("conditions %+v", s.Conditions)
			}
		})
	}
}

func manyDifferences() (out []model.FieldDifference) {
	for i := range 20 {
		out = append(out, model.FieldDifference{Path: fmt.Sprint(".data.", i), Live: strings.Repeat("v", 500), Desired: strings.Repeat("w", 500)})
	}
	return out
}
