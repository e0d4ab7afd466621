package fleet

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func content(bundle, commit string) Content {
	return Content{Bundle: model.Digest(bundle), BundleBytes: 7, Revision: model.Revision{Commit: commit, Message: "m"}, Sources: []SourceAt{{RepoURL: "r", Commit: commit}}}
}

// reported is an agent's entry, deployed n minutes past the hour.
func reported(g model.Generation, commit string, n int, change ...func(*model.HistoryEntry)) model.HistoryEntry {
	e := model.HistoryEntry{ID: 99, Generation: g, Revision: commit, InitiatedBy: "automated", StartedAt: now, DeployedAt: now.Add(time.Duration(n) * time.Minute)}
	for _, f := range change {
		f(&e)
	}
	return e
}

func byOperation(id model.OperationID, who string) func(*model.HistoryEntry) {
	return func(e *model.HistoryEntry) { e.Operation, e.InitiatedBy, e.Reason = id, who, "because" }
}

// deployed is a row of the history.
func deployed(id int64, g model.Generation, bundle, commit string) Deployment {
	return Deployment{ID: id, Generation: g, Content: content(bundle, commit), Cause: Cause{InitiatedBy: "automated"}, DeployedAt: now.Add(time.Duration(g) * time.Minute)}
}

func markOf(d Deployment) HistoryMark {
	return HistoryMark{ID: d.ID, Generation: d.Generation, DeployedAt: d.DeployedAt}
}

// rows says what was added: "ID:generation:bundle:commit:who:operation".
func rows(c HistoryChange) string {
	var out []string
	for _, d := range c.Add {
		row := fmt.Sprintf("%d:%d:%s:%s:%s:%s", d.ID, d.Generation, d.Bundle, d.Revision.Commit, d.InitiatedBy, d.Operation)
		if d.Rollback != nil {
			row += fmt.Sprint("!", d.Rollback.HistoryID)
		}
		out = append(out, row)
	}
	return strings.Join(out, " ")
}

func TestObserve(t *testing.T) {
	one := deployed(1, 1, "b1", "c1")
	rollback := Issued{Generation: 3, Content: content("b1", "c1"), Cause: Cause{InitiatedBy: "ana", Reason: "it fails", Operation: "op", Rollback: &model.RollbackSpec{HistoryID: 1, SetAside: "c2"}}}
	issued := []Issued{{Generation: 1, Content: content("b1", "c1")}, {Generation: 2, Content: content("b2", "c2")}, rollback}
	for name, c := range map[string]struct {
		had      []Deployment
		mark     HistoryMark
		reported []model.HistoryEntry
		highest  model.Generation
		want     string
	}{
		"the first":                      {reported: []model.HistoryEntry{reported(1, "c1", 1)}, want: "1:1:b1:c1:automated:"},
		"two at once, in whatever order": {reported: []model.HistoryEntry{reported(2, "c2", 2), reported(1, "c1", 1)}, want: "1:1:b1:c1:automated: 2:2:b2:c2:automated:"},
		"known already":                  {had: []Deployment{one}, mark: markOf(one), reported: []model.HistoryEntry{reported(1, "c1", 1)}},
		"only the new one":               {had: []Deployment{one}, mark: markOf(one), reported: []model.HistoryEntry{reported(1, "c1", 1), reported(2, "c2", 2)}, want: "2:2:b2:c2:automated:"},
		"a rollback that the agent began by itself": {had: []Deployment{one}, mark: markOf(one), reported: []model.HistoryEntry{reported(3, "c1", 3)},
			want: "2:3:b1:c1:ana:op!1"},
		"a rollback by its operation, after the automated sync": {had: []Deployment{one}, mark: markOf(one),
			reported: []model.HistoryEntry{reported(3, "c1", 3), reported(3, "c1", 4, byOperation("op", "ana"))}, want: "2:3:b1:c1:ana:op!1"},
		"a later sync of the same generation that somebody asked for": {had: []Deployment{one}, mark: markOf(one),
			reported: []model.HistoryEntry{reported(1, "c1", 5, byOperation("again", "bob"))}, want: "2:1:b1:c1:bob:again"},
		"another policy and the same manifests": {had: []Deployment{one}, mark: markOf(one), reported: []model.HistoryEntry{reported(4, "c1", 4)}, highest: 4,
			want: "2:4::c1:automated:"}, // issued by nobody that we know: its manifests may be others
		"what the hub has never issued": {reported: []model.HistoryEntry{reported(9, "c1", 1)}, highest: 3},
		"what a restored hub has lost":  {reported: []model.HistoryEntry{reported(9, "c9", 1, byOperation("lost", "ana"))}, highest: 9, want: "1:9::c9:ana:lost"},
		"a generation of another life":  {reported: []model.HistoryEntry{reported(2, "other", 1)}, want: "1:2::other:automated:"},
		"no generation":                 {reported: []model.HistoryEntry{reported(0, "c1", 1), reported(-1, "c1", 1)}},
		"a journal that began anew": {had: []Deployment{one}, mark: markOf(one), reported: []model.HistoryEntry{reported(1, "c1", 9, byOperation("first", "bob"))},
			want: "2:1:b1:c1:bob:first"},
		"a clock that was set back": {had: []Deployment{one}, mark: markOf(one), reported: []model.HistoryEntry{reported(2, "c2", -60)}, want: "2:2:b2:c2:automated:"},
	} {
		f := HistoryFacts{Issued: issued, Deployments: c.had, Mark: c.mark, Highest: max(3, c.highest), Limit: 10}
		got, changed := Observe(f, c.reported)
		if rows(got) != c.want || len(got.Remove) != 0 {
			t.Errorf("%s: added %q, want %q; removed %v", name, rows(got), c.want, got.Remove)
		}
		if changed != (got.Mark != f.Mark) {
			t.Errorf("%s: changed %v, mark %+v", name, changed, got.Mark)
		}
		// What was taken is not taken again.
		f.Deployments, f.Mark = append(f.Deployments, got.Add...), got.Mark
		if again, changed := Observe(f, c.reported); changed || len(again.Add)+len(again.Remove) != 0 || again.Mark != f.Mark {
			t.Errorf("%s: taken twice: %+v", name, again)
		}
	}
}

