package app

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/hub/audit"
	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/metrics"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Config is everything that an operator can set. Flags win over environment
// variables, which win over defaults.
type Config struct {
	// Data is the hub's directory: Git objects, the private Postgres, the
	// generated vault key.
	Data string
	// Listen is the one address for API, agents and enrolment.
	Listen string
	// Advertise is how agents and people reach the hub, HOST:PORT; the first
	// name of the certificate and the address in enrolment commands.
	Advertise string
	// Names are further host names and IP addresses for the hub's certificate.
	Names []string
	// DatabaseURL of a Postgres; empty starts a private one.
	DatabaseURL string
	// RedisURL of the cache that hubs of one database share; empty means REDIS_URL,
	// and without that each keeps its own. RedisPasswordFile has the password,
	// RedisCAFile the authority of its certificate.
	RedisURL, RedisPasswordFile, RedisCAFile string
	// TLSCert and TLSKey replace the hub's own certificate for people; agents
	// always see the pinned CA.
	TLSCert, TLSKey string
	// PollInterval of each repository, with jitter.
	PollInterval time.Duration
	// WebhookSecretFile holds the secrets that webhooks must be signed with, one
	// a line, or is a directory of such files, named after providers.
	WebhookSecretFile string
	// AllowHTTPCredentials permits repository credentials over plain http.
	AllowHTTPCredentials bool
	// AllowFileRepositories permits file:// repositories.
	AllowFileRepositories bool
	// RepositoryHosts are globs of the hosts that repositories may be on; empty
	// means any. BlockedNetworks (CIDR) are never contacted, besides those that
	// no repository is in.
	RepositoryHosts, BlockedNetworks []string
	// PluginSockets is a directory with the sockets of plugin hosts that run
	// beside the hub; Plugins are files of plugins that the hub runs itself.
	PluginSockets string
	Plugins       []string
	// RenderWorkers is the number of render processes; 0 means one per core.
	RenderWorkers int
	// Exec lets people run commands in containers of clusters whose agents allow
	// it too. AccessStreams is how many logs, commands and the like one API token
	// may have open at once; 0 is the API's default.
	Exec          bool
	AccessStreams int
	// PasswordPattern is the regular expression that new passwords of local users
	// must match.
	PasswordPattern string
	// LoginCodeFile and CAHashFile receive the one-time login code of the first
	// start and the CA hash, for programs that start the hub.
	LoginCodeFile, CAHashFile string
	// AgentChart is where the chart of agents is, in the commands that enrol clusters.
	AgentChart string
	// AgentRegistry is the registry of the agents' image in them; empty for the chart's.
	AgentRegistry string

	// MetricsListen is the address of /metrics, for the cluster's own Prometheus:
	// plain HTTP without a login, so it is off unless it is given.
	MetricsListen string
	// MetricsApplications is how many applications have series of their own, and
	// MetricsAppLabels which of their labels are told.
	MetricsApplications int
	MetricsAppLabels    []string

	// AuditRetention is how long audit records are kept; whole months are removed.
	AuditRetention time.Duration
	// AuditExports are receivers of audit records, as audit.ParseReceiver reads them,
	// AuditExportCAFile the authorities of their certificates.
	AuditExports      []string
	AuditExportCAFile string

	// Strangers is how many connections may be open on the port whose other end has
	// not said who it is, and StrangersPerAddress how many of them from one address.
	Strangers, StrangersPerAddress int

	LogFormat, LogLevel string
}

