package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/fleetsim"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/devdb"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// goalAgents is the size of the fleet that the goals are for.
	goalAgents = 1000

	// thousandRate is how many reports a second are sent, for thousandFor; fewer
	// agents send as many each as those of goal size at most send in five seconds.
	thousandRate = 1000
	thousandFor  = 20 * time.Second
	perAgentRate = 5
	changers     = 8 // of clusters at a time

	heartbeat = 10 * time.Second
)

// thousand is a hub with a fleet of e2e/fleetsim.
type thousand struct {
	*rig.Rig
	dir     string
	db      *devdb.DB
	api     *client.Client
	repo    *testbed.Repo
	fleet   *fleetsim.Fleet
	metrics *testbed.ReservedPort

	onAck    atomic.Pointer[func(model.Desired)]
	onReport atomic.Pointer[func([]model.AppReport)]
}

// startThousand starts a hub without agents. env is added to its environment.
func startThousand(ctx context.Context, bin string, log io.Writer) (_ *thousand, err error) {
	h := &thousand{}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	if h.dir, err = os.MkdirTemp("", "hawser-bench-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(h.dir, 0o755); err != nil { // Postgres may run as another user
		return nil, err
	}
	if h.db, err = devdb.Start(ctx, devdb.Options{Dir: filepath.Join(h.dir, "postgres")}); err != nil {
		return nil, err
	}
	if h.metrics, err = testbed.ReservePort(); err != nil {
		return nil, err
	}
	h.Rig, err = rig.Start(ctx, rig.Options{Bin: bin, Dir: h.dir, Log: log,
		HubArgs: []string{"--database-url", h.db.DSN(), "--poll-interval", "1h", "--metrics-listen", h.metrics.Addr()}})
	if err != nil {
		return nil, err
	}
	h.api, err = h.API()
	return h, err
}

// Close ends everything that was started and removes it.
func (h *thousand) Close() {
	if h.fleet != nil {
		h.fleet.Close()
	}
	if h.Rig != nil {
		_ = h.Rig.Close()
	}
	if h.metrics != nil {
		h.metrics.Release()
	}
	if h.db != nil {
		_ = h.db.Stop()
	}
	if h.dir != "" {
		_ = os.RemoveAll(h.dir)
	}
}

// enrol starts n agents.
func (h *thousand) enrol(ctx context.Context, n int, log *slog.Logger) (err error) {
	h.fleet, err = fleetsim.Start(ctx, fleetsim.Options{
		Address: h.Hub.Addr, CAHash: h.Hub.CAHash, API: h.api, Agents: n, Seed: 1, Log: log,
		Acked: func(_ *fleetsim.Agent, d model.Desired, err error) {
			if f := h.onAck.Load(); f != nil && err == nil {
				(*f)(d)
			}
		},
		Reporting: func(_ *fleetsim.Agent, rs []model.AppReport) {
			if f := h.onReport.Load(); f != nil {
				(*f)(rs)
			}
		},
	})
	return err
}

// deploy gives each cluster the first services, and waits until all are settled.
func (h *thousand) deploy(ctx context.Context, services int) (err error) {
	if h.repo, err = h.Git.CreateRepo(ctx, "everywhere"); err != nil {
		return err
	}
	if _, err = h.repo.Commit(ctx, "What runs everywhere", fleetsim.Files("0", services)); err != nil {
		return err
	}
	if _, err = h.CLI(ctx, "repo", "add", h.repo.URL()); err != nil {
		return err
	}
	if err = h.fleet.Deploy(ctx, h.repo.URL(), services); err != nil {
		return err
	}
	return h.awaitSettled(ctx, services*len(h.fleet.Agents), func(model.AppView) bool { return true })
}

