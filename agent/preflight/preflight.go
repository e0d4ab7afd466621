package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// The checks, in the order of the results.
const (
	checkDNS        = "dns"
	checkTCP        = "tcp"
	checkProxy      = "proxy"
	checkTLS        = "tls"
	checkClock      = "clock"
	checkToken      = "token"
	checkKubernetes = "kubernetes"
	checkRights     = "rights"
	checkState      = "state"
)

// Hub is the way to the hub. Every method but the first two dials, and blocks until
// it is answered or its time is over; errors are fault errors.
type Hub interface {
	// Hub is its HOST:PORT, Proxy that of the proxy on the way, "" for none.
	Hub() string
	Proxy() string
	// Dial reaches the first station, Tunnel has the proxy go on to the hub, and Meet
	// has the hub prove who it is.
	Dial(ctx context.Context) error
	Tunnel(ctx context.Context) error
	Meet(ctx context.Context) error
	// Clock is how far the hub's clock is ahead of this one.
	Clock(ctx context.Context) (time.Duration, error)
	// Tell gives the hub the results with the token, and is refused as an enrolment
	// would be.
	Tell(ctx context.Context, checks []model.PreflightCheck) error
}

// Cluster answers about the cluster. Every method is a request to its API server;
// errors are fault errors. Kube is the one that is real.
type Cluster interface {
	// Version is what the API server calls itself, such as "v1.37.2".
	Version(ctx context.Context) (string, error)
	// May answers whether the agent's account may do something.
	May(ctx context.Context, a Access) (bool, error)
	// TryState has the API server judge a Secret of the agent's namespace without
	// storing it. NotFound when there is no such namespace.
	TryState(ctx context.Context, namespace string) error
}

// Options of a preflight. Hub, or HubError, and Cluster, or ClusterError, are
// required.
type Options struct {
	Hub     Hub
	Cluster Cluster
	// HubError and ClusterError are why there is no way to one of them.
	HubError, ClusterError error
	// Namespace of the agent's own Secrets and Lease.
	Namespace string
	// Rights that the agent's account should have.
	Rights []Right
	// Token is whether there is one, Enrolled whether none is needed any more.
	Token, Enrolled bool
	// Resolve looks a name up; nil: this machine's resolver.
	Resolve func(ctx context.Context, host string) ([]string, error)
}

// Run makes all checks, those of the hub and those of the cluster beside each other.
func Run(ctx context.Context, o Options) []model.PreflightCheck {
	if o.Resolve == nil {
		o.Resolve = net.DefaultResolver.LookupHost
	}
	var way, cluster []model.PreflightCheck
	var wg sync.WaitGroup
	wg.Go(func() { way = o.way(ctx) })
	wg.Go(func() { cluster = o.cluster(ctx) })
	wg.Wait()
	token := o.token(ctx, way, append(way[:len(way):len(way)], cluster...))
	return append(append(way, token), cluster...)
}

// way looks at the way to the hub, station by station. What comes after a failure
// would fail for the same reason, and is skipped; but the clock may be why TLS failed.
func (o Options) way(ctx context.Context) []model.PreflightCheck {
	if o.HubError != nil {
		return o.noWay()
	}
	dns := o.dns(ctx)
	tcp := unless(dns, checkTCP, func() model.PreflightCheck { return o.tcp(ctx) })
	proxy := unless(tcp, checkProxy, func() model.PreflightCheck { return o.proxy(ctx) })
	hub := unless(proxy, checkTLS, func() model.PreflightCheck { return o.tls(ctx) })
	clock := skipped(checkClock, after(checkTLS))
	if hub.Outcome == model.PreflightOK || hub.Code == "hub_certificate_time" {
		clock = o.clock(ctx)
	}
	return []model.PreflightCheck{dns, tcp, proxy, hub, clock}
}

// noWay are the results when what is configured leads nowhere: the failure is where
// it would have been met.
func (o Options) noWay() []model.PreflightCheck {
	bad := checkDNS
	switch code := fault.As(o.HubError).Code; {
	case strings.HasPrefix(code, "proxy_"):
		bad = checkProxy
	case strings.HasPrefix(code, "ca_hash_"):
		bad = checkTLS
	}
	var out []model.PreflightCheck
	for _, name := range []string{checkDNS, checkTCP, checkProxy, checkTLS, checkClock} {
		if name == bad {
			out = append(out, o.failed(name, o.HubError))
		} else {
			out = append(out, skipped(name, fmt.Sprintf("the configuration is at fault: see %q", bad)))
		}
	}
	return out
}