func TestObserveSkipsAGenerationOfAnotherPolicyOnly(t *testing.T) {
	one := deployed(1, 1, "b1", "c1")
	f := HistoryFacts{Issued: []Issued{{Generation: 2, Content: content("b1", "c1")}}, Deployments: []Deployment{one}, Mark: markOf(one), Highest: 2, Limit: 10}
	c, changed := Observe(f, []model.HistoryEntry{reported(2, "c1", 2)})
	if !changed || len(c.Add) != 0 || c.Mark.Generation != 2 || c.Mark.ID != 1 {
		t.Errorf("%+v %v", c, changed)
	}
	c, _ = Observe(f, []model.HistoryEntry{reported(2, "c1", 2, byOperation("op", "ana"))})
	if rows(c) != "2:2:b1:c1:ana:op" {
		t.Errorf("a sync that somebody asked for: %q", rows(c))
	}
}

func TestObserveKeepsAsManyAsTheLimit(t *testing.T) {
	var had []Deployment
	var issued []Issued
	for i := range 3 {
		had = append(had, deployed(int64(i+1), model.Generation(i+1), fmt.Sprint("b", i), fmt.Sprint("c", i)))
	}
	for g := range model.Generation(9) {
		issued = append(issued, Issued{Generation: g, Content: content(fmt.Sprint("x", g), fmt.Sprint("y", g))})
	}
	for _, c := range []struct {
		limit   int
		news    []model.HistoryEntry
		add     string
		removed []int64
	}{
		{3, []model.HistoryEntry{reported(4, "y4", 4)}, "4:4:x4:y4:automated:", []int64{1}},
		{2, []model.HistoryEntry{reported(4, "y4", 4)}, "4:4:x4:y4:automated:", []int64{1, 2}},
		{0, []model.HistoryEntry{reported(4, "y4", 4)}, "", []int64{1, 2, 3}},
		{1, []model.HistoryEntry{reported(4, "y4", 4), reported(5, "y5", 5)}, "5:5:x5:y5:automated:", []int64{1, 2, 3}},
		{100, []model.HistoryEntry{reported(4, "y4", 4)}, "4:4:x4:y4:automated:", nil},
	} {
		got, _ := Observe(HistoryFacts{Issued: issued, Deployments: had, Mark: markOf(had[2]), Highest: 8, Limit: c.limit}, c.news)
		if rows(got) != c.add || !reflect.DeepEqual(got.Remove, c.removed) || got.Mark.ID != int64(3+len(c.news)) {
			t.Errorf("limit %d: added %q, removed %v, mark %d", c.limit, rows(got), got.Remove, got.Mark.ID)
		}
	}
}