// awaitSettled waits until the hub shows n applications, all settled and as they are to be.
func (h *thousand) awaitSettled(ctx context.Context, n int, as func(model.AppView) bool) error {
	waiting := map[string]bool{}
	good := func(v model.AppView) bool { return rig.Settled(v) && as(v) }
	err := rig.FollowApplications(ctx, h.api, func(apps rig.Applications, changed ...string) bool {
		if changed == nil {
			clear(waiting)
			for name, v := range apps {
				if !good(v) {
					waiting[name] = true
				}
			}
		}
		for _, name := range changed {
			if v, there := apps[name]; there && !good(v) {
				waiting[name] = true
			} else {
				delete(waiting, name)
			}
		}
		return len(waiting) == 0 && len(apps) == n
	})
	if err != nil {
		return fmt.Errorf("%d of %d applications are not as they are to be: %w", len(waiting), n, err)
	}
	return nil
}

// cpu is that of the hub with its workers.
func (h *thousand) cpu() (sum float64, err error) {
	table, err := processes()
	for _, pid := range table.tree(h.Hub.PID(), 0) {
		sum += table[pid].cpu
	}
	return sum, err
}

// settle waits until the hub has nothing to do.
func (h *thousand) settle(ctx context.Context) error {
	return (&seededHub{Rig: h.Rig}).settled(ctx)
}

// samples reads the hub's metrics.
func (h *thousand) samples(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.metrics.Addr()+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.SplitSeq(string(body), "\n") {
		name, value, found := strings.Cut(line, " ")
		if v, err := strconv.ParseFloat(value, 64); found && err == nil && !strings.HasPrefix(line, "#") {
			out[name] = v
		}
	}
	return out, nil
}

// hubUse is what the hub has in use after its garbage was collected, in bytes.
type hubUse struct{ heap, stacks, resident float64 }

// hubMemory reads it. Garbage is collected when enough was allocated, which its metrics
// are asked for until it was.
func (h *thousand) hubMemory(ctx context.Context) (hubUse, error) {
	const collections = 3
	first := -1.0
	for {
		s, err := h.samples(ctx)
		if err != nil {
			return hubUse{}, err
		}
		n := s["go_gc_duration_seconds_count"]
		if first < 0 {
			first = n
		}
		if n >= first+collections {
			u, err := testbed.ProcessUsage(h.Hub.PID())
			return hubUse{s["go_memstats_heap_inuse_bytes"], s["go_memstats_stack_inuse_bytes"], float64(u.RSS)}, err
		}
		if ctx.Err() != nil {
			return hubUse{}, ctx.Err()
		}
	}
}

// restart stops the hub and starts it with the environment's GOGC as given, "" for as
// it is. The benchmark of memory has garbage collected early, so that what is counted
// lives.
func (h *thousand) restart(ctx context.Context, gogc string) error {
	const name = "GOGC"
	if err := h.Hub.Stop(); err != nil {
		return err
	}
	if gogc != "" {
		before, set := os.LookupEnv(name)
		if err := os.Setenv(name, gogc); err != nil { // the hub inherits it
			return err
		}
		defer func() {
			if os.Unsetenv(name); set {
				os.Setenv(name, before)
			}
		}()
	}
	return h.Hub.Start(ctx)
}

// without cuts all agents off, or lets them come back, and waits until they have.
func (h *thousand) without(ctx context.Context, agents bool) error {
	n := 0
	if !agents {
		n = len(h.fleet.Agents)
	}
	for _, a := range h.fleet.Agents {
		a.Partition(agents)
	}
	return h.fleet.AwaitInSync(ctx, n)
}

// thousandAgents measures a hub with many agents.
func (b *bench) thousandAgents(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	b.try("fleet-floor", func() error { return b.bareStreams(ctx, n) })
	h, err := b.thousandIdle(ctx, n)
	if h != nil {
		defer h.Close()
	}
	if err != nil {
		return err
	}
	b.logf("  an application in each cluster")
	begin := time.Now()
	if err := h.deploy(ctx, 1); err != nil {
		return err
	}
	b.add("fleet/first-sync", "an application in each cluster: created over the API until all are Synced and Healthy at the hub", "s", seconds(time.Since(begin)))
	for i := range b.repeat {
		if err := h.settle(ctx); err != nil {
			return err
		}
		if err := b.thousandCommit(ctx, h, n, i+1); err != nil {
			return fmt.Errorf("one commit: %w", err)
		}
	}
	if err := h.settle(ctx); err != nil {
		return err
	}
	b.try("fleet-reports", func() error { return b.thousandReports(ctx, h, n) })
	if err := h.settle(ctx); err != nil {
		return err
	}
	for range b.repeat {
		if err := b.thousandReturn(ctx, h, n); err != nil {
			return fmt.Errorf("SIGKILL of the hub: %w", err)
		}
		if err := h.settle(ctx); err != nil {
			return err
		}
	}
	return h.fleet.Err()
}

