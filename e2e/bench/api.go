package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/permission"
)

// serving measures the API of a hub with a fleet of goal size.
func (b *bench) serving(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	h, err := startSeededHub(ctx, b.bin, seedApplications, b.log)
	if err != nil {
		return err
	}
	defer h.Close()
	b.Versions.ofHub(ctx, h.Rig, h.db.Version())
	for _, part := range []struct {
		name string
		run  func(context.Context, *seededHub) error
	}{
		{"ready", b.ready}, {"list", b.lists}, {"explain", b.explains}, {"permission", b.permissions},
		{"mixed", b.mixed}, {"stream", b.stream}, {"cli", b.cliList},
	} {
		if err := restFor(ctx, calm); err != nil {
			return err
		}
		b.try("api/"+part.name, func() error { return part.run(ctx, h) })
		b.logf("✔ api/%s (load average %s)", part.name, loadAverage())
	}
	return nil
}

// ready measures the start of a hub that has everything already, and what memory
// it takes.
func (b *bench) ready(ctx context.Context, h *seededHub) error {
	for range 5 {
		if err := h.Hub.Stop(); err != nil {
			return err
		}
		begin := time.Now()
		if err := h.Hub.Start(ctx); err != nil {
			return err
		}
		b.add("api/ready", "start of the process until /readyz answers 200", "s", seconds(time.Since(begin)))
	}
	if err := h.settled(ctx); err != nil {
		return err
	}
	u, err := testbed.ProcessUsage(h.Hub.PID())
	if err != nil {
		return err
	}
	b.add("api/hub-memory", "hub's memory, nobody asks", "MiB", mib(u.RSS))
	b.add("api/hub-peak", "the most that it had so far", "MiB", mib(u.PeakRSS))
	return nil
}

// settled waits until the hub has had nothing to do for two seconds: it looks at
// all repositories after a start.
func (h *seededHub) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for quiet := 0; quiet < 4; {
		before, err := h.cpu()
		if err != nil {
			return err
		}
		if err := restFor(ctx, 500*time.Millisecond); err != nil {
			return fmt.Errorf("the hub does not come to rest: %w", err)
		}
		after, err := h.cpu()
		if err != nil {
			return err
		}
		if quiet++; after-before > 0.1 {
			quiet = 0
		}
	}
	return nil
}

// perRequest adds what n requests cost the hub for each, which does not depend on
// who else works on the machine. before is the hub's CPU until then.
func (b *bench) perRequest(h *seededHub, name string, before float64, n int) error {
	after, err := h.cpu()
	b.add(name+"-cpu", "CPU of the hub for one of them", "ms", round((after-before)*1000/float64(n)))
	return err
}

// cpu is of the hub with its workers.
func (h *seededHub) cpu() (sum float64, err error) {
	table, err := processes()
	for _, pid := range table.tree(h.Hub.PID(), 0) {
		sum += table[pid].cpu
	}
	return sum, err
}

// visitor sends requests over one connection that it keeps.
type visitor struct {
	http  *http.Client
	base  string
	token string
	gzip  bool
	buf   bytes.Buffer
}

func (h *seededHub) visitor(token string) *visitor {
	return &visitor{http: &http.Client{Transport: h.transport()}, base: h.Hub.URL() + "/api/v1", token: token}
}

// do sends a request and reads the whole answer, which stays valid until the
// next.
func (v *visitor) do(ctx context.Context, method, path string, body []byte) ([]byte, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, method, v.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+v.token)
	if v.gzip {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	begin := time.Now()
	resp, err := v.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	v.buf.Reset()
	_, err = v.buf.ReadFrom(resp.Body)
	took := time.Since(begin)
	resp.Body.Close()
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, v.buf.Bytes())
	}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(v.buf.Bytes()))
		if err != nil {
			return nil, 0, err
		}
		plain, err := io.ReadAll(z)
		return plain, took, err
	}
	return v.buf.Bytes(), took, nil
}

const (
	listPage    = 200
	listRepeats = 300
	// explainRepeats are halves of stored applications and of described ones.
	explainRepeats = 2010
)

