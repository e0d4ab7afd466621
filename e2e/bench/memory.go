package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// What the memory benchmark puts into the cluster beside the applications.
const (
	foreignConfigMaps = 10_000
	foreignPods       = 2_000
	podsPerSet        = 100
	// settleMemory is how long everything is left alone before memory is read.
	settleMemory = 30 * time.Second
	// driftedApps are changed by somebody else while the agent is down: their
	// status is correct when they are as in Git again.
	driftedApps = 10
	// heapEnv is what makes the agent write a profile on SIGUSR1.
	heapEnv = "HAWSER_HEAP_PROFILE"
	// fineProfile is one sample for so many bytes, in the run that only profiles.
	fineProfile = 2048
)

// watchedKinds are the kinds that the agent watches because of the workload.
var watchedKinds = []schema.GroupVersionResource{
	{Version: "v1", Resource: "configmaps"}, {Version: "v1", Resource: "pods"}, {Version: "v1", Resource: "services"},
	{Version: "v1", Resource: "serviceaccounts"}, {Version: "v1", Resource: "namespaces"},
	{Group: "apps", Version: "v1", Resource: "deployments"}, {Group: "apps", Version: "v1", Resource: "replicasets"},
}

// memory measures the agent on a cluster in which most objects are not its own.
func (b *bench) memory(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Minute)
	defer cancel()
	f, err := startFleet(ctx, b.bin, workload{n: n}, b.log)
	if err != nil {
		return err
	}
	defer f.Close()
	b.Versions.of(ctx, f.cluster.ControlPlane, f.Rig)

	if err := restFor(ctx, settleMemory); err != nil {
		return err
	}
	idle, err := f.memory()
	if err != nil {
		return err
	}
	b.logf("✔ memory: idle %v", idle)
	if err := f.seed(ctx, b); err != nil {
		return fmt.Errorf("seed the cluster: %w", err)
	}
	if _, err := f.firstSync(ctx); err != nil {
		return err
	}
	watched, err := f.watched(ctx)
	if err != nil {
		return err
	}
	if err := restFor(ctx, settleMemory); err != nil {
		return err
	}
	first, err := f.memory()
	if err != nil {
		return err
	}
	b.logf("✔ memory: %d watched objects, %v", watched, first)

	again, err := f.restart(ctx)
	if err != nil {
		return fmt.Errorf("after the restart: %w", err)
	}
	if err := restFor(ctx, settleMemory); err != nil {
		return err
	}
	steady, err := f.memory()
	if err != nil {
		return err
	}
	b.logf("✔ memory: after a restart %v, peak %.1f MiB; connected in %.2f s, correct in %.2f s", steady, mib(again.peak), again.connected.Seconds(), again.correct.Seconds())

	name := fmt.Sprintf("memory-%d/", n)
	b.add(name+"idle", "agent's memory, nothing managed and nothing but Kubernetes in the cluster", "MiB", mib(idle.rss))
	b.add(name+"idle-code", "of which code of the program", "MiB", mib(idle.code))
	b.add(name+"watched", "objects of the kinds that the agent watches", "", float64(watched))
	b.add(name+"steady", "agent's memory with all applications and all other objects", "MiB", mib(steady.rss))
	b.add(name+"steady-code", "of which code of the program", "MiB", mib(steady.code))
	b.add(name+"steady-first", "the same in the process that made the first sync", "MiB", mib(first.rss))
	perObject := b.add(name+"per-object", "memory above idle for each watched object", "B", round(float64(steady.rss-idle.rss)/float64(watched)))
	b.add(name+"restart-peak", "agent's peak memory until all is correct after a restart", "MiB", mib(again.peak))
	peak := b.add(name+"restart-peak-ratio", "that peak over the steady memory", "", round(float64(again.peak)/float64(steady.rss)))
	b.add(name+"restart-connected", "from the start of the process until the hub has its session", "s", seconds(again.connected))
	b.add(name+"restart-correct", "until drift is healed and the hub shows every application by a later observation", "s", seconds(again.correct))
	b.add(name+"restart-cpu", "CPU of the agent until then", "s", round(again.cpu))
	if n == goalN {
		perObject.atMost("max", 1536)
		peak.atMost("max", 1.3)
	}
	return b.whereBytesAre(ctx, name, f)
}

