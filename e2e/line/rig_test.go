package line

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/hub/gateway/ca"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const patience = 20 * time.Second

// await polls until ok, and fails the test when it takes too long.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// clock can be put forward; both ends may have their own.
type clock struct{ offset atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) forward(d time.Duration) { c.offset.Add(int64(d)) }

// logs collects what one end logs.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) line(parts ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range strings.Split(l.b.String(), "\n") {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return true
		}
	}
	return false
}

func (l *logs) show(t testing.TB, who string) {
	if t.Failed() {
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Logf("log of %s:\n%s", who, l.b.String())
	}
}

// ingest stores nothing and acknowledges at once.
type ingest struct {
	hub     *hub
	mu      sync.Mutex
	reports []fleet.Report
	beats   []fleet.Beat
}

func (i *ingest) Offer(r fleet.Report) {
	i.mu.Lock()
	i.reports = append(i.reports, r)
	i.mu.Unlock()
	go i.hub.gateway.ReportsStored(r.Cluster, r.Epoch, r.Seq)
}

func (i *ingest) Beat(b fleet.Beat) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.beats = append(i.beats, b)
}

type hub struct {
	t         testing.TB
	store     *memory
	clock     *clock
	authority *ca.Authority
	gateway   *gateway.Gateway
	ingest    *ingest
	logs      *logs
	addr      string
	stop      func() // as when killed: no good-bye
	options   gateway.Options
}

// newHub starts a hub. change may be nil.
func newHub(t testing.TB, change func(*gateway.Options)) *hub {
	t.Helper()
	h := &hub{t: t, clock: &clock{}, logs: &logs{}}
	h.store = newMemory(h.clock.Now)
	authority, err := ca.Load(t.Context(), h.store, ca.Options{Now: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	h.authority = authority
	h.options = gateway.Options{
		Store: h.store, Authority: authority, Now: h.clock.Now, Version: "test", Heartbeat: 200 * time.Millisecond,
		SessionBurst: 1000, SessionRefill: time.Millisecond,
		Log: slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&h.options)
	}
	h.start("127.0.0.1:0")
	t.Cleanup(func() { h.stop(); h.logs.show(t, "the hub") })
	return h
}

// start runs gateway and browser server on one port.
func (h *hub) start(addr string) {
	h.t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	h.ingest = &ingest{hub: h}
	h.options.Ingest = h.ingest
	h.gateway = gateway.New(h.options)
	mux := gateway.NewMux(ln, gateway.MuxOptions{
		Agents: h.authority.AgentServer().Get, Web: h.authority.Server("127.0.0.1", "hub.example").Get,
		Now: h.clock.Now, Log: h.options.Log,
	})
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.Proto) })}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { mux.Serve(ctx) })
	wg.Go(func() { web.Serve(mux.Web()) })
	wg.Go(func() {
		if err := h.gateway.Serve(ctx, mux.Agents()); err != nil {
			h.t.Error(err)
		}
	})
	g := h.gateway
	var once sync.Once
	h.stop = func() {
		once.Do(func() {
			cancel()
			web.Close()
			killed, kill := context.WithCancel(context.Background())
			kill()
			g.Shutdown(killed)
			wg.Wait()
		})
	}
}

// token makes an enrolment token for a cluster.
func (h *hub) token(name string, life time.Duration) string {
	h.t.Helper()
	token, hash, err := gateway.NewEnrolmentToken()
	if err != nil {
		h.t.Fatal(err)
	}
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	h.store.tokens = append(h.store.tokens, &fleet.EnrolmentToken{ID: uuid.NewString(), Hash: hash, Cluster: name, ExpiresAt: h.clock.Now().Add(life)})
	return token
}

// deploy writes a desired state as the hub's delivery does, and tells the
// gateway.
func (h *hub) deploy(cluster model.ClusterID, uid model.AppUID, bundle []byte) model.Desired {
	d := h.write(cluster, uid, bundle)
	h.gateway.Notify(cluster, uid)
	return d
}

