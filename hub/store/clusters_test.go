package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestResolve(t *testing.T) {
	all := []clusterName{
		{"id-1", "one", []string{"https://kubernetes.default.svc", "https://one.example.com:6443"}},
		{"id-2", "two", []string{"https://two.example.com", "https://shared.example.com"}},
		{"id-3", "three", []string{"https://shared.example.com/"}},
	}
	tests := []struct {
		name string
		d    model.Destination
		want model.ClusterID
		code string
	}{
		{"by name", model.Destination{Name: "two"}, "id-2", ""},
		{"by alias", model.Destination{Server: "https://one.example.com:6443"}, "id-1", ""},
		{"in-cluster", model.Destination{Server: model.InClusterServer}, "id-1", ""},
		{"trailing slash and case", model.Destination{Server: "https://TWO.example.com/"}, "id-2", ""},
		{"two aliases", model.Destination{Server: "https://shared.example.com"}, "", "destination_ambiguous"},
		{"unknown name", model.Destination{Name: "four"}, "", "destination_unknown"},
		{"an id is no name", model.Destination{Name: "id-1"}, "", "destination_unknown"},
		{"unknown server", model.Destination{Server: "https://four"}, "", "destination_unknown"},
		{"an alias is no name", model.Destination{Name: "https://two.example.com"}, "", "destination_unknown"},
		{"nothing", model.Destination{}, "", "destination_unknown"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := resolve(all, test.d)
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			if test.code != "" {
				wantCode(t, err, fault.Invalid, test.code)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	_, err := resolve(nil, model.Destination{Name: "x"})
	if f := fault.As(err); f.Allowed != "none" || f.Field != "spec.destination.name" {
		t.Errorf("%+v", f)
	}
}

func TestClusterLifecycle(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	id := b.cluster("one")
	must(t, b.SetClusterAliases(ctx, id, []string{model.InClusterServer}, 0))
	must(t, b.SetClusterLabels(ctx, id, map[string]string{"env": "prod"}, 0))
	wantCode(t, b.SetClusterLabels(ctx, "none", nil, 0), fault.NotFound, "cluster_unknown")

	got, err := b.ResolveDestination(ctx, model.Destination{Server: model.InClusterServer})
	must(t, err)
	if got.ID != id || got.Name != "one" || got.Labels["env"] != "prod" || len(got.Aliases) != 1 {
		t.Errorf("%+v", got)
	}
	if got.Connected || got.Freshness != model.FreshNever || got.LastSeen != nil {
		t.Errorf("before any session: %+v", got)
	}
	if byName, err := b.ResolveDestination(ctx, model.Destination{Name: "one"}); err != nil || byName.ID != id {
		t.Errorf("%+v, %v", byName, err)
	}
	for _, name := range []string{string(id), "one\x00", "two"} {
		_, err := b.ResolveDestination(ctx, model.Destination{Name: name})
		wantCode(t, err, fault.Invalid, "destination_unknown")
	}
	for _, key := range []string{"", "two", "\x00\xff", string(id) + "x"} {
		_, err := b.Cluster(ctx, key)
		wantCode(t, err, fault.NotFound, "cluster_unknown")
	}
	// A cluster that is named like another's id does not hide it.
	b.cluster(string(id))
	got, err = b.Cluster(ctx, string(id))
	must(t, err)
	if got.Name != "one" {
		t.Errorf("by id: %s", got.Name)
	}

	o := b.session(id)
	report := fleet.ClusterReport{Cluster: id, Epoch: o.Epoch, ClusterReport: model.ClusterReport{
		KubeVersion: "v1.37.2\x00", Platform: "linux/amd64", Nodes: 3, Namespaces: 7, APIResources: []string{"apps/v1/Deployment"},
		NamespacedKinds: []string{"apps/Deployment"}, Conditions: []string{"odd \xff"}, ObservedAt: b.now(),
	}}
	must(t, b.SaveClusterReport(ctx, report))
	got, err = b.Cluster(ctx, "one")
	must(t, err)
	if !got.Connected || got.Freshness != model.FreshLive || got.Nodes != 3 || got.Namespaces != 7 || got.KubeVersion != "v1.37.2" ||
		got.AgentVersion != "v1" || got.Conditions[0] != "odd \ufffd" {
		t.Errorf("%+v", got)
	}
	version, apis, kinds, err := b.ClusterAPIs(ctx, id)
	must(t, err)
	if version != "v1.37.2" || len(apis) != 1 || len(kinds) != 1 {
		t.Errorf("%s %v %v", version, apis, kinds)
	}
	_, _, _, err = b.ClusterAPIs(ctx, "none")
	wantCode(t, err, fault.NotFound, "cluster_unknown")
	report.Epoch.Number--
	wantCode(t, b.SaveClusterReport(ctx, report), fault.Conflict, "epoch_stale")

	// A session whose hub was killed is over when its lease is.
	b.clock.advance(31 * time.Second)
	got, err = b.Cluster(ctx, "one")
	must(t, err)
	if got.Connected || got.Freshness != model.FreshStale {
		t.Errorf("after the lease: %+v", got)
	}

	must(t, b.Heartbeat(ctx, []fleet.Beat{{Cluster: id, Epoch: o.Epoch, ObservedAt: b.now()}}))
	must(t, b.RevokeCluster(ctx, id))
	wantCode(t, b.RevokeCluster(ctx, "none"), fault.NotFound, "cluster_unknown")
	got, err = b.Cluster(ctx, "one")
	must(t, err)
	if got.Connected || !got.Revoked {
		t.Errorf("revoked: %+v", got)
	}
	cert, err := b.CertificateState(ctx, "serial-one")
	must(t, err)
	if !cert.Revoked {
		t.Error("the certificate of a revoked cluster is good")
	}
	_, err = b.OpenSession(ctx, id, model.Hello{Cluster: id}, signature)
	wantCode(t, err, fault.Unauthorized, "cluster_revoked")
	// A renewal that raced with the revocation is of no use.
	must(t, b.RecordCertificate(ctx, fleet.Certificate{Serial: "late", Cluster: id, NotBefore: b.now(), NotAfter: b.now()}))
	if cert, err := b.CertificateState(ctx, "late"); err != nil || !cert.Revoked {
		t.Errorf("%+v %v", cert, err)
	}
	wantCode(t, b.RecordCertificate(ctx, fleet.Certificate{Serial: "x", Cluster: "none"}), fault.NotFound, "cluster_unknown")
	wantCode(t, b.RecordCertificate(ctx, fleet.Certificate{Serial: "late", Cluster: id, NotBefore: b.now(), NotAfter: b.now()}), fault.Conflict, "certificate_exists")

	b.app("shop", id)
	wantCode(t, b.DeleteCluster(ctx, id, 0), fault.Precondition, "cluster_in_use")
	if n := b.count(`SELECT count(*) FROM apps`); n != 1 {
		t.Errorf("%d applications after a refused deletion", n)
	}
	all, err := b.Clusters(ctx)
	must(t, err)
	if len(all) != 2 || all[1].Name != "one" || all[1].Applications != 1 {
		t.Errorf("%+v", all)
	}
	wantCode(t, b.DeleteCluster(ctx, all[0].ID, all[0].Version+1), fault.Conflict, "version_conflict")
	must(t, b.DeleteCluster(ctx, all[0].ID, all[0].Version))
	wantCode(t, b.DeleteCluster(ctx, all[0].ID, 0), fault.NotFound, "cluster_unknown")
}

func TestHeartbeatsOfManySessions(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	var beats []fleet.Beat
	for i := range 50 {
		id := b.cluster(fmt.Sprintf("c%02d", i))
		o := b.session(id)
		beats = append(beats, fleet.Beat{Cluster: id, Epoch: o.Epoch, Seq: uint64(i), ObservedAt: b.now()})
	}
	b.clock.advance(10 * time.Second)
	stale := beats[0]
	stale.Epoch.Number--
	stale.Seq = 999
	again := beats[1]
	again.Seq = 0 // older than the one beside it
	must(t, b.Heartbeat(ctx, append(beats, stale, again, fleet.Beat{Cluster: "none", Epoch: stale.Epoch})))
	if n := b.count(`SELECT count(*) FROM sessions WHERE last_seen = $1`, b.now()); n != 50 {
		t.Errorf("%d of 50 sessions were seen", n)
	}
	if n := b.count(`SELECT max(report_seq) FROM sessions`); n != 49 {
		t.Errorf("sequence %d came from a stale session", n)
	}
	if n := b.count(`SELECT report_seq FROM sessions WHERE cluster_id = $1`, beats[1].Cluster); n != 1 {
		t.Errorf("sequence fell to %d", n)
	}
}

// Allowing is for what is held: it gives a cluster that was revoked nothing back, and
// changes nothing of one that nobody holds.
func TestE03_OnlyWhatIsHeldIsAllowed(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	id := b.cluster("eu")
	wantCode(t, b.AllowCluster(ctx, id), fault.Conflict, "cluster_not_held")
	hold := func() {
		t.Helper()
		for range 4 {
			if _, _, err := b.NoteDouble(ctx, id, time.Hour, 3); err != nil {
				t.Fatal(err)
			}
		}
	}
	hold()
	must(t, b.AllowCluster(ctx, id))
	if noted, held, err := b.NoteDouble(ctx, id, time.Hour, 3); noted != 1 || held || err != nil {
		t.Errorf("one that was allowed begins anew: %d, %t, %v", noted, held, err)
	}
	hold()
	must(t, b.RevokeCluster(ctx, id))
	wantCode(t, b.AllowCluster(ctx, id), fault.Conflict, "cluster_not_held")
	if c, err := b.Cluster(ctx, string(id)); err != nil || !c.Revoked {
		t.Errorf("%+v, %v", c, err)
	}
}

// Which Kubernetes cluster a name stands for changes when somebody allows the one that
// was offered, and by nothing else; the one before is then the other.
func TestE03_AnotherKubernetesClusterIsTakenWhenItIsAllowed(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	id, bystander := b.cluster("eu"), b.cluster("us")
	open := func(cluster model.ClusterID, uid string) error {
		_, err := b.OpenSession(ctx, cluster, model.Hello{Cluster: cluster, KubeUID: uid}, signature)
		return err
	}
	must(t, open(id, "first"))
	must(t, open(bystander, "theirs"))
	must(t, open(id, "")) // says nothing, and changes nothing
	wantCode(t, open(id, "second"), fault.Denied, "cluster_changed")
	must(t, open(id, "first"))
	wantCode(t, open(bystander, "second"), fault.Denied, "cluster_changed")
	must(t, b.AllowCluster(ctx, id))
	must(t, open(id, "second"))
	wantCode(t, open(id, "first"), fault.Denied, "cluster_changed")
	wantCode(t, open(bystander, "second"), fault.Denied, "cluster_changed") // allowed to another
	must(t, open(bystander, "theirs"))
	// What was offered is taken once: the offer of the one that is out now is a new one.
	must(t, b.AllowCluster(ctx, id))
	must(t, open(id, "first"))
	wantCode(t, b.AllowCluster(ctx, id), fault.Conflict, "cluster_not_held")
}
