package link

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Probe goes the way of a link step by step, with the same dialer, so that what it
// finds is what the link will meet. It presents no certificate and spends no token.
// It is safe for one goroutine.
type Probe struct {
	l *Link
}

// NewProbe looks at the options; it does not touch the network.
func NewProbe(o Options) (*Probe, error) {
	l, err := New(o)
	if err != nil {
		return nil, err
	}
	if l.pin == "" {
		return nil, fault.New(fault.Invalid, "ca_hash_missing", "the hub's CA hash is not configured; without it the hub cannot be told from another").
			WithFix("copy it from the answer of `hawser cluster enroll`")
	}
	return &Probe{l: l}, nil
}

// Hub is the address that is configured.
func (p *Probe) Hub() string { return p.l.dialer.address }

// Proxy is the HOST:PORT of the proxy on the way, "" for none. Its user and password
// are left out.
func (p *Probe) Proxy() string {
	proxy, err := p.l.dialer.proxy()
	if err != nil || proxy == nil {
		return ""
	}
	return proxyAddress(proxy)
}

// Dial connects to the next station, the proxy or the hub, and hangs up.
func (p *Probe) Dial(ctx context.Context) error {
	d := p.l.dialer
	ctx, cancel := context.WithTimeout(ctx, d.handshake)
	defer cancel()
	proxy := p.Proxy()
	if proxy != "" {
		conn, err := d.tcp(ctx, "tcp", proxy)
		if err != nil {
			return fault.Wrap(err, fault.Unavailable, "proxy_unreachable", "the proxy at %s does not answer", proxy)
		}
		return conn.Close()
	}
	conn, err := d.tcp(ctx, "tcp", d.address)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "hub_unreachable", "the hub at %s does not answer", d.address)
	}
	return conn.Close()
}

// Tunnel has the proxy connect to the hub, and hangs up.
func (p *Probe) Tunnel(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.l.dialer.handshake)
	defer cancel()
	conn, err := p.l.dialer.connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Meet has the hub prove who it is, as before an enrolment, and hangs up.
func (p *Probe) Meet(ctx context.Context) error {
	conn, err := p.l.dialer.dial(ctx, model.EnrolServerName, trust{pin: p.l.pin}, nil)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Clock answers how far the hub's clock is ahead of this machine's; half of the way
// there and back is taken off. It asks the pinned hub, and asks it also when the two
// clocks are so far apart that its certificate is not valid by this one.
func (p *Probe) Clock(ctx context.Context) (time.Duration, error) {
	sent := p.l.opts.Now()
	resp, err := p.preflight(ctx, trust{pin: p.l.pin, anyTime: true}, &agentv1.PreflightRequest{AgentVersion: p.l.opts.AgentVersion})
	if err != nil {
		return 0, err
	}
	if resp.GetHubTime().CheckValid() != nil {
		return 0, fault.New(fault.Upstream, "hub_time_missing", "the hub did not tell its time")
	}
	came := p.l.opts.Now()
	return resp.GetHubTime().AsTime().Sub(sent.Add(came.Sub(sent) / 2)), nil
}

// Tell gives the hub the results, with the token. It is refused as an enrolment with
// the token would be.
func (p *Probe) Tell(ctx context.Context, checks []model.PreflightCheck) error {
	_, err := p.preflight(ctx, trust{pin: p.l.pin}, &agentv1.PreflightRequest{
		Token: p.l.opts.Token, ClusterName: p.l.opts.ClusterName, AgentVersion: p.l.opts.AgentVersion, Checks: wire.PreflightToProto(checks),
	})
	return err
}

func (p *Probe) preflight(ctx context.Context, t trust, req *agentv1.PreflightRequest) (*agentv1.PreflightResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	cc, err := p.l.rpc(ctx, model.EnrolServerName, t, nil)
	if err != nil {
		return nil, err
	}
	defer cc.Close()
	resp, err := agentv1.NewEnrolmentClient(cc).Preflight(ctx, req)
	if status.Code(err) == codes.Unimplemented {
		return nil, fault.New(fault.Precondition, "hub_too_old", "the hub is of an older release and takes no results of a preflight").
			WithFix("nothing, the agent enrols without; or bring the hub to the agent's release")
	}
	return resp, fault.FromGRPC(err)
}