// thousandIdle measures what agents cost that have nothing to do, and leaves the hub
// with them.
func (b *bench) thousandIdle(ctx context.Context, n int) (h *thousand, err error) {
	if h, err = startThousand(ctx, b.bin, b.log); err != nil {
		return nil, err
	}
	b.Versions.ofHub(ctx, h.Rig, h.db.Version())
	begin := time.Now()
	if err := h.enrol(ctx, n, nil); err != nil {
		return h, err
	}
	took := time.Since(begin)
	b.logf("✔ fleet: %d agents enrolled in %.1f s", n, took.Seconds())
	b.add("fleet/enrolled", "agents enrolled with a token each until all have a session, a second", "", round(float64(n)/took.Seconds()))
	if err := h.without(ctx, true); err != nil {
		return h, err
	}
	if err := h.restart(ctx, "10"); err != nil {
		return h, err
	}
	if err := h.settle(ctx); err != nil {
		return h, err
	}
	alone, err := h.hubMemory(ctx)
	if err != nil {
		return h, err
	}
	if err := h.without(ctx, false); err != nil {
		return h, err
	}
	if err := h.settle(ctx); err != nil {
		return h, err
	}
	if err := restFor(ctx, 2*heartbeat); err != nil {
		return h, err
	}
	among, err := h.hubMemory(ctx)
	if err != nil {
		return h, err
	}
	each := func(then, now float64) float64 { return round((now - then) / float64(n) / 1024) }
	m := b.add("fleet/memory-per-agent", "heap and stacks of the hub for each idle agent", "KiB", each(alone.heap+alone.stacks, among.heap+among.stacks)).over("fleet/floor-per-stream")
	b.add("fleet/stacks-per-agent", "of which stacks", "KiB", each(alone.stacks, among.stacks))
	b.add("fleet/resident-per-agent", "resident memory of the hub for each", "KiB", each(alone.resident, among.resident)).over("fleet/floor-resident")
	if n == goalAgents {
		m.atMost("max", 64)
	}

	// From here on with the hub's own settings.
	if err := h.restart(ctx, ""); err != nil {
		return h, err
	}
	if err := h.fleet.AwaitInSync(ctx, n); err != nil {
		return h, err
	}
	if err := h.settle(ctx); err != nil {
		return h, err
	}
	used, err := h.cpu()
	if err != nil {
		return h, err
	}
	if err := restFor(ctx, b.idleFor); err != nil {
		return h, err
	}
	after, err := h.cpu()
	if err != nil {
		return h, err
	}
	b.add("fleet/cpu-at-rest", fmt.Sprintf("CPU of the hub at rest, of one core, over %s", b.idleFor), "%", round(100*(after-used)/b.idleFor.Seconds()))
	return h, nil
}