// Flags registers the configuration on a flag set.
func (c *Config) Flags(f *pflag.FlagSet) {
	f.StringVar(&c.Data, "data", env("HAWSER_DATA", "./hawser-data"), "directory for everything the hub keeps on disk")
	f.StringVar(&c.Listen, "listen", env("HAWSER_LISTEN", ":8443"), "address of API, agents and enrolment")
	f.StringVar(&c.Advertise, "advertise", env("HAWSER_ADVERTISE", ""), "HOST:PORT under which agents and people reach the hub (default: from --listen)")
	f.StringSliceVar(&c.Names, "name", nil, "further host name or IP address in the hub's certificate; may be repeated")
	f.StringVar(&c.DatabaseURL, "database-url", env("DATABASE_URL", ""), "Postgres to use (default: start a private one in the data directory)")
	f.StringVar(&c.RedisURL, "redis-url", "", "Redis that hubs on one database share as a cache, redis://[USER@]HOST:6379[/DB], or rediss:// for TLS; a password belongs in the environment variable REDIS_URL or in --redis-password-file (default: REDIS_URL, else a cache in this process)")
	f.StringVar(&c.RedisPasswordFile, "redis-password-file", env("HAWSER_REDIS_PASSWORD_FILE", ""), "file with the password for Redis; it is read again for each connection")
	f.StringVar(&c.RedisCAFile, "redis-ca-file", env("HAWSER_REDIS_CA_FILE", ""), "certificates, PEM, that the certificate of Redis must be signed by (default: those that the system trusts)")
	f.DurationVar(&c.AuditRetention, "audit-retention", envDuration("HAWSER_AUDIT_RETENTION", audit.DefaultKept), "how long audit records are kept, 2160h (90 days) or more; whole months are removed")
	f.StringArrayVar(&c.AuditExports, "audit-export", nil, "where audit records are sent: https://HOST/v1/logs for OTLP, syslog+tls://HOST:6514 or syslog+tcp://HOST:601 for syslog; may be repeated. Headers for OTLP, NAME=VALUE,NAME=VALUE, belong in the environment variable HAWSER_AUDIT_EXPORT_HEADERS")
	f.StringVar(&c.AuditExportCAFile, "audit-export-ca-file", env("HAWSER_AUDIT_EXPORT_CA_FILE", ""), "certificates, PEM, that the receivers' certificates must be signed by (default: those that the system trusts)")
	f.StringVar(&c.TLSCert, "tls-cert", env("HAWSER_TLS_CERT", ""), "certificate for people, PEM (default: from the hub's own CA)")
	f.StringVar(&c.TLSKey, "tls-key", env("HAWSER_TLS_KEY", ""), "its key, PEM")
	f.DurationVar(&c.PollInterval, "poll-interval", envDuration("HAWSER_POLL_INTERVAL", 3*time.Minute), "how often each repository is asked for new commits")
	f.StringVar(&c.WebhookSecretFile, "webhook-secret-file", env("HAWSER_WEBHOOK_SECRET_FILE", ""), "file with the secrets that webhooks are signed with, one a line, or directory of such files named github, gitlab, gitea, bitbucket-cloud, bitbucket-server, azure-devops or any (default: unsigned webhooks are taken; they only cause a look at Git)")
	f.BoolVar(&c.AllowHTTPCredentials, "allow-http-credentials", false, "allow repository credentials over plain http (tests and demos)")
	f.BoolVar(&c.AllowFileRepositories, "allow-file-repositories", false, "allow file:// repositories (tests and demos)")
	f.StringSliceVar(&c.RepositoryHosts, "repository-host", nil, "glob of hosts that repositories may be on; may be repeated (default: any)")
	f.StringSliceVar(&c.BlockedNetworks, "blocked-network", nil, "network (CIDR) that is never contacted for a repository, besides link-local ones; may be repeated")
	f.StringVar(&c.PluginSockets, "plugin-sockets", env("HAWSER_PLUGIN_SOCKETS", ""), "directory with the sockets of config management plugins that run beside the hub")
	f.StringArrayVar(&c.Plugins, "plugin", nil, "file of a ConfigManagementPlugin that the hub runs itself; may be repeated")
	f.IntVar(&c.RenderWorkers, "render-workers", 0, "render processes (0: one per core)")
	f.BoolVar(&c.Exec, "exec", env("HAWSER_EXEC", "true") != "false", "let people run commands in containers, in clusters whose agents were started with --allow-exec")
	f.IntVar(&c.AccessStreams, "access-streams", 0, "logs, commands and the like that one API token may have open at once (0: 20)")
	f.StringVar(&c.PasswordPattern, "password-pattern", auth.DefaultPasswordPattern, "regular expression that new passwords of local users must match")
	f.StringVar(&c.LoginCodeFile, "login-code-file", "", "write the one-time login code of the first start to this file too")
	f.StringVar(&c.CAHashFile, "ca-hash-file", "", "write the hash of the hub's CA to this file")
	f.StringVar(&c.AgentChart, "agent-chart", env("HAWSER_AGENT_CHART", ""), "chart that the commands which enrol clusters install, for a copy of one's own: oci://…, a URL or a path (default: the released one, of this version)")
	f.StringVar(&c.AgentRegistry, "agent-image-registry", env("HAWSER_AGENT_IMAGE_REGISTRY", ""), "registry of the agents' image in those commands, for a mirror of one's own (default: the chart's)")
	f.StringVar(&c.MetricsListen, "metrics-listen", env("HAWSER_METRICS_LISTEN", ""), "address of /metrics for Prometheus, plain HTTP without a login, such as 127.0.0.1:9464 (default: off)")
	f.IntVar(&c.MetricsApplications, "metrics-applications", envInt("HAWSER_METRICS_APPLICATIONS", metrics.MaxApplications), "applications that have series of their own in /metrics, the first by name; 0 for none")
	f.StringSliceVar(&c.MetricsAppLabels, "metrics-app-label", nil, "label of applications that is copied to hawser_app_labels; may be repeated")
	f.IntVar(&c.Strangers, "strangers", 4096, "connections on the port whose other end has not said yet who it is; for one more the longest waiting one has to go")
	f.IntVar(&c.StrangersPerAddress, "strangers-per-address", 1024, "how many of them may be from one address; raise it when many agents come back at once through one address translation or load balancer")
	f.StringVar(&c.LogFormat, "log-format", env("HAWSER_LOG_FORMAT", "text"), "text or json")
	f.StringVar(&c.LogLevel, "log-level", env("HAWSER_LOG_LEVEL", "info"), "debug, info, warn or error")
}