// sample is an agent's memory at a moment: resident, and code of the program from
// its file, the part of that which the system may drop and read again.
type sample struct{ rss, code int64 }

func (s sample) String() string {
	return fmt.Sprintf("%.1f MiB, of which %.1f MiB code", mib(s.rss), mib(s.code))
}

func (f *fleet) memory() (s sample, err error) {
	u, err := testbed.ProcessUsage(f.cluster.AgentPID())
	if err != nil {
		return s, err
	}
	s.rss = u.RSS
	s.code, err = fileBacked(f.cluster.AgentPID())
	return s, err
}

// fileBacked reads how much of a process is resident that is in files.
func fileBacked(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if rest, is := strings.CutPrefix(line, "RssFile:"); is {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d does not say what it has of files", pid)
}

// seed creates what the agent does not manage: ConfigMaps of 2 KB, and ReplicaSets
// whose pods run.
func (f *fleet) seed(ctx context.Context, b *bench) error {
	client, err := rawClient(f.cluster.RESTConfig())
	if err != nil {
		return err
	}
	b.logf("  creating %d ConfigMaps and %d pods", foreignConfigMaps, foreignPods)
	for i := range namespaces {
		if err := create(ctx, client, "/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": namespace(i)}}); err != nil {
			return err
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(floorWorkers)
	for i := range foreignConfigMaps {
		g.Go(func() error {
			return create(gctx, client, "/api/v1/namespaces/"+namespace(i)+"/configmaps", object{
				"apiVersion": "v1", "kind": "ConfigMap",
				"metadata": object{"name": fmt.Sprintf("foreign-settings-%05d", i), "labels": object{"app.kubernetes.io/managed-by": "somebody"}},
				"data":     object{"text": text(i)},
			})
		})
	}
	for i := range foreignPods / podsPerSet {
		labels := object{"app": fmt.Sprintf("foreign-%02d", i)}
		g.Go(func() error {
			return create(gctx, client, "/apis/apps/v1/namespaces/"+namespace(i)+"/replicasets", object{
				"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": object{"name": fmt.Sprintf("foreign-%02d", i)},
				"spec": object{
					"replicas": podsPerSet, "selector": object{"matchLabels": labels},
					"template": object{
						"metadata": object{"labels": labels},
						// Where it runs is said, as the one node has not room for all.
						"spec": object{"nodeName": "node-1", "containers": []any{object{
							"name": "main", "image": "registry.example/foreign:1.0",
							"env":       []any{object{"name": "SETTINGS", "value": text(i)[:512]}},
							"resources": object{"requests": object{"cpu": "1m", "memory": "1Mi"}},
						}}},
					},
				},
			})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return f.awaitPods(ctx)
}

func create(ctx context.Context, client rest.Interface, path string, o object) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return client.Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
}

// awaitPods waits until as many pods run as the sets want.
func (f *fleet) awaitPods(ctx context.Context) error {
	client, err := dynamicClient(f.cluster.ControlPlane)
	if err != nil {
		return err
	}
	sets := client.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"})
	for {
		list, err := sets.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		ready := int64(0)
		for _, s := range list.Items {
			status, _ := s.Object["status"].(map[string]any)
			n, _ := status["readyReplicas"].(int64)
			ready += n
		}
		if ready >= foreignPods {
			return nil
		}
		if err := restFor(ctx, time.Second); err != nil {
			return fmt.Errorf("%d of %d pods are ready: %w", ready, foreignPods, err)
		}
	}
}

// watched counts the objects of the kinds that the agent watches.
func (f *fleet) watched(ctx context.Context) (n int, err error) {
	client, err := dynamicClient(f.cluster.ControlPlane)
	if err != nil {
		return 0, err
	}
	for _, kind := range watchedKinds {
		list, err := client.Resource(kind).List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return 0, err
		}
		n += len(list.Items)
		if r := list.GetRemainingItemCount(); r != nil {
			n += int(*r)
		}
	}
	return n, nil
}

// restarted is what a restart of the agent cost.
type restarted struct {
	connected, correct time.Duration
	peak               int64
	cpu                float64
}

// restart kills the agent, has somebody change objects of some applications, and
// starts it again. What it shows is correct when they are healed and every
// application was observed later than the start.
func (f *fleet) restart(ctx context.Context) (r restarted, err error) {
	f.cluster.KillAgent()
	var drifted []*rig.Object
	for i := range min(driftedApps, f.n) {
		o, err := f.cluster.Object(configMapsGVR, namespace(i), configName(i))
		if err != nil {
			return r, err
		}
		if err := o.Patch(ctx, object{"data": object{"revision": "drifted"}}); err != nil {
			return r, err
		}
		drifted = append(drifted, o)
	}
	begin := time.Now()
	if err := f.cluster.RestartAgent(); err != nil {
		return r, err
	}
	if err := f.cluster.AwaitConnected(ctx); err != nil {
		return r, err
	}
	r.connected = time.Since(begin)
	for _, o := range drifted {
		live, err := o.Get(ctx)
		for ; err == nil && rig.Field(live, "data", "revision") == "drifted"; live, err = o.Get(ctx) {
			if err := restFor(ctx, 20*time.Millisecond); err != nil {
				return r, err
			}
		}
		if err != nil {
			return r, err
		}
	}
	if err := f.awaitObserved(ctx, begin); err != nil {
		return r, err
	}
	r.correct = time.Since(begin)
	u, err := testbed.ProcessUsage(f.cluster.AgentPID())
	r.peak, r.cpu = u.PeakRSS, u.CPUSeconds
	return r, err
}

// awaitObserved waits until the hub shows every application settled by an
// observation after begin.
func (f *fleet) awaitObserved(ctx context.Context, begin time.Time) error {
	return rig.FollowApplications(ctx, f.api, func(apps rig.Applications, _ ...string) bool {
		for _, v := range apps {
			if !rig.Settled(v) || v.ObservedAt == nil || v.ObservedAt.Before(begin) {
				return false
			}
		}
		return len(apps) == f.n
	})
}

// heapProfile asks the agent for a profile of what lives.
func (f *fleet) heapProfile(ctx context.Context, path string) ([]byte, error) {
	if err := syscall.Kill(f.cluster.AgentPID(), syscall.SIGUSR1); err != nil {
		return nil, err
	}
	for {
		if b, err := os.ReadFile(path); err == nil {
			return b, nil
		}
		if err := restFor(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("the agent wrote no heap profile: %w", err)
		}
	}
}

// whereBytesAre starts the agent once more with a fine profile, and says which
// parts of it hold the heap.
func (b *bench) whereBytesAre(ctx context.Context, name string, f *fleet) error {
	dir, err := os.MkdirTemp("", "hawser-bench-heap")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "heap")
	for key, value := range map[string]string{heapEnv: path, "GODEBUG": fmt.Sprintf("memprofilerate=%d", fineProfile)} {
		if err := os.Setenv(key, value); err != nil { // the agent inherits it
			return err
		}
		defer os.Unsetenv(key)
	}
	f.cluster.StopAgent()
	begin := time.Now()
	if err := f.cluster.StartAgent(ctx, ""); err != nil {
		return err
	}
	if err := f.cluster.AwaitConnected(ctx); err != nil {
		return err
	}
	if err := f.awaitObserved(ctx, begin); err != nil {
		return err
	}
	if err := restFor(ctx, settleMemory); err != nil {
		return err
	}
	profile, err := f.heapProfile(ctx, path)
	if err != nil {
		return err
	}
	if keep := os.Getenv("HAWSER_BENCH_KEEP_PROFILE"); keep != "" {
		if err := os.WriteFile(keep, profile, 0o600); err != nil {
			return err
		}
	}
	sites, live, err := parseHeap(profile)
	if err != nil {
		return err
	}
	b.add(name+"heap", "heap that lives, with a profile's own", "MiB", mib(live))
	total := int64(0)
	parts := map[string]int64{}
	for _, site := range sites {
		parts[site.part] += site.bytes
		total += site.bytes
	}
	for i, p := range largest(parts) {
		if i == 8 || parts[p] < total/50 {
			break
		}
		b.add(name+"heap/"+p, "heap allocated in that part, or for it", "MiB", mib(parts[p]))
	}
	b.logf("  heap by place:")
	slices.SortFunc(sites, func(x, y heapSite) int { return int(y.bytes - x.bytes) })
	for i, site := range sites {
		if i == 25 {
			break
		}
		b.logf("  %7.2f MiB %7d × %s", float64(site.bytes)/(1<<20), site.objects, site.where)
	}
	return nil
}

// heapSite is where some of the heap was allocated.
type heapSite struct {
	bytes, objects int64
	// part is the package of the agent that allocated it, or had it allocated.
	part  string
	where string // function of that package, and what it called
}

// parseHeap reads a heap profile in its form as text: the places, with the same
// ones added up, and how many bytes live.
func parseHeap(text []byte) (sites []heapSite, live int64, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	byPlace := map[string]*heapSite{}
	rate := int64(0)
	var bytes, objects int64
	var frames []string
	take := func() {
		if len(frames) == 0 || bytes == 0 {
			return
		}
		part, where := placeOf(frames)
		s := byPlace[where]
		if s == nil {
			s = &heapSite{part: part, where: where}
			byPlace[where] = s
		}
		s.bytes += bytes
		s.objects += objects
	}
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "heap profile: "):
			_, after, _ := strings.Cut(line, "heap/")
			if rate, err = strconv.ParseInt(after, 10, 64); err != nil || rate < 2 {
				return nil, 0, fmt.Errorf("heap profile: %q", line)
			}
			rate /= 2 // it is printed doubled
		case strings.HasPrefix(line, "# HeapAlloc = "):
			if live, err = strconv.ParseInt(strings.TrimPrefix(line, "# HeapAlloc = "), 10, 64); err != nil {
				return nil, 0, fmt.Errorf("heap profile: %q", line)
			}
		case strings.HasPrefix(line, "#\t"):
			// "#	0x123	package.function+0x10	file:line"
			if f := strings.Fields(line); len(f) >= 3 {
				name, _, _ := strings.Cut(f[2], "+0x")
				frames = append(frames, name)
			}
		case strings.Contains(line, "] @ "):
			take()
			frames = nil
			if _, err := fmt.Sscanf(line, "%d: %d [", &objects, &bytes); err != nil {
				return nil, 0, fmt.Errorf("heap profile: %q", line)
			}
			bytes, objects = unsampled(bytes, objects, rate)
		}
	}
	take()
	if rate == 0 || live == 0 {
		return nil, 0, fmt.Errorf("the heap profile is not one: %.60q", text)
	}
	for _, s := range byPlace {
		sites = append(sites, *s)
	}
	return sites, live, lines.Err()
}