func (h *hub) write(cluster model.ClusterID, uid model.AppUID, bundle []byte) model.Desired {
	sum := sha256.Sum256(bundle)
	digest := model.Digest("sha256:" + hex.EncodeToString(sum[:]))
	var d model.Desired
	h.store.with(cluster, func(c *clusterRow) {
		h.store.bundles[digest] = bundle
		d = model.Desired{
			App: uid, Name: "app-" + string(uid), Project: "default", Generation: c.desired[uid].Generation + 1,
			Bundle: digest, BundleBytes: int64(len(bundle)), Revision: model.Revision{Commit: "c0ffee", CommittedAt: time.Now()},
		}
		c.desired[uid] = d
	})
	return d
}

// operation creates a command as the API does.
func (h *hub) operation(cluster model.ClusterID, uid model.AppUID) model.OperationInfo {
	return h.command(cluster, uid, model.OperationSync)
}

func (h *hub) command(cluster model.ClusterID, uid model.AppUID, kind model.OperationKind) model.OperationInfo {
	var op model.OperationInfo
	h.store.with(cluster, func(c *clusterRow) {
		h.store.opSeq++
		op = model.OperationInfo{ID: model.OperationID(uuid.NewString()), Seq: h.store.opSeq, App: uid, Cluster: cluster, Kind: kind, Phase: model.PhaseQueued}
		c.ops[op.ID] = op
	})
	h.gateway.NotifyOperation(cluster)
	return op
}

func (h *hub) phase(cluster model.ClusterID, id model.OperationID) (p model.OperationPhase) {
	h.store.with(cluster, func(c *clusterRow) { p = c.ops[id].Phase })
	return p
}

// vault is an identity store in memory.
type vault struct {
	mu    sync.Mutex
	id    link.Identity
	saved int
}

func (v *vault) Load(context.Context) (link.Identity, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.saved == 0 {
		return link.Identity{}, fault.New(fault.NotFound, "identity_not_found", "none")
	}
	return v.id, nil
}

func (v *vault) Save(_ context.Context, id link.Identity) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.id = id
	v.saved++
	return nil
}

func (v *vault) get() (link.Identity, int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.id, v.saved
}

// journal is the agent behind the link: it keeps what it is given, and
// acknowledges at once unless told otherwise.
type journal struct {
	mu        sync.Mutex
	epoch     model.Epoch
	known     map[model.AppUID]model.Desired
	bundles   map[model.Digest][]byte
	received  int // Desired messages in all
	withdraws []model.Withdraw
	commands  []model.Command
	opAcks    []model.OperationID
	reportAck uint64
	inSyncs   int
	refreshed []model.AppUID
	lost      []error
	pending   []model.OperationUpdate // for the next hello
	able      []string                // capabilities, for the next hello
	refuse    error
	order     []string
	welcomed  func() // called once, while the session is being opened
}

func newJournal() *journal {
	return &journal{known: map[model.AppUID]model.Desired{}, bundles: map[model.Digest][]byte{}}
}

func (j *journal) Hello(context.Context) (model.Hello, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := model.Hello{LastEpoch: j.epoch, KubeVersion: "v1.37.2", Operations: slices.Clone(j.pending), Capabilities: slices.Clone(j.able)}
	for _, d := range j.known {
		h.Known = append(h.Known, model.KnownApp{UID: d.App, Name: d.Name, Project: d.Project, Generation: d.Generation, Content: d.Content(), HoldDeletes: d.HoldDeletes})
	}
	for _, c := range j.commands {
		h.MaxOpSeq = max(h.MaxOpSeq, c.Seq)
	}
	return h, nil
}

func (j *journal) Welcome(_ context.Context, w model.Welcome) error {
	j.mu.Lock()
	j.epoch = w.Epoch
	welcomed := j.welcomed
	j.welcomed = nil
	j.mu.Unlock()
	if welcomed != nil {
		welcomed()
	}
	return nil
}

func (j *journal) HaveBundle(d model.Digest) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, ok := j.bundles[d]
	return ok
}

