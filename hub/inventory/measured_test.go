package inventory

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// What is told for a scrape asks the database nothing, is of the moment, and is
// nothing while the database is away.
func TestWhatIsMeasuredIsOfTheMoment(t *testing.T) {
	now := start
	s := newStore()
	s.put(row("b", func(r *fleet.AppRow) { r.ReportedAt = nil }), row("a", func(r *fleet.AppRow) { r.Labels = map[string]string{"team": "pay"} }))
	x := newIndex(t, s, func(o *Options) { o.Now = func() time.Time { return now } })
	told := func() (out []string, err error) {
		err = x.EachApplication(func(r *fleet.AppRow, fresh model.Freshness) {
			out = append(out, fmt.Sprint(r.Name, " ", fresh, " ", r.Labels["team"]))
		})
		again := x.EachCluster(func(c *model.Cluster) { out = append(out, fmt.Sprint(c.Name, " ", c.Connected)) })
		if (err == nil) != (again == nil) {
			t.Errorf("applications: %v, clusters: %v", err, again)
		}
		return out, err
	}
	s.hold = func(context.Context, string) error { panic("the database was asked") }
	x.Written([]model.AppUID{"uid-a"}) // a list would wait for it
	if got, err := told(); err != nil || fmt.Sprint(got) != "[a live pay b never  eu true us true]" {
		t.Errorf("%q, %v", got, err)
	}
	now = start.Add(time.Hour)
	if got, err := told(); err != nil || fmt.Sprint(got) != "[a stale pay b never  eu false us false]" {
		t.Errorf("an hour later: %q, %v", got, err)
	}
	s.set(func() { s.hold, s.err = nil, errAway })
	if err := x.readLeases(t.Context()); err == nil {
		t.Fatal("leases were read")
	}
	if got, err := told(); err == nil || len(got) != 0 {
		t.Errorf("while the database is away: %q, %v", got, err)
	}
	x = New(Options{Store: s})
	if got, err := told(); err == nil || len(got) != 0 {
		t.Errorf("before anything was read: %q, %v", got, err)
	}
}
