package line

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// memory is the hub's database for these tests: rows in maps, decisions by
// hub/fleet. Epochs fence as in Postgres.
type memory struct {
	now func() time.Time

	mu       sync.Mutex
	down     bool // every call fails as when the database is away
	secrets  map[string][]byte
	hub      fleet.HubState
	tokens   []*fleet.EnrolmentToken
	clusters map[model.ClusterID]*clusterRow
	certs    map[string]fleet.Certificate
	bundles  map[model.Digest][]byte
	epoch    int64
	opSeq    int64
}

type clusterRow struct {
	model.Cluster
	epoch     model.Epoch
	desired   map[model.AppUID]model.Desired
	withdraws map[model.AppUID]model.Withdraw
	ops       map[model.OperationID]model.OperationInfo
	// unrendered are applications without a desired state.
	unrendered map[model.AppUID]bool
	acks       map[model.AppUID]fleet.Ack
	report     *fleet.ClusterReport
	closed     []model.Epoch
	ends       []string // codes of why they were
	opened     int
}

func newMemory(now func() time.Time) *memory {
	return &memory{
		now: now, secrets: map[string][]byte{}, clusters: map[model.ClusterID]*clusterRow{},
		certs: map[string]fleet.Certificate{}, bundles: map[model.Digest][]byte{},
		hub: fleet.HubState{HubID: uuid.NewString(), Incarnation: 1},
	}
}

func (m *memory) lock() (func(), error) {
	m.mu.Lock()
	if m.down {
		m.mu.Unlock()
		return nil, fault.New(fault.Unavailable, "db_unavailable", "the database is away")
	}
	return m.mu.Unlock, nil
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// with changes rows of a cluster as some other part of the hub would.
func (m *memory) with(id model.ClusterID, f func(c *clusterRow)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.row(id))
}

func (m *memory) row(id model.ClusterID) *clusterRow {
	c := m.clusters[id]
	if c == nil {
		c = &clusterRow{
			Cluster: model.Cluster{ID: id, Name: "cluster-" + string(id)}, unrendered: map[model.AppUID]bool{}, desired: map[model.AppUID]model.Desired{},
			withdraws: map[model.AppUID]model.Withdraw{}, ops: map[model.OperationID]model.OperationInfo{}, acks: map[model.AppUID]fleet.Ack{},
		}
		m.clusters[id] = c
	}
	return c
}

func (m *memory) Secret(_ context.Context, name string) ([]byte, error) {
	defer m.mu.Unlock()
	m.mu.Lock()
	if b, ok := m.secrets[name]; ok {
		return b, nil
	}
	return nil, fault.New(fault.NotFound, "secret_not_found", "no such secret")
}

func (m *memory) PutSecretOnce(_ context.Context, name string, value []byte) ([]byte, error) {
	defer m.mu.Unlock()
	m.mu.Lock()
	if _, ok := m.secrets[name]; !ok {
		m.secrets[name] = value
	}
	return m.secrets[name], nil
}

// redeemable finds a token that could enrol now. m is locked.
func (m *memory) redeemable(hash []byte, name string) (int, error) {
	i := slices.IndexFunc(m.tokens, func(t *fleet.EnrolmentToken) bool { return bytes.Equal(t.Hash, hash) })
	switch {
	case i < 0:
		return i, fault.New(fault.Unauthorized, "enrolment_token_unknown", "the hub does not know this enrolment token")
	case m.tokens[i].UsedAt != nil:
		return i, fault.New(fault.Unauthorized, "enrolment_token_used", "this enrolment token was used from %s", m.tokens[i].UsedFrom)
	case m.now().After(m.tokens[i].ExpiresAt):
		return i, fault.New(fault.Unauthorized, "enrolment_token_expired", "this enrolment token has expired")
	case name != "" && name != m.tokens[i].Cluster:
		return i, fault.New(fault.Unauthorized, "enrolment_token_other_cluster", "this enrolment token is for cluster %q", m.tokens[i].Cluster)
	}
	return i, nil
}

func (m *memory) NotePreflight(_ context.Context, hash []byte, name string, p fleet.EnrolmentPreflight) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	i, err := m.redeemable(hash, name)
	if err != nil {
		return err
	}
	p.At = m.now()
	m.tokens[i].Preflight = &p
	return nil
}

