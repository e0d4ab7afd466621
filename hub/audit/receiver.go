package audit

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Receiver is where records are sent, as ParseReceiver reads it.
type Receiver struct {
	url     *url.URL
	tls     *tls.Config
	headers map[string]string
	host    string // of this hub, as syslog tells it
}

// ParseReceiver reads the address of a receiver: https://HOST/v1/logs takes OTLP,
// syslog+tls://HOST:6514 and syslog+tcp://HOST:601 take RFC 5424. Without TLS only
// the hub's own machine is sent to, unless the address says syslog+tcp. caFile holds
// the authorities of its certificate, "" for the system's; headers go with OTLP, as
// NAME=VALUE,NAME=VALUE, and are secret.
func ParseReceiver(text, caFile, headers string) (Receiver, error) {
	bad := func(why string) (Receiver, error) {
		return Receiver{}, fault.New(fault.Invalid, "config_invalid", "--audit-export: %s", why).
			WithField("--audit-export").WithFix("write https://HOST/v1/logs, syslog+tls://HOST:6514 or syslog+tcp://HOST:601")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return bad("it is not an address")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return bad("an address of a receiver has no user, query or fragment; what proves who the hub is goes into HAWSER_AUDIT_EXPORT_HEADERS")
	}
	r := Receiver{url: u, tls: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}, headers: map[string]string{}, host: hostname()}
	switch u.Scheme {
	case "https":
	case "http":
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return bad("records are sent without TLS only to this machine")
		}
	case "syslog+tls", "syslog+tcp":
		if port := map[string]string{"syslog+tls": "6514", "syslog+tcp": "601"}[u.Scheme]; u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), port)
		}
		if u.Path != "" && u.Path != "/" {
			return bad("syslog has no paths")
		}
	default:
		return bad("its scheme is not known")
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return Receiver{}, fault.Wrap(err, fault.Invalid, "config_invalid", "--audit-export-ca-file cannot be read: %v", err).WithField("--audit-export-ca-file")
		}
		r.tls.RootCAs = x509.NewCertPool()
		if !r.tls.RootCAs.AppendCertsFromPEM(pem) {
			return Receiver{}, fault.New(fault.Invalid, "config_invalid", "--audit-export-ca-file has no certificate").WithField("--audit-export-ca-file")
		}
	}
	for _, h := range strings.Split(headers, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(h), "=")
		if h = strings.TrimSpace(h); h == "" {
			continue
		}
		if value, err = url.PathUnescape(value); !ok || err != nil || name == "" || strings.ContainsAny(name+value, "\r\n\x00") || strings.ContainsAny(name, " :\t") {
			return Receiver{}, fault.New(fault.Invalid, "config_invalid", "HAWSER_AUDIT_EXPORT_HEADERS is not NAME=VALUE,NAME=VALUE").WithField("HAWSER_AUDIT_EXPORT_HEADERS")
		}
		r.headers[name] = value
	}
	return r, nil
}

// String is the address, which holds nothing secret.
func (r Receiver) String() string { return r.url.String() }

func (r Receiver) open() sender {
	if strings.HasPrefix(r.url.Scheme, "http") {
		return newOTLP(r)
	}
	return &syslog{r: r}
}

// hostname of this machine, in the characters that RFC 5424 allows.
func hostname() string {
	name, err := os.Hostname()
	name = strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return -1
		}
		return c
	}, name)
	if err != nil || name == "" {
		return "-"
	}
	return name[:min(len(name), 255)]
}
