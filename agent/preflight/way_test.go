package preflight

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// line is a way to a hub on which one station may fail.
type line struct {
	proxy                           string
	dial, tunnel, meet, clock, tell error
	told                            []model.PreflightCheck
}

func (*line) Hub() string                                    { return "192.0.2.1:443" }
func (l *line) Proxy() string                                { return l.proxy }
func (l *line) Dial(context.Context) error                   { return l.dial }
func (l *line) Tunnel(context.Context) error                 { return l.tunnel }
func (l *line) Meet(context.Context) error                   { return l.meet }
func (l *line) Clock(context.Context) (time.Duration, error) { return 0, l.clock }
func (l *line) Tell(_ context.Context, c []model.PreflightCheck) error {
	l.told = c
	return l.tell
}

// outcomes are those of the way, in short.
func outcomes(checks []model.PreflightCheck) string {
	var s []byte
	for _, c := range checks {
		s = append(s, string(c.Outcome)[0])
	}
	return string(s)
}

func TestWhatComesAfterAFailureIsSkipped(t *testing.T) {
	bad := fault.New(fault.Unavailable, "hub_unreachable", "nobody")
	old := fault.New(fault.Precondition, "hub_too_old", "the hub is older")
	for name, c := range map[string]struct {
		line     *line
		enrolled bool
		// dns tcp proxy tls clock token kubernetes rights state: ok, failed, skipped
		want string
		told bool
	}{
		"well":                 {&line{}, false, "ooooooooo", true},
		"nobody there":         {&line{dial: bad}, false, "ofssssooo", false},
		"the proxy refuses":    {&line{proxy: "192.0.2.9:3128", tunnel: bad}, false, "oofsssooo", false},
		"another hub":          {&line{meet: fault.New(fault.Unauthorized, "hub_identity_changed", "who?")}, false, "ooofssooo", false},
		"the clock breaks TLS": {&line{meet: fault.New(fault.Unauthorized, "hub_certificate_time", "when?")}, false, "ooofosooo", false},
		"no clock":             {&line{clock: bad}, false, "oooofoooo", true},
		"an older hub":         {&line{clock: old, tell: old}, false, "oooossooo", true},
		"a bad token":          {&line{tell: fault.New(fault.Unauthorized, "enrolment_token_used", "used")}, false, "ooooofooo", true},
		"enrolled":             {&line{}, true, "ooooosooo", false},
	} {
		got := Run(t.Context(), Options{Hub: c.line, Cluster: &kube{version: "v1.30.0"}, Namespace: "n", Token: true, Enrolled: c.enrolled})
		if outcomes(got) != c.want {
			t.Errorf("%s: %s, want %s: %+v", name, outcomes(got), c.want, got)
		}
		if (c.line.told != nil) != c.told || c.told && len(c.line.told) != len(got)-1 {
			t.Errorf("%s: the hub was told %+v", name, c.line.told)
		}
	}
}

func TestTheCauseIsSaidOnce(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for _, c := range []struct {
		err  error
		want string
	}{
		{fault.Wrap(dial, fault.Unavailable, "hub_unreachable", "the hub does not answer"), "the hub does not answer: connection refused"},
		{fault.Wrap(context.DeadlineExceeded, fault.Unavailable, "hub_unreachable", "the hub does not answer"), "the hub does not answer: no answer in time"},
		{fault.Wrap(errors.New("said"), fault.Upstream, "refused", "it said"), "it said"},
		{errors.New("plain"), "internal error: plain"},
	} {
		if got := (Options{}).failed("tcp", c.err).Message; got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
