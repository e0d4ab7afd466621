package line

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/agent/preflight"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// cluster is one where everything is as it should be.
type cluster struct{}

func (cluster) Version(context.Context) (string, error)             { return "v1.37.2", nil }
func (cluster) May(context.Context, preflight.Access) (bool, error) { return true, nil }
func (cluster) TryState(context.Context, string) error              { return nil }

// probe is the way of a link that is not run.
func (h *hub) probe(change func(*link.Options)) *link.Probe {
	h.t.Helper()
	o := link.Options{Address: h.addr, CAHash: h.authority.Hash(), Proxy: link.ProxyDirect, AgentVersion: "test", Now: h.clock.Now, HandshakeTimeout: patience}
	if change != nil {
		change(&o)
	}
	p, err := link.NewProbe(o)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// check finds a result, and holds that those before it did not fail.
func check(t *testing.T, checks []model.PreflightCheck, name string) model.PreflightCheck {
	t.Helper()
	for _, c := range checks {
		if c.Check == name {
			return c
		}
	}
	t.Fatalf("there is no check %q in %+v", name, checks)
	return model.PreflightCheck{}
}

func failures(checks []model.PreflightCheck) (out []string) {
	for _, c := range checks {
		if c.Outcome == model.PreflightFailed {
			out = append(out, c.Check+" "+c.Code)
		}
	}
	return out
}

func TestThePreflightOfAGoodWayIsToldToTheHub(t *testing.T) {
	h := newHub(t, nil)
	token, other := h.token("eu-prod", time.Hour), h.token("us-prod", time.Hour)
	_ = other
	checks := preflight.Run(t.Context(), preflight.Options{Hub: h.probe(func(o *link.Options) { o.Token = token }), Cluster: cluster{}, Token: true})
	for _, c := range checks {
		if c.Outcome != model.PreflightOK || c.Message == "" {
			t.Errorf("%+v", c)
		}
	}
	if len(checks) != 9 {
		t.Errorf("%d checks", len(checks))
	}
	h.store.mu.Lock()
	got, untouched, used := h.store.tokens[0].Preflight, h.store.tokens[1].Preflight, h.store.tokens[0].UsedAt
	h.store.mu.Unlock()
	if got == nil || len(got.Checks) != 8 || got.AgentVersion != "test" || !strings.HasPrefix(got.From, "127.0.0.1:") {
		t.Errorf("the hub has %+v", got)
	}
	if untouched != nil || used != nil {
		t.Errorf("another enrolment was written to (%v), or the token was spent (%v)", untouched, used)
	}
	if h.logs.line(token) {
		t.Error("the token is in the hub's log")
	}
	// The token is still good.
	h.run(func(o *link.Options) { o.Token = token }).inSync(t, 1)
}

func TestWhatAPreflightFinds(t *testing.T) {
	h := newHub(t, nil)
	good := h.token("eu-prod", time.Hour)
	yesterdays := h.token("eu-prod", -24*time.Hour)
	used := h.token("us-prod", time.Hour)
	h.run(func(o *link.Options) { o.Token = used }).inSync(t, 1)
	off := func(d time.Duration) func(*link.Options) {
		c := &clock{}
		c.forward(d)
		return func(o *link.Options) { o.Token, o.Now = good, c.Now }
	}
	strict, err := testbed.StartConnectProxy(testbed.ConnectOptions{User: "agent", Password: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(strict.Close)
	inspecting, err := testbed.StartConnectProxy(testbed.ConnectOptions{Intercept: "Corp Inspection CA"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inspecting.Close)
	forbidding := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(forbidding.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, c := range map[string]struct {
		change func(*link.Options)
		// fails are "check code", says is in the message of the first.
		fails string
		says  []string
	}{
		"nobody listens":            {func(o *link.Options) { o.Token, o.Address = good, gone.Addr().String() }, "tcp hub_unreachable", []string{gone.Addr().String(), "refused"}},
		"the proxy is gone":         {func(o *link.Options) { o.Token, o.Proxy = good, "http://"+gone.Addr().String() }, "tcp proxy_unreachable", []string{gone.Addr().String()}},
		"the proxy wants a login":   {func(o *link.Options) { o.Token, o.Proxy = good, "http://agent:wr0ng@"+strict.Addr() }, "proxy proxy_auth_failed", []string{strict.Addr(), "407"}},
		"the proxy forbids":         {func(o *link.Options) { o.Token, o.Proxy = good, forbidding.URL }, "proxy proxy_refused", []string{"403", h.addr}},
		"the proxy opens TLS":       {func(o *link.Options) { o.Token, o.Proxy = good, inspecting.URL() }, "tls hub_identity_changed", []string{`"Corp Inspection CA"`, h.authority.Hash()}},
		"another hub":               {func(o *link.Options) { o.Token, o.CAHash = good, newHub(t, nil).authority.Hash() }, "tls hub_identity_changed", []string{h.authority.Hash()}},
		"no TLS":                    {func(o *link.Options) { o.Token, o.Address = good, strings.TrimPrefix(plain.URL, "http://") }, "tls hub_not_tls", nil},
		"a clock 10 minutes behind": {off(-10 * time.Minute), "clock clock_skewed", []string{"10m0s behind the hub's"}},
		"a clock 10 minutes ahead":  {off(10 * time.Minute), "clock clock_skewed", []string{"10m0s ahead of the hub's"}},
		"a clock of last year":      {off(-8000 * time.Hour), "tls hub_certificate_time, clock clock_skewed", []string{"clock says"}},
		"a token of yesterday":      {func(o *link.Options) { o.Token = yesterdays }, "token enrolment_token_expired", nil},
		"a token that was used":     {func(o *link.Options) { o.Token = used }, "token enrolment_token_used", nil},
		"a token of another":        {func(o *link.Options) { o.Token, o.ClusterName = good, "ap-prod" }, "token enrolment_token_other_cluster", nil},
		"half a token":              {func(o *link.Options) { o.Token = good[:20] }, "token enrolment_token_malformed", nil},
		"a token of another hub":    {func(o *link.Options) { o.Token = newHub(t, nil).token("eu-prod", time.Hour) }, "token enrolment_token_unknown", nil},
		"no token":                  {nil, "token identity_not_found", []string{"no enrolment token"}},
	} {
		t.Run(name, func(t *testing.T) {
			h.store.mu.Lock()
			for _, token := range h.store.tokens {
				token.Preflight = nil
			}
			h.store.mu.Unlock()
			p := h.probe(c.change)
			checks := preflight.Run(t.Context(), preflight.Options{Hub: p, Cluster: cluster{}, Token: c.change != nil})
			if got := strings.Join(failures(checks), ", "); got != c.fails {
				t.Fatalf("failed: %q, want %q\n%+v", got, c.fails, checks)
			}
			name, _, _ := strings.Cut(c.fails, " ")
			first := check(t, checks, name)
			for _, s := range c.says {
				if !strings.Contains(first.Message, s) {
					t.Errorf("%q does not say %q", first.Message, s)
				}
			}
			for _, c := range checks {
				if c.Outcome == model.PreflightFailed && c.Fix == "" {
					t.Errorf("%s does not say what to do: %+v", c.Code, c)
				}
				if s := fmt.Sprint(c); strings.Contains(s, "wr0ng") || strings.Contains(s, good) {
					t.Errorf("a secret is in %+v", c)
				}
			}
			// Only a token that could enrol writes, and what it found is what it tells.
			h.store.mu.Lock()
			defer h.store.mu.Unlock()
			for i, token := range h.store.tokens {
				told := i == 0 && name == "clock"
				if (token.Preflight != nil) != told {
					t.Errorf("%s: the hub was told: %v", token.Cluster, token.Preflight != nil)
				}
			}
		})
	}
}

func TestANameThatIsNowhereIsSaid(t *testing.T) {
	h := newHub(t, nil)
	_, port, _ := net.SplitHostPort(h.addr)
	at := func(resolve func(context.Context, string) ([]string, error), change func(*link.Options)) []model.PreflightCheck {
		return preflight.Run(t.Context(), preflight.Options{Hub: h.probe(change), Cluster: cluster{}, Token: true, Resolve: resolve})
	}
	nowhere := func(_ context.Context, host string) ([]string, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	checks := at(nowhere, func(o *link.Options) { o.Address = "hub.invalid:" + port })
	if got := failures(checks); len(got) != 1 || got[0] != "dns name_unresolved" {
		t.Fatalf("failed: %v", got)
	}
	if c := check(t, checks, "dns"); !strings.Contains(c.Message, `hub's name "hub.invalid"`) || !strings.Contains(c.Message, "no such host") {
		t.Errorf("%+v", c)
	}
	if c := check(t, checks, "tls"); c.Outcome != model.PreflightSkipped || !strings.Contains(c.Message, `"dns"`) {
		t.Errorf("%+v", c)
	}
	// A proxy looks the hub up; what is looked up here is the proxy.
	checks = at(nowhere, func(o *link.Options) { o.Address, o.Proxy = "hub.invalid:"+port, "http://proxy.invalid:3128" })
	if c := check(t, checks, "dns"); !strings.Contains(c.Message, `proxy's name "proxy.invalid"`) {
		t.Errorf("%+v", c)
	}
}

func TestAPreflightOfTheEnvironmentsProxy(t *testing.T) {
	h := newHub(t, nil)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "hub.example")
	p := h.probe(func(o *link.Options) { o.Address, o.Proxy = "hub.example:443", "" })
	if p.Proxy() != "" {
		t.Errorf("NO_PROXY is not heard: %s", p.Proxy())
	}
	p = h.probe(func(o *link.Options) { o.Address, o.Proxy = "hub.other:443", "" })
	if p.Proxy() != "127.0.0.1:1" {
		t.Errorf("HTTPS_PROXY is not heard: %q", p.Proxy())
	}
}

func TestWhoHasATokenTellsLittleAndNoSecrets(t *testing.T) {
	h := newHub(t, nil)
	token := h.token("eu-prod", time.Hour)
	p := h.probe(func(o *link.Options) { o.Token = token })
	many := make([]model.PreflightCheck, 100)
	for i := range many {
		many[i] = model.PreflightCheck{Check: strings.Repeat("a", 1+i%30), Outcome: model.PreflightOK}
	}
	for name, checks := range map[string][]model.PreflightCheck{
		"too many":            many,
		"twice":               {{Check: "dns", Outcome: model.PreflightOK}, {Check: "dns", Outcome: model.PreflightOK}},
		"a name that is none": {{Check: "<b>", Outcome: model.PreflightOK}},
		"an outcome":          {{Check: "dns", Outcome: "splendid"}},
		"a code":              {{Check: "dns", Outcome: model.PreflightFailed, Code: "no code"}},
	} {
		if err := p.Tell(t.Context(), checks); !fault.HasCode(err, "wire_invalid") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h.store.tokens[0].Preflight != nil {
		t.Error("what was refused is kept")
	}
	err := p.Tell(t.Context(), []model.PreflightCheck{
		{Check: "dns", Outcome: model.PreflightFailed, Code: "name_unresolved", Message: strings.Repeat("x", 1<<20)},
		{Check: "state", Outcome: model.PreflightFailed, Code: "refused", Message: `refused: {"kind":"Secret","apiVersion":"v1","data":{"password":"aHVudGVyMg=="}}`},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := h.store.tokens[0].Preflight
	if n := len(got.Checks[0].Message); n > 1100 {
		t.Errorf("a message of %d bytes is kept", n)
	}
	if strings.Contains(got.Checks[1].Message, "aHVudGVyMg") {
		t.Errorf("the value of a Secret is kept: %s", got.Checks[1].Message)
	}
}