func (j *journal) Desired(_ context.Context, d model.Desired, bundle []byte, ack func(error)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.received++
	j.order = append(j.order, fmt.Sprintf("desired %s %d", d.App, d.Generation))
	if j.refuse != nil {
		ack(j.refuse)
		return
	}
	if bundle != nil {
		sum := sha256.Sum256(bundle)
		if got := "sha256:" + hex.EncodeToString(sum[:]); got != string(d.Bundle) {
			ack(fault.New(fault.Unprocessable, "bundle_corrupt", "the bundle has the digest %s", got))
			return
		}
		j.bundles[d.Bundle] = bundle
	}
	j.known[d.App] = d
	ack(nil)
}

func (j *journal) Withdraw(_ context.Context, w model.Withdraw) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.withdraws = append(j.withdraws, w)
	j.order = append(j.order, "withdraw "+string(w.App))
}

func (j *journal) Operation(_ context.Context, c model.Command) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.commands = append(j.commands, c)
	j.order = append(j.order, "operation "+string(c.App))
}

func (j *journal) OperationAck(ids []model.OperationID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.opAcks = append(j.opAcks, ids...)
	j.pending = slices.DeleteFunc(j.pending, func(u model.OperationUpdate) bool { return slices.Contains(ids, u.ID) })
}

func (j *journal) ReportAck(seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reportAck = seq
}

func (j *journal) InSync() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.inSyncs++
	j.order = append(j.order, "in sync")
}

func (j *journal) Refresh(apps []model.AppUID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refreshed = append(j.refreshed, apps...)
}

func (j *journal) Disconnected(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lost = append(j.lost, err)
}

// is reads the journal under its lock.
func (j *journal) is(f func(j *journal) bool) func() bool {
	return func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return f(j)
	}
}

type agent struct {
	link    *link.Link
	journal *journal
	vault   *vault
	clock   *clock
	logs    *logs
	stop    context.CancelFunc
	ended   chan error
}

// run starts an agent; change may be nil.
func (h *hub) run(change func(*link.Options)) *agent {
	h.t.Helper()
	a := &agent{journal: newJournal(), vault: &vault{}, clock: h.clock, logs: &logs{}, ended: make(chan error, 1)}
	o := link.Options{
		Address: h.addr, CAHash: h.authority.Hash(), Identity: a.vault, Handler: a.journal, Proxy: link.ProxyDirect,
		AgentVersion: "test", Instance: uuid.NewString(), BackoffBase: 20 * time.Millisecond, RenewCheck: 10 * time.Millisecond,
		Now: h.clock.Now, Log: slog.New(slog.NewTextHandler(a.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	if j, ok := o.Handler.(*journal); ok {
		a.journal = j
	}
	if v, ok := o.Identity.(*vault); ok {
		a.vault = v
	}
	l, err := link.New(o)
	if err != nil {
		h.t.Fatal(err)
	}
	a.link = l
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.ended <- l.Run(ctx)
	}()
	h.t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			h.t.Error("the agent did not stop")
		}
		a.logs.show(h.t, "the agent")
	})
	return a
}

// join enrols an agent and waits until it is in sync.
func (h *hub) join(name string, change func(*link.Options)) (*agent, model.ClusterID) {
	h.t.Helper()
	token := h.token(name, time.Hour)
	a := h.run(func(o *link.Options) {
		o.Token = token
		if change != nil {
			change(o)
		}
	})
	a.inSync(h.t, 1)
	id, _ := a.vault.get()
	return a, id.Cluster
}

func (a *agent) inSync(t testing.TB, times int) {
	t.Helper()
	await(t, fmt.Sprintf("in sync for the %d. time", times), a.journal.is(func(j *journal) bool { return j.inSyncs >= times }))
}

// failed waits for an error with the code, from Run or from an attempt.
func (a *agent) failed(t testing.TB, code string) error {
	t.Helper()
	var last error
	await(t, "the agent to fail with "+code, func() bool {
		select {
		case err := <-a.ended:
			a.ended <- err
			last = err
		default:
			last = a.link.Status().LastError
		}
		return fault.HasCode(last, code)
	})
	return last
}
