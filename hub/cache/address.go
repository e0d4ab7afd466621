package cache

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Address of a Redis and how to log in there.
type Address struct {
	Host string // HOST:PORT
	DB   int
	TLS  *tls.Config // nil: plain TCP

	user, password string
	passwordFile   string
}

// ParseAddress reads redis://[USER[:PASSWORD]@]HOST[:PORT][/DB], or rediss:// for
// TLS. caFile has the certificates (PEM) that the server's must be signed by, ""
// for those that the system trusts. passwordFile has the password, and is read
// again for each connection. Codes: config_invalid. No error has a secret in it.
func ParseAddress(text, caFile, passwordFile string) (Address, error) {
	bad := func(format string, args ...any) (Address, error) {
		return Address{}, fault.New(fault.Invalid, "config_invalid", format, args...).WithField("REDIS_URL").
			WithFix("write redis://HOST:6379, or rediss://USER@HOST:6379/0 with the password in the file that --redis-password-file names")
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil { // it would quote the URL
		return bad("the URL of Redis cannot be read")
	}
	a := Address{passwordFile: passwordFile}
	switch u.Scheme {
	case "redis":
	case "rediss":
		a.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	default:
		return bad("the URL of Redis begins with neither redis:// nor rediss://")
	}
	if u.Hostname() == "" {
		return bad("the URL of Redis has no host")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return bad("the URL of Redis has options, and none are known")
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	a.Host = net.JoinHostPort(u.Hostname(), port)
	if db := strings.Trim(u.Path, "/"); db != "" {
		if a.DB, err = strconv.Atoi(db); err != nil || a.DB < 0 {
			return bad("the path of the URL of Redis is not the number of a database")
		}
	}
	a.user = u.User.Username()
	a.password, _ = u.User.Password()
	if passwordFile != "" && a.password != "" {
		return bad("the password of Redis is given twice: in the URL and in a file")
	}
	if caFile != "" {
		if a.TLS == nil {
			return bad("--redis-ca-file is for TLS, and the URL of Redis does not begin with rediss://")
		}
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return Address{}, fault.Wrap(err, fault.Invalid, "config_invalid", "--redis-ca-file cannot be read").WithField("--redis-ca-file")
		}
		a.TLS.RootCAs = x509.NewCertPool()
		if !a.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return Address{}, fault.New(fault.Invalid, "config_invalid", "--redis-ca-file has no certificate in PEM").WithField("--redis-ca-file")
		}
	}
	_, _, err = a.Credentials()
	return a, err
}

// Credentials reads them.
func (a Address) Credentials() (user, password string, err error) {
	if a.passwordFile == "" {
		return a.user, a.password, nil
	}
	b, err := os.ReadFile(a.passwordFile)
	if err != nil {
		return "", "", fault.Wrap(err, fault.Invalid, "config_invalid", "--redis-password-file cannot be read").WithField("--redis-password-file")
	}
	return a.user, strings.TrimRight(string(b), "\r\n"), nil
}

// HasPassword reports whether the URL itself has one.
func (a Address) HasPassword() bool { return a.password != "" }
