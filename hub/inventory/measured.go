package inventory

import (
	"errors"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// What is here is for metrics: all of the fleet, as it is in memory. It waits for
// nobody and reads nothing, so that a scrape costs the database nothing.

// EachApplication calls tell with every application by name, and how fresh what is
// known of it is now. The row is shared: nobody may write to it. While the
// database is away it calls nobody and answers why: what is in memory may no
// longer be so, and signs of life do not arrive.
func (x *Index) EachApplication(tell func(row *fleet.AppRow, fresh model.Freshness)) error {
	m := x.moment(x.snap.Load())
	if err := m.current(); err != nil {
		return err
	}
	for _, a := range m.fleetNow().apps {
		tell(&a.AppRow, a.fresh)
	}
	return nil
}

// EachCluster is EachApplication for clusters.
func (x *Index) EachCluster(tell func(*model.Cluster)) error {
	m := x.moment(x.snap.Load())
	if err := m.current(); err != nil {
		return err
	}
	for _, c := range m.clusters {
		view := m.view(c)
		tell(&view)
	}
	return nil
}

var errBehind = errors.New("the database does not answer; what is in memory is from before")

func (m moment) current() error {
	if m.away || m.asOf.IsZero() {
		return errBehind
	}
	return nil
}