// thousandCommit measures a commit that changes an object in every cluster.
func (b *bench) thousandCommit(ctx context.Context, h *thousand, n, revision int) error {
	commit, err := h.repo.Commit(ctx, "Everywhere", fleetsim.Change(strconv.Itoa(revision), 0))
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, h.db.DSN())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	acked := make(chan time.Time, n)
	count := func(d model.Desired) {
		if d.Revision.Commit == commit {
			acked <- time.Now()
		}
	}
	h.onAck.Store(&count)
	defer h.onAck.Store(nil)
	before, err := h.cpu()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := h.Push(ctx, h.repo.URL(), testbed.DefaultBranch, commit); err != nil {
		return err
	}
	var last time.Time
	for i := range n {
		select {
		case last = <-acked:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d agents acknowledged: %w", i, n, ctx.Err())
		}
	}
	for stored := 0; stored < n; {
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM desired WHERE revision->>'commit' = $1 AND acked_generation = generation", commit).Scan(&stored); err != nil {
			return err
		}
		if stored < n && restFor(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("%d of %d acknowledgements are stored", stored, n)
		}
	}
	stored := time.Since(begin)
	err = h.awaitSettled(ctx, n, func(v model.AppView) bool { return v.Revision == commit })
	if err != nil {
		return err
	}
	synced := time.Since(begin)
	after, err := h.cpu()
	if err != nil {
		return err
	}
	b.logf("✔ fleet: a commit acknowledged by %d agents in %.2f s, stored in %.2f s, Synced in %.2f s", n, last.Sub(begin).Seconds(), stored.Seconds(), synced.Seconds())
	b.add("fleet/commit-acked", "webhook of one commit until the last agent has acknowledged it", "s", seconds(last.Sub(begin)))
	m := b.add("fleet/commit-stored", "until the last acknowledgement is stored at the hub", "s", seconds(stored))
	b.add("fleet/commit-synced", "until all are Synced to it at the hub", "s", seconds(synced))
	b.add("fleet/commit-cpu", "CPU of the hub until then", "s", round(after-before))
	if n == goalAgents {
		m.atMost("median", 5)
	}
	return nil
}

// changes are numbered changes on their way from an agent to a listener.
type changes struct {
	mu    sync.Mutex
	sent  map[int]time.Time
	heard map[int]time.Time
	// newest that was sent and that was heard, of each application.
	lastSent, lastHeard map[model.AppUID]int
	appOf               map[int]model.AppUID
}

// changeIn finds the mark of a change in a text, 0 for none.
func changeIn(text string) int {
	_, rest, found := strings.Cut(text, changeMark)
	if !found {
		return 0
	}
	n := 0
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

func (c *changes) send(rs []model.AppReport) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range rs {
		if n := changeIn(r.Status.Health.Message); n > 0 && n > c.lastSent[r.App] {
			c.sent[n], c.lastSent[r.App], c.appOf[n] = now, n, r.App
		}
	}
}

func (c *changes) hear(data []byte) {
	n := changeIn(string(data))
	if n == 0 {
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, again := c.heard[n]; !again {
		c.heard[n] = now
		if app := c.appOf[n]; n > c.lastHeard[app] {
			c.lastHeard[app] = n
		}
	}
}

// missing is how many applications' newest change was not heard of.
func (c *changes) missing() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for app, last := range c.lastSent {
		if c.lastHeard[app] < last {
			n++
		}
	}
	return n
}

