package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/agent/preflight"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// preflightTimeout of all checks: an agent that finds nothing goes on, and says
// itself what is missing.
const (
	preflightTimeout = time.Minute
	// identityTimeout of asking whether the cluster is enrolled.
	identityTimeout = 10 * time.Second
)

// preflight looks at what an agent needs before it enrols, and has a line in the log
// for each check. It never ends the agent: what fails may come right by itself.
func (a *agent) preflight(ctx context.Context) error {
	o := a.cfg.preflight(ctx)
	if o.Enrolled {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	for _, c := range preflight.Run(ctx, o) {
		logCheck(ctx, a.log, c)
	}
	return nil
}

// levels of the lines.
var levels = map[model.PreflightOutcome]slog.Level{model.PreflightWarning: slog.LevelWarn, model.PreflightFailed: slog.LevelError}

func logCheck(ctx context.Context, log *slog.Logger, c model.PreflightCheck) {
	args := []any{"check", c.Check, "outcome", string(c.Outcome)}
	if c.Code != "" {
		args = append(args, "code", c.Code, "id", fault.ID(c.Code))
	}
	args = append(args, "found", c.Message)
	if c.Fix != "" {
		args = append(args, "fix", c.Fix)
	}
	log.Log(ctx, levels[c.Outcome], "preflight", args...)
}

// Preflight makes the checks once, for the command of that name.
func Preflight(ctx context.Context, cfg Config) ([]model.PreflightCheck, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if _, err := preflight.ParseRights(cfg.Rights); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	return preflight.Run(ctx, cfg.preflight(ctx)), nil
}

// preflight joins the way to the hub and the cluster for the checks. What cannot be
// made is a result, too.
func (c *Config) preflight(ctx context.Context) preflight.Options {
	o := preflight.Options{Namespace: c.Namespace, Rights: preflight.LeastRights(c.Namespace, c.WatchNamespaces)}
	if more, err := preflight.ParseRights(c.Rights); err == nil {
		o.Rights = append(o.Rights, more...)
	}
	token, err := c.token()
	o.Token = token != ""
	o.HubError = err
	if err == nil {
		probe, err := link.NewProbe(link.Options{
			Address: c.Hub, CAHash: c.CAHash, Token: token, ClusterName: c.ClusterName, Proxy: c.Proxy, ProxyCAFile: c.ProxyCA, AgentVersion: telemetry.Version, Now: c.Now,
		})
		if o.HubError = err; err == nil {
			o.Hub = probe
		}
	}
	userAgent := "hawser-agent/" + telemetry.Version
	hc, base, err := c.apiServer(userAgent)
	if err != nil {
		o.ClusterError = err
		return o
	}
	o.Cluster = preflight.NewKube(hc, base)
	// Whoever cannot read it, for whatever reason, has not enrolled as far as it knows.
	ctx, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	_, err = identities{journal.NewClient(hc, base, c.Namespace, userAgent)}.Load(ctx)
	o.Enrolled = err == nil
	return o
}

// apiServer is the way to the API server.
func (c *Config) apiServer(userAgent string) (*http.Client, *url.URL, error) {
	cfg, err := c.restConfig(userAgent)
	if err != nil {
		return nil, nil, err
	}
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Invalid, "kubeconfig_invalid", "the way to the API server cannot be used")
	}
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Invalid, "kubeconfig_invalid", "the API server's address is not a URL")
	}
	return hc, base, nil
}