// lists measures pages of 200 with facets, filter and several orders.
func (b *bench) lists(ctx context.Context, h *seededHub) error {
	for _, who := range []struct{ name, token string }{{"admin", h.admin}, {"plain", h.plain}} {
		for _, zip := range []bool{false, true} {
			v := h.visitor(who.token)
			v.gzip = zip
			name := "api/list-" + who.name
			what := "page of 200 with facets, filter and order, over HTTPS"
			if zip {
				name, what = name+"-gzip", what+", compressed"
			}
			before, err := h.cpu()
			if err != nil {
				return err
			}
			for i := range listRepeats {
				q := []url.Values{
					{"filter": {"health:healthy,degraded,progressing"}},
					{"filter": {"-team-unknown not:deleting"}, "sort": {"-changed"}},
					{"filter": {"sync:synced,outofsync label:team=team-*"}, "sort": {"health,project"}, "facets": {"project,sync,health,freshness,label:env,label:region"}},
				}[i%3]
				q.Set("limit", fmt.Sprint(listPage))
				body, took, err := v.do(ctx, http.MethodGet, "/applications?"+q.Encode(), nil)
				if err != nil {
					return err
				}
				var page struct {
					Items  []json.RawMessage `json:"items"`
					Total  int               `json:"total"`
					Facets map[string]any    `json:"facets"`
				}
				if err := json.Unmarshal(body, &page); err != nil {
					return err
				}
				if len(page.Items) != listPage || len(page.Facets) < 6 {
					return fmt.Errorf("a page of %s has %d rows of %d and %d facets", q.Encode(), len(page.Items), page.Total, len(page.Facets))
				}
				if i < 10 { // the connection and the set of the token are new
					continue
				}
				b.add(name, what, "s", seconds(took)).atMost("p99", 0.050)
				if !zip {
					b.add(name+"-size", "size of that page, not compressed", "KB", float64(len(body))/1000).atMost("max", 60)
				}
			}
			if err := b.perRequest(h, name, before, listRepeats); err != nil {
				return err
			}
		}
	}
	return nil
}

// explains measures explanations: of an application that exists, with its
// objects, and of one as it would be.
func (b *bench) explains(ctx context.Context, h *seededHub) error {
	for _, who := range []struct{ name, token string }{{"admin", h.admin}, {"plain", h.plain}} {
		v := h.visitor(who.token)
		before, err := h.cpu()
		if err != nil {
			return err
		}
		for i := range explainRepeats {
			name, body := "api/explain-stored", map[string]any{"name": h.app(i%3 + i/3*h.projects%h.applications), "verb": "sync"}
			if i%2 == 1 {
				name, body = "api/explain-asked", map[string]any{
					"project": h.project(i % 3), "sources": []string{h.repo(i % 3)}, "destination": map[string]any{"name": h.cluster(i), "namespace": h.project(i % 3)},
					"kinds": []map[string]any{{"group": "apps", "kind": "Deployment"}, {"kind": "Secret"}, {"group": "rbac.authorization.k8s.io", "kind": "ClusterRole"}},
				}
			}
			text, err := json.Marshal(body)
			if err != nil {
				return err
			}
			answer, took, err := v.do(ctx, http.MethodPost, "/explain", text)
			if err != nil {
				return err
			}
			if !bytes.Contains(answer, []byte(`"checks"`)) {
				return fmt.Errorf("an explanation has no checks: %.300s", answer)
			}
			if i < 10 {
				continue
			}
			b.add(name+"-"+who.name, "explanation over HTTPS", "s", seconds(took)).atMost("p99", 0.005)
		}
		if err := b.perRequest(h, "api/explain-"+who.name, before, explainRepeats); err != nil {
			return err
		}
	}
	return nil
}

// permissions measures in this process what filtering by permission costs: all
// applications, for a user of 50 grants.
func (b *bench) permissions(ctx context.Context, h *seededHub) error {
	known := make([]string, h.projects)
	for i := range known {
		known[i] = h.project(i)
	}
	of := make([]string, h.applications)
	for i := range of {
		of[i] = h.project(i)
	}
	filter := func(set *permission.Set, version uint64) (time.Duration, int) {
		begin := time.Now()
		if set == nil {
			set = permission.Compile(false, fiftyGrants)
		}
		scope, n := set.Projects(permission.Get, permission.Applications, version, known), 0
		for _, p := range of {
			if scope.Has(p) {
				n++
			}
		}
		return time.Since(begin), n
	}
	cached := permission.Compile(false, fiftyGrants)
	for range 1000 {
		cold, n := filter(nil, 1)
		warm, m := filter(cached, 1)
		if n != m || n == 0 || n == len(of) {
			return fmt.Errorf("the filter lets %d and %d of %d through", n, m, len(of))
		}
		// Microseconds do not survive the rounding of seconds.
		b.add("api/permission-cold", "set of 50 grants made, and all applications filtered by it", "ms", round(cold.Seconds()*1000)).atMost("p99", 5)
		b.add("api/permission-cached", "all applications filtered by a set that is known", "ms", round(warm.Seconds()*1000)).atMost("p99", 5)
	}
	return b.policies(ctx)
}