// complete checks the configuration and derives what was left out.
// browserURL is the hub's address as people write it down.
func (c *Config) browserURL() string {
	return "https://" + strings.TrimSuffix(c.Advertise, ":443")
}

func (c *Config) complete() error {
	for flag, n := range map[string]int{"--strangers": c.Strangers, "--strangers-per-address": c.StrangersPerAddress} {
		if n < 0 {
			return fault.New(fault.Invalid, "config_invalid", "%s %d is negative; 0 is the default", flag, n).WithField(flag)
		}
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fault.New(fault.Invalid, "config_invalid", "--listen %q is not HOST:PORT", c.Listen)
	}
	if c.Advertise == "" {
		if host == "" || net.ParseIP(host).IsUnspecified() {
			if host, err = os.Hostname(); err != nil {
				host = "localhost"
			}
		}
		c.Advertise = net.JoinHostPort(host, port)
	}
	advertised, _, err := net.SplitHostPort(c.Advertise)
	if err != nil {
		return fault.New(fault.Invalid, "config_invalid", "--advertise %q is not HOST:PORT", c.Advertise)
	}
	c.Names = append([]string{advertised}, c.Names...)
	c.Names = append(c.Names, "localhost", "127.0.0.1", "::1")
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fault.New(fault.Invalid, "config_invalid", "--tls-cert and --tls-key belong together")
	}
	if c.PollInterval < time.Second {
		return fault.New(fault.Invalid, "config_invalid", "--poll-interval %v is too short", c.PollInterval).WithFix("use at least 1s")
	}
	if _, err := c.blocked(); err != nil {
		return err
	}
	if _, err := c.auditReceivers(); err != nil {
		return err
	}
	if n := c.MetricsApplications; n < 0 || n > metrics.MaxApplications {
		return fault.New(fault.Invalid, "config_invalid", "--metrics-applications %d is not between 0 and %d", n, metrics.MaxApplications).WithField("--metrics-applications")
	}
	if err := metrics.CheckLabels("--metrics-app-label", c.MetricsAppLabels); err != nil {
		return err
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return err
	}
	return nil
}

// blocked are the networks that no repository may be in.
func (c *Config) blocked() ([]netip.Prefix, error) {
	out := source.DefaultBlocked()
	for _, s := range c.BlockedNetworks {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fault.New(fault.Invalid, "config_invalid", "--blocked-network %q is not a network such as 10.0.0.0/8", s)
		}
		out = append(out, p)
	}
	return out, nil
}

func env(name, def string) string {
	if v, ok := os.LookupEnv(name); ok {
		return v
	}
	return def
}

func envInt(name string, def int) int {
	v, ok := os.LookupEnv(name)
	if !ok {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		fmt.Fprintf(os.Stderr, "hawser-hub: %s=%q is not a number; using %d\n", name, strings.TrimSpace(v), def)
		return def
	}
	return n
}

func envDuration(name string, def time.Duration) time.Duration {
	v, ok := os.LookupEnv(name)
	if !ok {
		return def
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		// The flag would say so; a variable has no flag error of its own.
		fmt.Fprintf(os.Stderr, "hawser-hub: %s=%q is not a duration such as 3m; using %v\n", name, strings.TrimSpace(v), def)
		return def
	}
	return d
}