// Ten syncs of the same bad manifests leave something to go back to.
func TestObserveKeepsWhatIsNotRepeated(t *testing.T) {
	had := []Deployment{
		deployed(1, 1, "old", "c1"), deployed(2, 2, "old", "c2"), deployed(3, 3, "good", "c3"),
		deployed(4, 4, "bad", "c4"), deployed(5, 4, "bad", "c4"), deployed(6, 5, "bad", "c5"),
	}
	f := HistoryFacts{Issued: []Issued{{Generation: 6, Content: content("bad", "c6")}}, Deployments: had, Mark: markOf(had[5]), Highest: 6}
	for limit, removed := range map[int][]int64{
		7: nil, 6: {1}, 5: {1, 4}, 4: {1, 4, 5}, 3: {1, 4, 5, 6}, 2: {1, 2, 4, 5, 6}, 1: {1, 2, 3, 4, 5, 6},
	} {
		f.Limit = limit
		c, _ := Observe(f, []model.HistoryEntry{reported(6, "c6", 6, byOperation("op", "ana"))})
		if !reflect.DeepEqual(c.Remove, removed) || rows(c) != "7:6:bad:c6:ana:op" {
			t.Errorf("limit %d: removed %v, added %q", limit, c.Remove, rows(c))
		}
	}
	// What an agent reports all at once is no other.
	f = HistoryFacts{Issued: []Issued{{Generation: 1, Content: content("good", "c1")}, {Generation: 2, Content: content("bad", "c2")}}, Highest: 2, Limit: 2}
	c, _ := Observe(f, []model.HistoryEntry{reported(1, "c1", 1), reported(2, "c2", 2), reported(2, "c2", 3, byOperation("op", "ana")), reported(2, "c2", 4, byOperation("op2", "ana"))})
	if rows(c) != "1:1:good:c1:automated: 4:2:bad:c2:ana:op2" {
		t.Errorf("added %q", rows(c))
	}
}

func TestObserveBoundsWhatAnAgentSays(t *testing.T) {
	long := strings.Repeat("é", 4000)
	c, _ := Observe(HistoryFacts{Highest: 1, Limit: 1}, []model.HistoryEntry{{Generation: 1, Revision: long, Reason: long, InitiatedBy: long,
		Operation: model.OperationID(long), Rollback: &model.RollbackSpec{SetAside: long}}})
	d := c.Add[0]
	for what, s := range map[string]string{"revision": d.Revision.Commit, "reason": d.Reason, "who": d.InitiatedBy, "operation": string(d.Operation), "set aside": d.Rollback.SetAside} {
		if len(s) > maxHistoryText || !strings.HasPrefix(long, s) {
			t.Errorf("%s has %d bytes", what, len(s))
		}
	}
}

func TestHistoryLimit(t *testing.T) {
	for want, spec := range map[int]model.ApplicationSpec{
		DefaultHistoryLimit: {}, 0: {RevisionHistoryLimit: new(int64(0))}, 3: {RevisionHistoryLimit: new(int64(3))}, 1 << 20: {RevisionHistoryLimit: new(int64(1 << 62))},
	} {
		if got := HistoryLimit(spec); got != want {
			t.Errorf("%v: %d, want %d", spec.RevisionHistoryLimit, got, want)
		}
	}
}

