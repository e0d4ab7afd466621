package preflight

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// The hub's clock and this one may differ by slightSkew without a word, and by
// skew before it is a failure. Nothing breaks at once; but what ages, tokens and
// windows say is wrong by as much, and at an hour certificates are not valid yet.
const (
	slightSkew = time.Minute
	skew       = 5 * time.Minute
)

// lookupTimeout of one name.
const lookupTimeout = 10 * time.Second

// dns looks up who is dialled: the proxy when there is one, which then looks up the
// hub itself.
func (o Options) dns(ctx context.Context) model.PreflightCheck {
	who, address := "hub", o.Hub.Hub()
	if p := o.Hub.Proxy(); p != "" {
		who, address = "proxy", p
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if net.ParseIP(host) != nil {
		return good(checkDNS, "the %s is an address, %s; there is no name to look up", who, host)
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := o.Resolve(ctx, host)
	if err == nil && len(found) == 0 {
		err = errors.New("it has no address")
	}
	if err != nil {
		return o.failed(checkDNS, fault.Wrap(err, fault.Unavailable, "name_unresolved", "the %s's name %q cannot be looked up here", who, host).
			WithFix("check the name; if it is right, see whether pods of this cluster get answers from its DNS (port 53 over UDP and TCP), or give an address instead of the name"))
	}
	if len(found) > 3 {
		found = append(found[:3:3], "…")
	}
	return good(checkDNS, "the %s %s is %s", who, host, strings.Join(found, ", "))
}

func (o Options) tcp(ctx context.Context) model.PreflightCheck {
	if err := o.Hub.Dial(ctx); err != nil {
		return o.failed(checkTCP, err)
	}
	if p := o.Hub.Proxy(); p != "" {
		return good(checkTCP, "the proxy %s takes connections", p)
	}
	return good(checkTCP, "%s takes connections", o.Hub.Hub())
}

func (o Options) proxy(ctx context.Context) model.PreflightCheck {
	proxy := o.Hub.Proxy()
	if proxy == "" {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
			if os.Getenv(name) != "" {
				return good(checkProxy, "none: %s is set, and NO_PROXY or the option leaves %s out", name, o.Hub.Hub())
			}
		}
		return good(checkProxy, "none: %s is dialled directly", o.Hub.Hub())
	}
	if err := o.Hub.Tunnel(ctx); err != nil {
		return o.failed(checkProxy, err)
	}
	return good(checkProxy, "%s connects to %s", proxy, o.Hub.Hub())
}

func (o Options) tls(ctx context.Context) model.PreflightCheck {
	if err := o.Hub.Meet(ctx); err != nil {
		return o.failed(checkTLS, err)
	}
	return good(checkTLS, "%s has proven with the pinned CA that it is the hub", o.Hub.Hub())
}

func (o Options) clock(ctx context.Context) model.PreflightCheck {
	ahead, err := o.Hub.Clock(ctx)
	switch {
	case fault.HasCode(err, "hub_too_old"):
		return skipped(checkClock, fault.As(err).Message)
	case err != nil:
		return o.failed(checkClock, err)
	}
	return o.judgeClock(ahead)
}

// judgeClock is the decision about a difference of the clocks.
func (o Options) judgeClock(ahead time.Duration) model.PreflightCheck {
	which, off := "behind", ahead
	if off < 0 {
		which, off = "ahead of", -off
	}
	if off <= slightSkew {
		return good(checkClock, "this clock and the hub's differ by %s", off.Round(time.Millisecond))
	}
	c := o.failed(checkClock, fault.New(fault.Precondition, "clock_skewed", "this machine's clock is %s %s the hub's", off.Round(time.Second), which).
		WithFix("have the nodes of this cluster, and the hub's machine, set their clocks by NTP"))
	if off <= skew {
		return warned(c)
	}
	return c
}

// token asks the hub whether it would take the token, by telling it what was found.
func (o Options) token(ctx context.Context, way, found []model.PreflightCheck) model.PreflightCheck {
	hub := way[3]
	switch {
	case o.Enrolled:
		return skipped(checkToken, "this cluster is enrolled; a token is not needed any more")
	case !o.Token:
		return o.failed(checkToken, fault.New(fault.Precondition, "identity_not_found", "this cluster has not enrolled, and no enrolment token is configured").
			WithFix("run `hawser cluster enroll NAME` and start the agent as it says"))
	case hub.Outcome == model.PreflightFailed:
		return skipped(checkToken, after(checkTLS))
	case hub.Outcome != model.PreflightOK:
		return skipped(checkToken, hub.Message)
	}
	err := o.Hub.Tell(ctx, found)
	switch {
	case fault.HasCode(err, "hub_too_old"):
		return skipped(checkToken, fault.As(err).Message)
	case err != nil:
		return o.failed(checkToken, withItsFix(err))
	}
	return good(checkToken, "the hub takes it, and has these results")
}

// withItsFix takes what to do from the end of what the hub said, where fault.GRPC has
// put it.
func withItsFix(err error) error {
	f := fault.As(err)
	if at := strings.LastIndex(f.Message, "; "); at > 0 && f.Fix == "" && strings.HasPrefix(f.Code, "enrolment_token_") {
		return &fault.Error{Kind: f.Kind, Code: f.Code, Message: f.Message[:at], Fix: f.Message[at+2:]}
	}
	return err
}
