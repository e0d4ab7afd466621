package app

import (
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Config is everything that an operator of a cluster can set.
type Config struct {
	// Hub is the hub's HOST:PORT; CAHash pins its CA.
	Hub, CAHash string
	// Token enrols the cluster, once. It is read from HAWSER_TOKEN or TokenFile,
	// not from a flag, which every user of the machine could see.
	TokenFile string
	// ClusterName that the operator believes to enrol; empty takes the token's.
	ClusterName string
	// Kubeconfig to reach the API server; empty means in the cluster, or
	// KUBECONFIG.
	Kubeconfig, KubeContext string
	// Namespace of the agent's own Secrets and Lease.
	Namespace string
	// WatchNamespaces are the only ones that are looked into, when there are any:
	// for an account that has rights in these alone.
	WatchNamespaces []string
	// Rights that the agent's account should have, for the preflight: a list of
	// {namespaces, rules} as YAML or JSON, which the chart fills in. Empty: those
	// without which no agent works.
	Rights string
	// Proxy to reach the hub: a URL, "direct", or empty for the environment's.
	Proxy string
	// ProxyCA holds further authorities that may vouch for an https:// proxy.
	ProxyCA string
	// Overrides is a directory with health checks and actions in Lua, in Argo
	// CD's layout; empty for none.
	Overrides string

	// AllowExec lets people at the hub run commands in containers of
	// applications. It is the cluster's to decide, and off by default.
	AllowExec bool
	// AllowKubectl lets people at the hub use kubectl with the cluster, as users
	// of its own. It is the cluster's to decide, and off by default.
	AllowKubectl bool

	// MetricsListen is the address of /metrics and HealthListen that of /livez and
	// /readyz: plain HTTP without a login, so they are off unless they are given.
	MetricsListen, HealthListen string

	LogFormat, LogLevel string

	// Now is this machine's clock; nil: time.Now. Tests put it wrong.
	Now func() time.Time
}

// Flags registers the configuration on a flag set.
func (c *Config) Flags(f *pflag.FlagSet) {
	f.StringVar(&c.Hub, "hub", os.Getenv("HAWSER_HUB"), "HOST:PORT of the hub")
	f.StringVar(&c.CAHash, "ca-hash", os.Getenv("HAWSER_CA_HASH"), `hash of the hub's CA, "sha256:…", as the enrolment command has it`)
	f.StringVar(&c.TokenFile, "token-file", "", "file with the one-time enrolment token (default: $HAWSER_TOKEN); needed once")
	f.StringVar(&c.ClusterName, "cluster-name", "", "refuse a token that is for another cluster")
	f.StringVar(&c.Kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: the pod's service account, or $KUBECONFIG)")
	f.StringVar(&c.KubeContext, "kube-context", "", "context in the kubeconfig")
	f.StringVar(&c.Namespace, "namespace", envOr("HAWSER_NAMESPACE", "hawser-system"), "namespace of the agent's own Secrets and Lease; created when missing")
	f.StringSliceVar(&c.WatchNamespaces, "watch-namespace", nil, "look only into this namespace, for an account that may not look elsewhere; may be repeated (default: the whole cluster)")
	f.StringVar(&c.Rights, "rights", "", "rights that the agent's account should have, which the preflight asks for: a list of {namespaces, rules}, as the chart writes it")
	f.StringVar(&c.Proxy, "proxy", "", `HTTP proxy to reach the hub through (default: $HTTPS_PROXY; "direct" ignores it)`)
	f.StringVar(&c.ProxyCA, "proxy-ca", "", "file with further certificate authorities for an https:// proxy, PEM")
	f.StringVar(&c.Overrides, "overrides", os.Getenv("HAWSER_OVERRIDES"), "directory with <group>/<Kind>/health.lua and actions, which win over the hub's")
	f.BoolVar(&c.AllowExec, "allow-exec", os.Getenv("HAWSER_ALLOW_EXEC") == "true", "let people at the hub run commands in containers of applications (default: $HAWSER_ALLOW_EXEC)")
	f.BoolVar(&c.AllowKubectl, "allow-kubectl", os.Getenv("HAWSER_ALLOW_KUBECTL") == "true", "let people at the hub use kubectl with this cluster (default: $HAWSER_ALLOW_KUBECTL)")
	f.StringVar(&c.MetricsListen, "metrics-listen", os.Getenv("HAWSER_METRICS_LISTEN"), "address of /metrics for Prometheus, plain HTTP without a login, such as :9464 (default: off)")
	f.StringVar(&c.HealthListen, "health-listen", os.Getenv("HAWSER_HEALTH_LISTEN"), "address of /livez and /readyz for the kubelet, plain HTTP without a login, such as :9465 (default: off)")
	f.StringVar(&c.LogFormat, "log-format", envOr("HAWSER_LOG_FORMAT", "text"), "text or json")
	f.StringVar(&c.LogLevel, "log-level", envOr("HAWSER_LOG_LEVEL", "info"), "debug, info, warn or error")
}

func (c *Config) check() error {
	if c.Hub == "" {
		return fault.New(fault.Invalid, "config_invalid", "no hub to dial").WithFix("add --hub HOST:PORT, as hawser cluster enroll prints it")
	}
	if _, _, err := net.SplitHostPort(c.Hub); err != nil {
		return fault.New(fault.Invalid, "config_invalid", "--hub %q is not HOST:PORT", c.Hub)
	}
	if c.CAHash == "" {
		return fault.New(fault.Invalid, "config_invalid", "the hub's CA is not pinned").WithFix("add --ca-hash sha256:…, as hawser cluster enroll prints it")
	}
	if c.Namespace == "" {
		return fault.New(fault.Invalid, "config_invalid", "--namespace is empty")
	}
	for _, ns := range c.WatchNamespaces {
		switch {
		case ns == c.Namespace:
			return fault.New(fault.Invalid, "config_invalid", "--watch-namespace %q is the agent's own, where applications deploy nothing", ns)
		case len(validation.IsDNS1123Label(ns)) > 0:
			return fault.New(fault.Invalid, "config_invalid", "--watch-namespace %q is no name of a namespace", ns)
		}
	}
	return nil
}

// token returns the enrolment token, "" when none is given.
func (c *Config) token() (string, error) {
	if c.TokenFile == "" {
		return strings.TrimSpace(os.Getenv("HAWSER_TOKEN")), nil
	}
	b, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return "", fault.New(fault.Invalid, "config_invalid", "the token file cannot be read: %v", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// restConfig finds the API server. No client-side rate limit: the API server's
// priority and fairness decides, and agent/sync limits what is in flight.
func (c *Config) restConfig(userAgent string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.Kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: c.KubeContext}).ClientConfig()
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "kubeconfig_invalid", "there is no way to the API server").
			WithFix("run in a pod with a service account, or add --kubeconfig FILE")
	}
	cfg.QPS, cfg.Burst = -1, -1
	cfg.UserAgent = userAgent
	return cfg, nil
}

func envOr(name, def string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return def
}
