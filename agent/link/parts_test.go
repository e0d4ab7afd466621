package link

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

func TestBackoff(t *testing.T) {
	most := func(n int64) int64 { return n - 1 }
	b := backoff{base: time.Second, cap: 20 * time.Second}
	var got []time.Duration
	for range 7 {
		got = append(got, b.next(most).Round(time.Second))
	}
	want := []time.Duration{1, 2, 4, 8, 16, 20, 20}
	for i := range want {
		if got[i] != want[i]*time.Second {
			t.Fatalf("limits %v", got)
		}
	}
	for range 100 {
		b.next(most) // no overflow
	}
	if w := b.next(most); w <= 0 || w > 20*time.Second {
		t.Errorf("after 100 more: %s", w)
	}
	b.reset()
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		b.reset()
		if w := b.next(r.Int64N); w < 0 || w >= time.Second {
			t.Fatalf("first wait %s", w)
		}
	}
	if jitter(0, most) != 0 {
		t.Error("a jitter of nothing")
	}
}

func TestTheHubsWishesToWaitAreRespectedAndBounded(t *testing.T) {
	most := func(n int64) int64 { return n }
	year := 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		end  ending
		want time.Duration // with the largest jitter and a backoff of 1 s
		cap  time.Duration // of the backoff afterwards
	}{
		"cut before a welcome": {ending{}, time.Second, time.Minute},
		"cut":                  {ending{welcomed: true, welcome: model.Welcome{ReconnectSpread: 20 * time.Second, ReconnectCap: 30 * time.Second}}, 21 * time.Second, 30 * time.Second},
		"no cap given":         {ending{welcomed: true}, time.Second, 5 * time.Second},
		"refused":              {ending{goAway: &wire.GoAway{RetryAfter: 7 * time.Second, Spread: 2 * time.Second}}, 10 * time.Second, time.Minute},
		"a hub beyond reason": {ending{welcomed: true, welcome: model.Welcome{ReconnectSpread: year, ReconnectCap: year}, goAway: &wire.GoAway{RetryAfter: year, Spread: year}},
			time.Second + 3*maxAsked, maxAsked},
	} {
		retry := backoff{base: time.Second, cap: time.Minute}
		if got := c.end.wait(&retry, most); got != c.want || retry.cap != c.cap {
			t.Errorf("%s: waits %s with a cap of %s; want %s and %s", name, got, retry.cap, c.want, c.cap)
		}
	}
	least := func(int64) int64 { return 0 }
	retry := backoff{base: time.Second, cap: time.Minute}
	if got := (ending{goAway: &wire.GoAway{RetryAfter: 7 * time.Second, Spread: time.Minute}}).wait(&retry, least); got != 7*time.Second {
		t.Errorf("it comes back after %s, before it was asked to", got)
	}
}

// script is a handler that writes down what it is told.
type script struct {
	Handler
	lines []string
	have  model.Digest
}

func (s *script) note(f string, args ...any) { s.lines = append(s.lines, fmt.Sprintf(f, args...)) }

func (s *script) HaveBundle(d model.Digest) bool { return d == s.have }
func (s *script) Desired(_ context.Context, d model.Desired, b []byte, ack func(error)) {
	s.note("desired %s%d %s", d.App, d.Generation, b)
	ack(nil)
}
func (s *script) Withdraw(_ context.Context, w model.Withdraw) { s.note("withdraw %s", w.App) }
func (s *script) Operation(_ context.Context, c model.Command) { s.note("operation %s", c.ID) }
func (s *script) InSync()                                      { s.note("in sync") }

// desk runs a sequence whose fetches the test completes by hand.
type desk struct {
	*sequence
	handler *script
	fetches map[model.Digest]func([]byte, error)
	acks    []string
}

func newDesk() *desk {
	d := &desk{handler: &script{have: "held"}, fetches: map[model.Digest]func([]byte, error){}}
	d.sequence = newSequence(context.Background(), d.handler)
	d.sequence.fetch = func(digest model.Digest, _ int64, done func([]byte, error)) { d.fetches[digest] = done }
	d.sequence.ack = func(app model.AppUID, g model.Generation) func(error) {
		return func(err error) {
			code := "ok"
			if err != nil {
				code = fault.As(err).Code
			}
			d.acks = append(d.acks, fmt.Sprintf("%s%d %s", app, g, code))
		}
	}
	return d
}

func state(app string, g int, bundle string) model.Desired {
	return model.Desired{App: model.AppUID(app), Generation: model.Generation(g), Bundle: model.Digest(bundle)}
}