func TestRollbackTarget(t *testing.T) {
	history := []Deployment{deployed(1, 1, "b1", "c1"), deployed(2, 2, "b2", "c2"), deployed(3, 4, "b2", "c3"), deployed(4, 5, "b4", "c4")}
	at := func(bundle, commit string) model.Desired {
		return model.Desired{Bundle: model.Digest(bundle), Revision: model.Revision{Commit: commit}}
	}
	pinnedTo := func(id int64) *Pin { return &Pin{Pin: model.Pin{HistoryID: id}} }
	unheld := []Deployment{deployed(1, 1, "", "c1"), deployed(2, 2, "", "c2")}
	several := []Deployment{deployed(1, 1, "", "c2"), deployed(2, 2, "", "c2")}
	several[0].Revision.Sources, several[1].Revision.Sources = []string{"v1", "c2"}, []string{"v2", "c2"}
	both := at("b2", "c2")
	both.Revision.Sources = []string{"v2", "c2"}
	for name, c := range map[string]struct {
		f    RollbackFacts
		id   int64
		want int64
		code string
	}{
		"the one before":                                {f: RollbackFacts{History: history, Desired: at("b4", "c4"), Source: "b4"}, want: 3},
		"the one before what never got deployed":        {f: RollbackFacts{History: history, Desired: at("b5", "c5"), Source: "b5"}, want: 4},
		"past those with the same manifests":            {f: RollbackFacts{History: history[:3], Desired: at("b2", "c3"), Source: "b2"}, want: 1},
		"by its id":                                     {f: RollbackFacts{History: history, Desired: at("b4", "c4"), Source: "b4"}, id: 1, want: 1},
		"the present one":                               {f: RollbackFacts{History: history, Desired: at("b4", "c4"), Source: "b4"}, id: 4, code: "already_deployed"},
		"an unknown one":                                {f: RollbackFacts{History: history, Desired: at("b4", "c4"), Source: "b4"}, id: 9, code: "deployment_unknown"},
		"a negative one":                                {f: RollbackFacts{History: history, Desired: at("b4", "c4"), Source: "b4"}, id: -1, code: "deployment_unknown"},
		"nothing was deployed":                          {f: RollbackFacts{Desired: at("b4", "c4"), Source: "b4"}, code: "no_older_deployment"},
		"only the present one was deployed":             {f: RollbackFacts{History: history[:1], Desired: at("b1", "c1"), Source: "b1"}, code: "no_older_deployment"},
		"pinned: one older than the pin's":              {f: RollbackFacts{History: history, Desired: at("b2", "c3"), Source: "b4", Pin: pinnedTo(3)}, want: 1},
		"pinned: never what was set aside":              {f: RollbackFacts{History: history, Desired: at("b2", "c3"), Source: "b1", Pin: pinnedTo(3)}, code: "no_older_deployment"},
		"pinned to the oldest":                          {f: RollbackFacts{History: history, Desired: at("b1", "c1"), Source: "b4", Pin: pinnedTo(1)}, code: "no_older_deployment"},
		"pinned: what was set aside, by its id":         {f: RollbackFacts{History: history, Desired: at("b1", "c1"), Source: "b4", Pin: pinnedTo(1)}, id: 4, want: 4},
		"in force by itself: the one before":            {f: RollbackFacts{History: history, Desired: at("b2", "c3"), Source: "b4", Pin: pinnedTo(0)}, want: 1},
		"of several sources, one is at another commit":  {f: RollbackFacts{History: several, Desired: both, Source: "b2"}, want: 1},
		"of several sources, by its id":                 {f: RollbackFacts{History: several, Desired: both, Source: "b2"}, id: 1, want: 1},
		"of several sources, the present one":           {f: RollbackFacts{History: several, Desired: both, Source: "b2"}, id: 2, code: "already_deployed"},
		"without manifests, told apart by the revision": {f: RollbackFacts{History: unheld, Desired: at("b2", "c2"), Source: "b2"}, want: 1},
	} {
		c.f.App = "shop"
		got, err := RollbackTarget(c.f, c.id)
		if c.code != "" {
			if !fault.HasCode(err, c.code) {
				t.Errorf("%s: %d, %v", name, got.ID, err)
			}
			continue
		}
		if err != nil || got.ID != c.want {
			t.Errorf("%s: %d, %v; want %d", name, got.ID, err, c.want)
		}
	}
	_, err := RollbackTarget(RollbackFacts{App: "shop", History: history}, 7)
	if e := fault.As(err); e.Allowed != "1, 2, 3, 4" {
		t.Errorf("allowed %q", e.Allowed)
	}
}