// thousandReports measures reports: each is of a Deployment whose trouble has changed,
// goes through the agent's engine, and is timed from when it is handed to the link
// until an administrator's event stream has it.
func (b *bench) thousandReports(ctx context.Context, h *thousand, n int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &changes{sent: map[int]time.Time{}, heard: map[int]time.Time{}, lastSent: map[model.AppUID]int{}, lastHeard: map[model.AppUID]int{}, appOf: map[int]model.AppUID{}}
	hello := make(chan struct{})
	greeted := sync.OnceFunc(func() { close(hello) })
	ended := make(chan error, 1)
	go func() {
		ended <- h.api.Events(ctx, "", func(e client.Event) bool {
			switch e.Type {
			case "hello":
				greeted()
			case "reset":
				return false
			case "application":
				if bytes.Contains(e.Data, []byte(changeMark)) {
					c.hear(e.Data)
				}
			}
			return true
		})
	}()
	select {
	case <-hello:
	case err := <-ended:
		return fmt.Errorf("the event stream: %w", err)
	}
	send := c.send
	h.onReport.Store(&send)
	defer h.onReport.Store(nil)
	before, err := h.cpu()
	if err != nil {
		return err
	}
	rate := min(thousandRate, perAgentRate*n)
	total := int(thousandFor.Seconds()) * rate
	begin := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for first := range changers {
		g.Go(func() error {
			for i := first; i < total; i += changers {
				if d := time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))); d > 0 && restFor(gctx, d) != nil {
					return gctx.Err()
				}
				h.fleet.Agents[i%n].Trouble(fleetsim.DeploymentKey(0), changeMark+strconv.Itoa(i+1))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	sending := time.Since(begin)
	for limit := time.Now().Add(streamPatience); c.missing() > 0 && time.Now().Before(limit); {
		select {
		case err := <-ended:
			return fmt.Errorf("the event stream ended, or missed something: %w", err)
		default:
		}
		if restFor(ctx, 20*time.Millisecond) != nil {
			return ctx.Err()
		}
	}
	after, err := h.cpu()
	if err != nil {
		return err
	}
	for _, a := range h.fleet.Agents {
		a.Trouble(fleetsim.DeploymentKey(0), "")
	}
	lost := c.missing()
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &metric{Name: "fleet/report-latency", What: "report handed to the agent's link until an event stream has it", Unit: "ms"}
	for i, at := range c.sent {
		if heard, ok := c.heard[i]; ok {
			m.Samples = append(m.Samples, round(float64(heard.Sub(at).Microseconds())/1000))
		}
	}
	slices.Sort(m.Samples)
	b.Metrics = append(b.Metrics, m)
	persecond := b.add("fleet/reports", "reports that agents sent, a second", "", round(float64(len(c.sent))/sending.Seconds()))
	lostM := b.add("fleet/reports-lost", "applications whose newest report was not heard of", "", float64(lost))
	b.add("fleet/reports-merged", "reports that a newer one of the same application overtook on the way", "", float64(len(c.sent)-len(m.Samples)))
	b.add("fleet/report-cpu", "CPU of the hub for a report", "ms", round(1000*(after-before)/float64(max(len(c.sent), 1))))
	b.logf("✔ fleet: %d reports in %.1f s, %d heard of, %d applications without their newest", len(c.sent), sending.Seconds(), len(m.Samples), lost)
	lostM.atMost("max", 0)
	if n == goalAgents {
		persecond.atLeast("max", thousandRate*0.99) // the last may be on the way
		m.atMost("p99", 250)
	}
	return nil
}

// thousandReturn kills the hub and measures how its agents come back.
func (b *bench) thousandReturn(ctx context.Context, h *thousand, n int) error {
	h.Hub.Kill()
	if err := h.fleet.AwaitInSync(ctx, 0); err != nil {
		return err
	}
	for _, a := range h.fleet.Agents {
		a.Attempts()
	}
	listens := make(chan time.Time, 1)
	go func() {
		for ctx.Err() == nil {
			conn, err := net.Dial("tcp", h.Hub.Addr)
			if err == nil {
				conn.Close()
				listens <- time.Now()
				return
			}
			_ = restFor(ctx, time.Millisecond)
		}
	}()
	began := time.Now()
	if err := h.Hub.Start(ctx); err != nil {
		return err
	}
	back := <-listens
	if err := h.fleet.AwaitInSync(ctx, n); err != nil {
		return err
	}
	inSync := time.Since(back)
	if err := h.awaitSettled(ctx, n, func(model.AppView) bool { return true }); err != nil {
		return err
	}
	shown := time.Since(back)
	used, err := h.cpu()
	if err != nil {
		return err
	}
	most, all := 0, 0
	for _, a := range h.fleet.Agents {
		tries := 0
		for _, at := range a.Attempts() {
			if !at.At.Before(back) {
				tries++
			}
		}
		most, all = max(most, tries), all+tries
	}
	b.logf("✔ fleet: the hub listened %.2f s after its start, and %.2f s later all %d agents were in sync; at most %d tries, %d in all", back.Sub(began).Seconds(), inSync.Seconds(), n, most, all)
	m := b.add("fleet/return", "SIGKILL of the hub: from when it listens again until every agent is connected and in sync", "s", seconds(inSync))
	s := b.add("fleet/return-shown", "until the hub shows every application as it is now", "s", seconds(shown))
	t := b.add("fleet/return-tries", "attempts of the most eager agent after it listened", "", float64(most))
	b.add("fleet/return-cpu", "CPU of the hub from its start until then", "s", round(used))
	if n == goalAgents {
		m.atMost("median", 10)
		s.atMost("median", 10)
		t.atMost("max", 3)
	}
	return nil
}