func (o Options) cluster(ctx context.Context) []model.PreflightCheck {
	if o.ClusterError != nil {
		return []model.PreflightCheck{o.failed(checkKubernetes, o.ClusterError), skipped(checkRights, after(checkKubernetes)), skipped(checkState, after(checkKubernetes))}
	}
	version := o.kubernetes(ctx)
	if version.Outcome == model.PreflightFailed && version.Code != codeUnsupported {
		return []model.PreflightCheck{version, skipped(checkRights, after(checkKubernetes)), skipped(checkState, after(checkKubernetes))}
	}
	return []model.PreflightCheck{version, o.rights(ctx), o.state(ctx)}
}

// unless makes a check that makes sense when the one before did not fail.
func unless(before model.PreflightCheck, name string, check func() model.PreflightCheck) model.PreflightCheck {
	switch before.Outcome {
	case model.PreflightFailed:
		return skipped(name, after(before.Check))
	case model.PreflightSkipped:
		return skipped(name, before.Message)
	}
	return check()
}

func after(check string) string { return fmt.Sprintf("it comes after %q, which failed", check) }

func good(check, format string, args ...any) model.PreflightCheck {
	return model.PreflightCheck{Check: check, Outcome: model.PreflightOK, Message: fmt.Sprintf(format, args...)}
}

func skipped(check, why string) model.PreflightCheck {
	return model.PreflightCheck{Check: check, Outcome: model.PreflightSkipped, Message: why}
}

// failed is the result of an error, with its advice, or with what is known here of
// its code.
func (o Options) failed(check string, err error) model.PreflightCheck {
	f := fault.As(err)
	c := model.PreflightCheck{Check: check, Outcome: model.PreflightFailed, Code: f.Code, Message: f.Message, Fix: f.Fix}
	if cause := causeOf(f.Cause); cause != "" && !strings.Contains(c.Message, cause) {
		c.Message += ": " + cause
	}
	if advice := advice[f.Code]; c.Fix == "" && advice != "" {
		hub := "the hub"
		if o.Hub != nil {
			hub = o.Hub.Hub()
		}
		c.Fix = strings.ReplaceAll(advice, "HUB", hub)
	}
	return c
}

func warned(c model.PreflightCheck) model.PreflightCheck {
	c.Outcome = model.PreflightWarning
	return c
}

// causeOf is the reason at the bottom of an error of the network, without the
// addresses that the message has already.
func causeOf(err error) string {
	var dial *net.OpError
	var call *os.SyscallError
	var dns *net.DNSError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return "no answer in time"
	case errors.As(err, &dns):
		return dns.Err
	case errors.As(err, &call):
		return call.Err.Error()
	case errors.As(err, &dial) && dial.Err != nil:
		return dial.Err.Error()
	}
	return err.Error()
}

const mint = "mint a new one with: hawser cluster enroll NAME"

// advice is what there is to do about errors of the way to the hub that come without.
var advice = map[string]string{
	"hub_unreachable":               "let this cluster out to HUB over TCP (firewall, networkPolicy.hubTo of the chart), or name the proxy: proxy.url of the chart, --proxy or HTTPS_PROXY",
	"hub_handshake_failed":          "something between ends the connection: let TLS to HUB pass as it is",
	"hub_not_tls":                   "check the port of HUB; what is before the hub must pass TLS through as it is",
	"hub_protocol":                  "let TLS to HUB pass through as it is; the hub ends it itself",
	"proxy_unreachable":             "check the proxy's address, and let the agent out to it (networkPolicy.hubTo of the chart)",
	"proxy_refused":                 "have the proxy allow CONNECT to HUB, or leave the proxy out: proxy.url=direct, or HUB in NO_PROXY",
	"cluster_unreachable":           "look at the API server, and let the agent out to it (networkPolicy.apiServerTo of the chart)",
	"enrolment_token_used":          mint,
	"enrolment_token_expired":       mint,
	"enrolment_token_unknown":       mint,
	"enrolment_token_other_cluster": "use the name that the token was minted for, or mint one for this name",
	"connection_lost":               "something between ends the connection: let TLS to HUB pass as it is",
	"hub_certificate_time":          "set the clock of the node",
	"identity_not_found":            "run `hawser cluster enroll NAME` and start the agent as it says",
	"proxy_invalid":                 "write http://PROXY:PORT or https://PROXY:PORT",
	"hub_address_invalid":           "write HOST:PORT, as hawser cluster enroll prints it",
	"cluster_access_denied":         "see whether the account of the kubeconfig or of the pod exists",
}

// Failed reports whether a check failed.
func Failed(checks []model.PreflightCheck) bool {
	for _, c := range checks {
		if c.Outcome == model.PreflightFailed {
			return true
		}
	}
	return false
}
