package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hawser-dev/hawser/e2e/kill"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// Two thousand objects, and a kill in the middle: the sync goes on where it was,
// so that no object is sent twice, but for those whose answer was lost, and the
// agent's memory stays small.
func TestTwoThousandObjectsAreAppliedOnceDespiteAKill(t *testing.T) {
	t.Parallel()
	const n = 2000
	s := launch(t, "large")
	app := s.name + "-app"
	objects := make([]string, n)
	for i := range objects {
		objects[i] = fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c-%04d, labels: {large: 'yes'}}, data: {v: %q}}", i, strings.Repeat("x", 100))
	}
	commit := s.commit(app, objects...)
	s.deploy(app, automated)
	made := func() int {
		list, err := s.world.hand.Resource(configMaps).Namespace(app).List(s.ctx, metav1.ListOptions{Limit: n + 10, LabelSelector: "large=yes"})
		s.check(err)
		return len(list.Items)
	}
	s.eventually("a part is applied", patience, func() bool { return made() > n/5 })
	s.Kill()
	before := made()
	s.check(s.Start("large-again.log"))
	s.settled(app, commit)
	usage, err := testbed.ProcessUsage(s.Process().PID())
	s.check(err)
	sent := by(s.user, s.witnessed(), func(r kill.Request) bool { return r.Key.Namespace == app && !isDelete(r) })
	if made := made(); made != n {
		t.Errorf("%d objects were made", made)
	}
	// As many may have been on their way as the agent sends side by side.
	if limit := n + 20; len(sent) > limit {
		t.Errorf("%d writes for %d objects", len(sent), n)
	}
	t.Logf("killed after %d of %d objects; %d writes; the agent's memory peaked at %d MiB", before, n, len(sent), usage.PeakRSS>>20)
	if limit := int64(160 << 20); int64(usage.PeakRSS) > limit {
		t.Errorf("the agent's memory peaked at %d MiB", usage.PeakRSS>>20)
	}
	s.noDeletes(app)
}

// One object of 1.4 MB, near to what etcd takes, is applied, compared and healed as
// any other, and one that the API server cannot take fails alone and says why.
func TestAHugeObjectIsAnObject(t *testing.T) {
	t.Parallel()
	s := launch(t, "huge")
	const group = "huge.example.com"
	gvr := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "hulls"}
	s.install(crd(group, "Hull", "v1"))
	app := s.name + "-app"
	big := strings.Repeat("0123456789abcdef", 1_400_000/16)
	first := s.commit(app, configMap("a", "1"), custom(group+"/v1", "Hull", "big", big))
	s.deploy(app, automated)
	s.settled(app, first)
	if v := s.customValue(gvr, app, "big"); v != big {
		t.Fatalf("the object has %d bytes, want %d", len(v), len(big))
	}
	s.mergePatch(gvr, app, "big", `{"spec":{"v":"small"}}`)
	s.eventually("healed", time.Minute, func() bool { return s.customValue(gvr, app, "big") == big })
	// The agent starts with it, too.
	s.Kill()
	s.check(s.Start("huge-again.log"))
	s.mergePatch(gvr, app, "big", `{"spec":{"v":"smaller"}}`)
	s.eventually("healed after a restart", time.Minute, func() bool { return s.customValue(gvr, app, "big") == big })
	s.settled(app, first)

	s.commit(app, configMap("a", "2"), custom(group+"/v1", "Hull", "big", big), custom(group+"/v1", "Hull", "bigger", big+big))
	s.view(app, "says that an object is too large", func(v model.AppView) bool {
		for _, c := range v.Conditions {
			if c.Code == "too_large" || c.Code == "object_too_large" || strings.Contains(c.Message, "too large") || strings.Contains(c.Message, "larger than") {
				return true
			}
		}
		return false
	})
	s.noDeletes(app)
}