func TestSequence(t *testing.T) {
	op := func(id, app string) model.Command {
		return model.Command{ID: model.OperationID(id), App: model.AppUID(app)}
	}
	for name, c := range map[string]struct {
		do   func(d *desk)
		want []string
		acks []string
	}{
		"inline and held go straight through": {func(d *desk) {
			d.desired(state("a", 1, "x"), []byte("X"))
			d.desired(state("b", 1, "held"), nil)
			d.operation(op("o", "a"))
			d.allSent()
		}, []string{"desired a1 X", "desired b1 ", "operation o", "in sync"}, []string{"a1 ok", "b1 ok"}},
		"what follows a fetch waits for it, other applications do not": {func(d *desk) {
			d.desired(state("a", 1, "x"), nil)
			d.operation(op("o", "a"))
			d.operation(op("p", "b"))
			d.desired(state("b", 1, "y"), []byte("Y"))
			d.allSent()
			d.fetches["x"]([]byte("X"), nil)
		}, []string{"operation p", "desired b1 Y", "desired a1 X", "operation o", "in sync"}, []string{"b1 ok", "a1 ok"}},
		"a newer state replaces a waiting one and takes its operations": {func(d *desk) {
			d.desired(state("a", 1, "x"), nil)
			d.operation(op("o", "a"))
			d.desired(state("a", 2, "y"), nil)
			d.allSent()
			d.fetches["x"]([]byte("X"), nil)
			d.fetches["y"]([]byte("Y"), nil)
		}, []string{"desired a2 Y", "operation o", "in sync"}, []string{"a2 ok"}},
		"a newer inline state overtakes a waiting one": {func(d *desk) {
			d.desired(state("a", 1, "x"), nil)
			d.operation(op("o", "a"))
			d.allSent()
			d.desired(state("a", 2, "y"), []byte("Y"))
			d.fetches["x"]([]byte("X"), nil)
		}, []string{"desired a2 Y", "operation o", "in sync"}, []string{"a2 ok"}},
		"an older state does not replace a waiting one": {func(d *desk) {
			d.desired(state("a", 2, "y"), nil)
			d.desired(state("a", 1, "x"), []byte("X"))
			d.fetches["y"]([]byte("Y"), nil)
		}, []string{"desired a2 Y"}, []string{"a2 ok"}},
		"a withdrawal makes the waiting state unnecessary": {func(d *desk) {
			d.desired(state("a", 1, "x"), nil)
			d.operation(op("o", "a"))
			d.withdraw(model.Withdraw{App: "a"})
			d.allSent()
			d.fetches["x"]([]byte("X"), nil)
		}, []string{"operation o", "withdraw a", "in sync"}, nil},
		"a bundle that cannot be had is a refusal": {func(d *desk) {
			d.desired(state("a", 1, "x"), nil)
			d.operation(op("o", "a"))
			d.allSent()
			d.fetches["x"](nil, fault.New(fault.NotFound, "bundle_unknown", "none"))
		}, []string{"operation o", "in sync"}, []string{"a1 bundle_unknown"}},
		"nothing is told after the end": {func(d *desk) {
			d.desired(state("a", 1, "x"), nil)
			d.close()
			d.fetches["x"]([]byte("X"), nil)
			d.desired(state("b", 1, "y"), []byte("Y"))
			d.withdraw(model.Withdraw{App: "b"})
			d.operation(op("o", "b"))
			d.allSent()
			d.do(func(h Handler) { h.InSync() })
		}, nil, nil},
	} {
		d := newDesk()
		c.do(d)
		if !slices.Equal(d.handler.lines, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, d.handler.lines, c.want)
		}
		if !slices.Equal(d.acks, c.acks) {
			t.Errorf("%s: acknowledged %q, want %q", name, d.acks, c.acks)
		}
	}
}

