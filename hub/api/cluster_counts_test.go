package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/events"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// How many applications of others a cluster has is not for plain users: in rows,
// filters, orders, the cluster itself, nor in its events.
func TestPlainUsersCountOnlyTheirApplicationsOfACluster(t *testing.T) {
	w := newRightsWorld(t)
	w.token, _, _ = w.auth.Issue(t.Context(), fleet.NewAPIToken{Name: "ana", Admin: true})
	w.call("POST", "/api/v1/applications", application("other", "github.com/shop/web", "github.com/other/web")).ok(201) // of project default, on eu too
	w.store.clusters[0].Applications = 2
	w.store.clusters[0].UnknownApps = []model.UnknownApp{{Name: "secret", Project: "bank"}, {Name: "old", Project: "shop"}}
	admin := w.token
	w.token = w.as(false, fleet.Grant{Project: "shop", Role: "viewer"})

	names := func(query string) string {
		t.Helper()
		var got struct{ Items []model.Cluster }
		w.call("GET", "/api/v1/clusters"+query, "").ok(200).into(&got)
		var out []string
		for _, c := range got.Items {
			out = append(out, c.Name)
			if c.Applications > 1 {
				t.Errorf("%s: cluster %s has %d applications", query, c.Name, c.Applications)
			}
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{"": "eu", "?filter=apps:>1": "", "?filter=apps:1": "eu", "?sort=-apps": "eu"} {
		if got := names(query); got != want {
			t.Errorf("clusters%s: %q, want %q", query, got, want)
		}
	}
	var one model.Cluster
	w.call("GET", "/api/v1/clusters/eu", "").ok(200).into(&one)
	if one.Applications != 1 || len(one.UnknownApps) != 1 {
		t.Errorf("the cluster: %d applications, unknown %v", one.Applications, one.UnknownApps)
	}

	s := w.serve(t, false)
	plain := w.listen(t, s, "")
	plain.want(`hello r-0 {"version":"1.2.3"}`)
	w.token = admin
	all := w.listen(t, s, "")
	all.want(`hello r-0 {"version":"1.2.3"}`)
	say := func(body string) {
		w.broker.Publish(events.Event{Type: "cluster", Key: "id-eu", Payload: func() ([]byte, error) { return []byte(body), nil }})
	}
	event := func(l *listener) (e string) {
		for e = "comment"; e == "comment"; e = l.next() {
		}
		return e
	}
	say(`{"id":"id-eu","name":"eu","applications":2,"unknownApps":[{"name":"secret","project":"bank"}]}`)
	if e := event(plain); !strings.Contains(e, `"applications":1`) || strings.Contains(e, "secret") {
		t.Errorf("a plain user hears %s", e)
	}
	if e := event(all); !strings.Contains(e, `"applications":2`) || !strings.Contains(e, "secret") {
		t.Errorf("an administrator hears %s", e)
	}
	say(`{"id":"id-eu","name":"eu","deleted":true}`)
	if e := event(plain); !strings.HasSuffix(e, `{"id":"id-eu","name":"eu","deleted":true}`) {
		t.Errorf("a plain user hears %s", e)
	}
}