func (m *memory) Enrol(_ context.Context, hash []byte, name, from string, issue func(model.ClusterID) (fleet.Certificate, error)) (model.Cluster, error) {
	unlock, err := m.lock()
	if err != nil {
		return model.Cluster{}, err
	}
	defer unlock()
	i, err := m.redeemable(hash, name)
	if err != nil {
		return model.Cluster{}, err
	}
	var row *clusterRow
	for _, c := range m.clusters {
		if c.Name == m.tokens[i].Cluster {
			row = c
		}
	}
	if row == nil {
		row = m.row(model.ClusterID(uuid.NewString()))
		row.Name = m.tokens[i].Cluster
	}
	for serial, c := range m.certs {
		if c.Cluster == row.ID {
			c.Revoked = true
			m.certs[serial] = c
		}
	}
	cert, err := issue(row.ID)
	if err != nil {
		return model.Cluster{}, err
	}
	now := m.now()
	m.tokens[i].UsedAt, m.tokens[i].UsedFrom = &now, from
	m.certs[cert.Serial] = cert
	return row.Cluster, nil
}

func (m *memory) RecordCertificate(_ context.Context, c fleet.Certificate) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	m.certs[c.Serial] = c
	return nil
}

func (m *memory) CertificateState(_ context.Context, serial string) (fleet.Certificate, error) {
	unlock, err := m.lock()
	if err != nil {
		return fleet.Certificate{}, err
	}
	defer unlock()
	c, ok := m.certs[serial]
	if !ok {
		return c, fault.New(fault.NotFound, "certificate_unknown", "no such certificate")
	}
	return c, nil
}

func (m *memory) OpenSession(_ context.Context, cluster model.ClusterID, hello model.Hello, sign func(string, int64) ([]byte, error)) (fleet.Opening, error) {
	unlock, err := m.lock()
	if err != nil {
		return fleet.Opening{}, err
	}
	defer unlock()
	c := m.row(cluster)
	m.epoch++
	facts := fleet.ClusterFacts{Cluster: cluster, Hub: m.hub, Epoch: model.Epoch{Incarnation: m.hub.Incarnation, Number: m.epoch}, MaxOpSeq: m.opSeq}
	uids := map[model.AppUID]bool{}
	for uid := range c.desired {
		uids[uid] = true
	}
	for uid := range c.withdraws {
		uids[uid] = true
	}
	for uid := range c.unrendered {
		uids[uid] = true
	}
	for uid := range uids {
		f := fleet.AppFacts{UID: uid}
		if d, ok := c.desired[uid]; ok {
			f.Name, f.Project, f.Desired, f.Counter = d.Name, d.Project, &d, d.Generation
		}
		if w, ok := c.withdraws[uid]; ok {
			f.Withdraw, f.Counter = &w, w.Generation
		}
		facts.Apps = append(facts.Apps, f)
	}
	for _, op := range c.ops {
		facts.Operations = append(facts.Operations, op)
	}
	o, err := fleet.Open(facts, hello, m.now())
	if err != nil {
		return o, err
	}
	if o.RaiseIncarnationTo > 0 || len(o.Hub.IncarnationSignature) == 0 {
		if o.Hub.IncarnationSignature, err = sign(o.Hub.HubID, o.Hub.Incarnation); err != nil {
			return o, err
		}
	}
	m.hub = o.Hub
	for _, t := range o.Operations {
		c.ops[t.Operation.ID] = t.Operation
	}
	c.epoch = o.Epoch
	c.opened++
	return o, nil
}

func (m *memory) fenced(cluster model.ClusterID, e model.Epoch) (*clusterRow, error) {
	c := m.row(cluster)
	if c.epoch != e {
		return nil, fault.New(fault.Conflict, "epoch_stale", "session %s is no longer the cluster's newest", e)
	}
	return c, nil
}

func (m *memory) CloseSession(_ context.Context, cluster model.ClusterID, e model.Epoch, why fleet.SessionEnd) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	c := m.row(cluster)
	c.closed, c.ends = append(c.closed, e), append(c.ends, why.Code)
	return nil
}