// policies measures the same for 50 rules of a policy, in the benchmark of the package:
// by projects, by names in all projects, and denials, in globs and in expressions.
func (b *bench) policies(ctx context.Context) error {
	found := map[string][]float64{}
	if err := b.goBenchmarks(ctx, "./hub/inventory", "^BenchmarkSight$", found); err != nil {
		return err
	}
	for _, mode := range []string{"glob", "regex"} {
		for _, c := range []struct {
			name, what string
			goal       float64 // µs; 0: none
		}{
			{"cold", "which of 10,000 applications 50 rules let somebody see, from the rules", 5000},
			{"kept", "the same again", 50},
			{"changed", "the same when one application changed since", 50},
			{"rows", "the rows of a list taken out by it", 0},
		} {
			all := found["BenchmarkSight/"+mode+"/"+c.name]
			if len(all) == 0 {
				return fmt.Errorf("BenchmarkSight/%s/%s was not measured", mode, c.name)
			}
			for _, ns := range all {
				m := b.add("api/policy-"+c.name+"-"+mode, c.what, "µs", round(ns/1000))
				if c.goal > 0 {
					m.atMost("median", c.goal)
				}
			}
		}
	}
	return nil
}

const (
	mixedVisitors = 16
	mixedSeconds  = 15
)

// mixed measures how many requests a second are answered, with the load
// generator on the same machine: of a hundred 20 are lists of 50, 40
// applications, 10 explanations, 15 versions and 15 lists of operations. Half of
// the visitors are administrators.
func (b *bench) mixed(ctx context.Context, h *seededHub) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, err := h.cpu()
	if err != nil {
		return err
	}
	var (
		wg       sync.WaitGroup
		answered [mixedSeconds + 2]atomic.Int64
		failure  = make(chan error, mixedVisitors)
		begin    = time.Now()
		took     [mixedVisitors]map[string][]time.Duration
		end      = begin.Add((mixedSeconds + 1) * time.Second)
	)
	for i := range mixedVisitors {
		took[i] = map[string][]time.Duration{}
		wg.Go(func() {
			token := h.admin
			if i%2 == 1 {
				token = h.plain
			}
			v, r := h.visitor(token), rand.New(rand.NewPCG(1, uint64(i)))
			for time.Now().Before(end) && ctx.Err() == nil {
				kind, method, path, body := h.request(r)
				_, d, err := v.do(ctx, method, path, body)
				if err != nil {
					failure <- err
					cancel()
					return
				}
				if s := int(time.Since(begin) / time.Second); s < len(answered) {
					answered[s].Add(1)
				}
				took[i][kind] = append(took[i][kind], d)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failure:
		return err
	default:
	}
	total := 0
	for i := range took {
		for _, all := range took[i] {
			total += len(all)
		}
	}
	if err := b.perRequest(h, "api/mixed", before, total); err != nil {
		return err
	}
	for s := 1; s <= mixedSeconds; s++ { // the first second makes connections
		b.add("api/mixed", "mixed requests a second over HTTPS, 16 at a time", "1/s", float64(answered[s].Load())).atLeast("median", 1000)
	}
	for i := range took {
		for kind, all := range took[i] {
			for _, d := range all {
				b.add("api/mixed-"+kind, "one of them", "s", seconds(d))
			}
		}
	}
	return nil
}

// request is one of the mix; both users may see what it asks for.
func (h *seededHub) request(r *rand.Rand) (kind, method, path string, body []byte) {
	app := r.IntN(3) + r.IntN(h.applications/h.projects)*h.projects
	switch n := r.IntN(100); {
	case n < 20:
		q := []string{"filter=health:degraded", "filter=sync:outofsync&sort=-changed", "sort=name&filter=env:prod", "facets=none&filter=checkout"}[r.IntN(4)]
		return "list", http.MethodGet, "/applications?limit=50&" + q, nil
	case n < 60:
		return "get", http.MethodGet, "/applications/" + h.app(app), nil
	case n < 70:
		return "explain", http.MethodPost, "/explain", fmt.Appendf(nil, `{"name": %q, "verb": "sync"}`, h.app(app))
	case n < 85:
		return "version", http.MethodGet, "/version", nil
	}
	return "operations", http.MethodGet, "/operations?limit=20", nil
}

// cliList measures the whole life of a command.
func (b *bench) cliList(ctx context.Context, h *seededHub) error {
	for i := range 32 {
		cmd := exec.CommandContext(ctx, filepath.Join(h.Bin, "hawser"), "app", "list", "--limit", fmt.Sprint(listPage))
		cmd.Env = h.CLIEnv()
		var out, problems bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &problems
		begin := time.Now()
		err := cmd.Run()
		took := time.Since(begin)
		if err != nil {
			return fmt.Errorf("hawser app list: %w: %s", err, problems.Bytes())
		}
		if lines := bytes.Count(out.Bytes(), []byte("\n")); lines < listPage {
			return fmt.Errorf("hawser app list printed %d lines", lines)
		}
		if i < 2 {
			continue // the program is not in the page cache yet
		}
		b.add("api/cli-list", "hawser app list --limit 200, start to finished", "s", seconds(took)).atMost("p50", 0.150)
	}
	return nil
}