// unsampled estimates what a sample stands for: an allocation of size s is sampled
// with probability 1-exp(-s/rate), as runtime/pprof describes.
func unsampled(bytes, objects, rate int64) (b, n int64) {
	if objects == 0 || bytes == 0 {
		return 0, 0
	}
	size := float64(bytes) / float64(objects)
	scale := 1 / (1 - math.Exp(-size/float64(rate)))
	return int64(float64(bytes) * scale), int64(float64(objects) * scale)
}

const ownModule = "github.com/hawser-dev/hawser/"

// placeOf finds the innermost function of the agent's own in a stack, and what it
// called.
func placeOf(frames []string) (part, where string) {
	for i, f := range frames {
		name, own := strings.CutPrefix(f, ownModule)
		if !own {
			continue
		}
		dir, base := filepath.Split(name)
		pkg, _, _ := strings.Cut(base, ".")
		part, where = dir+pkg, name
		if i > 0 {
			where += " → " + frames[i-1]
		}
		return part, where
	}
	last := frames[len(frames)-1]
	return "others", "others: " + frames[0] + " … " + last
}

func largest(parts map[string]int64) []string {
	names := slices.Collect(mapsKeys(parts))
	slices.SortFunc(names, func(x, y string) int { return int(parts[y] - parts[x]) })
	return names
}