func (m *memory) DesiredFor(_ context.Context, cluster model.ClusterID, apps []model.AppUID) (ds []model.Desired, ws []model.Withdraw, err error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	c := m.row(cluster)
	for uid, d := range c.desired {
		if _, gone := c.withdraws[uid]; !gone && (apps == nil || slices.Contains(apps, uid)) {
			ds = append(ds, d)
		}
	}
	for uid, w := range c.withdraws {
		if apps == nil || slices.Contains(apps, uid) {
			ws = append(ws, w)
		}
	}
	return ds, ws, nil
}

func (m *memory) AckDesired(_ context.Context, cluster model.ClusterID, e model.Epoch, acks []fleet.Ack) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	c, err := m.fenced(cluster, e)
	if err != nil {
		return err
	}
	for _, a := range acks {
		c.acks[a.App] = a
	}
	return nil
}

func (m *memory) PendingOperations(_ context.Context, cluster model.ClusterID) (out []model.OperationInfo, err error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	for _, op := range m.row(cluster).ops {
		if !op.Phase.Terminal() && op.Kind != model.OperationDelete {
			out = append(out, op)
		}
	}
	slices.SortFunc(out, func(a, b model.OperationInfo) int { return int(a.Seq - b.Seq) })
	return out, nil
}

func (m *memory) MarkSent(_ context.Context, cluster model.ClusterID, e model.Epoch, ids []model.OperationID) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	c, err := m.fenced(cluster, e)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if next, changed, err := fleet.Advance(c.ops[id], fleet.OperationEvent{Type: fleet.EventSent, At: m.now()}); err == nil && changed {
			c.ops[id] = next
		}
	}
	return nil
}

func (m *memory) ApplyOperationUpdates(_ context.Context, cluster model.ClusterID, e model.Epoch, updates []model.OperationUpdate) (out []model.OperationInfo, err error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := m.fenced(cluster, e)
	if err != nil {
		return nil, err
	}
	for _, u := range updates {
		op, ok := c.ops[u.ID]
		if !ok {
			continue
		}
		next, changed, err := fleet.Advance(op, fleet.Update(u, m.now()))
		if err != nil || !changed {
			continue
		}
		c.ops[u.ID] = next
		out = append(out, next)
		if next.Kind == model.OperationDelete && next.Phase == model.PhaseSucceeded {
			delete(c.desired, next.App)
			delete(c.withdraws, next.App)
		}
	}
	return out, nil
}

func (m *memory) SaveClusterReport(_ context.Context, r fleet.ClusterReport) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	c, err := m.fenced(r.Cluster, r.Epoch)
	if err != nil {
		return err
	}
	c.report = &r
	return nil
}

func (m *memory) Bundle(_ context.Context, d model.Digest) ([]byte, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	b, ok := m.bundles[d]
	if !ok {
		return nil, fault.New(fault.NotFound, "bundle_unknown", "no such bundle")
	}
	return b, nil
}

func (m *memory) BundleFor(ctx context.Context, cluster model.ClusterID, d model.Digest) ([]byte, error) {
	m.mu.Lock()
	named := false
	for _, row := range m.row(cluster).desired {
		named = named || row.Bundle == d
	}
	m.mu.Unlock()
	if !named {
		return nil, fault.New(fault.NotFound, "bundle_unknown", "this cluster's desired state names no such bundle")
	}
	return m.Bundle(ctx, d)
}

// What several hubs tell each other through the database is tried on a real one, in
// e2e/hostile: here is one hub, which hears of every end itself.

func (m *memory) BindKey(context.Context, fleet.Certificate) error { return nil }

func (m *memory) Foreign(context.Context, model.ClusterID, []model.AppUID, []model.OperationID) ([]model.AppUID, []model.OperationID, error) {
	return nil, nil, nil
}

func (m *memory) NoteDouble(context.Context, model.ClusterID, time.Duration, int) (int, bool, error) {
	return 0, false, nil
}

func (m *memory) Fenced(context.Context, []fleet.OpenSession) ([]fleet.FencedSession, error) {
	return nil, nil
}