func TestOutbox(t *testing.T) {
	o := newOutbox()
	o.reports([]model.AppReport{{App: "lost", Seq: 1}})
	o.operation(model.OperationUpdate{ID: "early", Phase: model.PhaseRunning})
	o.operation(model.OperationUpdate{ID: "early", Phase: model.PhaseSucceeded}) // after the hello was written
	o.clusterReport(model.ClusterReport{Nodes: 1})
	first := o.start()
	w := o.take()
	if len(w.reports) > 0 || len(w.opOrder) != 1 || w.operations["early"].Phase != model.PhaseSucceeded || w.cluster == nil || w.cluster.Nodes != 1 {
		t.Errorf("at the start there is %+v", w)
	}
	tree := &model.ResourceTree{}
	o.reports([]model.AppReport{{App: "a", Seq: 1, Tree: tree}, {App: "b", Seq: 2}, {App: "a", Seq: 3}})
	o.reports([]model.AppReport{{App: "a", Seq: 2}})
	o.operation(model.OperationUpdate{ID: "x", Phase: model.PhaseRunning})
	o.operation(model.OperationUpdate{ID: "y", Phase: model.PhaseSucceeded})
	o.operation(model.OperationUpdate{ID: "y", Phase: model.PhaseRunning})
	ack2, ack1 := o.acker(first, "a", 2), o.acker(first, "a", 1)
	ack2(fault.New(fault.Denied, "kind_not_permitted", "no"))
	ack2(nil) // only once
	ack1(nil) // older
	w = o.take()
	if len(w.reports) != 2 || w.reports["a"].Seq != 3 || w.reports["a"].Tree != tree {
		t.Errorf("reports %+v", w.reports)
	}
	if !slices.Equal(w.opOrder, []model.OperationID{"x", "y"}) || w.operations["y"].Phase != model.PhaseSucceeded {
		t.Errorf("operations %v %+v", w.opOrder, w.operations)
	}
	if len(w.acks) != 1 || w.acks["a"] != (desiredAck{2, "kind_not_permitted", "no"}) {
		t.Errorf("acks %+v", w.acks)
	}
	late := o.acker(first, "a", 3)
	o.operation(model.OperationUpdate{ID: "z", Phase: model.PhaseFailed})
	o.reports([]model.AppReport{{App: "a", Seq: 4}})
	o.stop()
	late(nil)
	o.start()
	stale := o.acker(first, "b", 1)
	stale(nil)
	if w := o.take(); len(w.acks)+len(w.reports) > 0 || w.cluster == nil || !slices.Equal(w.opOrder, []model.OperationID{"z"}) {
		t.Errorf("the second session starts with %+v", w)
	}
}

func TestPartialsAreBounded(t *testing.T) {
	p := newPartials()
	for i := range 10 {
		p.keep(model.Digest(fmt.Sprint(i)), make([]byte, 4<<20))
	}
	if p.bytes > maxPartialBytes || len(p.data) != 4 {
		t.Errorf("%d bytes of %d bundles", p.bytes, len(p.data))
	}
	if got := p.take("0"); len(got) != 4<<20 || p.take("0") != nil {
		t.Error("taken twice or not at all")
	}
	p.clear()
	if p.bytes != 0 || p.take("1") != nil {
		t.Error("not cleared")
	}
}

func identity() Identity {
	return Identity{Cluster: "c", ClusterName: "eu-prod", KeyPEM: []byte("k"), CertificatePEM: []byte("crt"), CAPEM: []byte("ca")}
}

func same(a, b Identity) bool {
	return a.Cluster == b.Cluster && a.ClusterName == b.ClusterName && string(a.KeyPEM) == string(b.KeyPEM) &&
		string(a.CertificatePEM) == string(b.CertificatePEM) && string(a.CAPEM) == string(b.CAPEM)
}

func TestFileIdentity(t *testing.T) {
	f := FileIdentity{Path: filepath.Join(t.TempDir(), "deep", "identity.json")}
	if _, err := f.Load(t.Context()); !fault.Is(err, fault.NotFound) {
		t.Errorf("before: %v", err)
	}
	for range 2 {
		if err := f.Save(t.Context(), identity()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.Load(t.Context())
	if err != nil || !same(got, identity()) {
		t.Errorf("got %+v, %v", got, err)
	}
	info, err := os.Stat(f.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(f.Path)); len(entries) != 1 {
		t.Errorf("%d files left behind", len(entries))
	}
	if err := os.WriteFile(f.Path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(t.Context()); !fault.HasCode(err, "identity_damaged") {
		t.Errorf("damaged: %v", err)
	}
	if _, err := (FileIdentity{Path: t.TempDir()}).Load(t.Context()); !fault.HasCode(err, "identity_unreadable") {
		t.Errorf("unreadable: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := func() Options { return Options{Address: "hub.example:443", Proxy: ProxyDirect} }
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	for code, change := range map[string]func(*Options){
		"hub_address_invalid":      func(o *Options) { o.Address = "hub.example" },
		"ca_hash_invalid":          func(o *Options) { o.CAHash = "sha256:00" },
		"proxy_invalid":            func(o *Options) { o.Proxy = "http://user:pa%ss@x" },
		"proxy_scheme_unsupported": func(o *Options) { o.Proxy = "socks5://x:1" },
		"proxy_ca_unreadable":      func(o *Options) { o.ProxyCAFile = filepath.Join(t.TempDir(), "none") },
	} {
		o := good()
		change(&o)
		_, err := New(o)
		if !fault.HasCode(err, code) || strings.Contains(err.Error(), "pa%ss") {
			t.Errorf("got %v, want %s", err, code)
		}
	}
}
