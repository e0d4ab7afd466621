package oidc

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/hawser-dev/hawser/shared/fault"
)

// place is where a browser goes after a login: a path of this hub, else "/".
func place(path string) string {
	if !strings.HasPrefix(path, "/") || len(path) > 2048 {
		return "/"
	}
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "/"
	}
	// Browsers take \ for / and read over control characters; and what is decoded
	// once more on its way must not become a host either.
	for _, s := range []string{path, u.Path, u.RawQuery, u.Fragment} {
		if strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r == '@' || unicode.IsControl(r) || unicode.IsSpace(r) }) {
			return "/"
		}
	}
	if strings.Contains(u.Path, "//") || strings.Contains(strings.ToLower(u.Path), "%2f") || strings.Contains(u.Path, "%5c") {
		return "/"
	}
	return path
}

var (
	goodChallenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`) // of SHA-256
	goodVerifier  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
	goodState     = regexp.MustCompile(`^[A-Za-z0-9_-]{22,128}$`)
)

// loopback is the address at which a command line listens, with what it is told.
func loopback(port int, told url.Values) string {
	return fmt.Sprintf("http://127.0.0.1:%d/callback?%s", port, told.Encode())
}

func checkLoopback(port int, challenge, state string) error {
	if port < 1024 || port > 65535 || !goodChallenge.MatchString(challenge) || !goodState.MatchString(state) {
		return fault.New(fault.Invalid, "oidc_request_invalid", "a command line sends a port of its machine, a challenge and a state").
			WithFix("begin again")
	}
	return nil
}

// answer is what a provider sends with the browser, once it can be trusted.
type answer struct{ code, state, iss, err string }

// maxAnswer bounds the query of a callback before it is parsed.
const maxAnswer = 8 << 10

// readAnswer reads the query of a callback. Each thing is there once.
func readAnswer(query string) (answer, error) {
	bad := fault.New(fault.Invalid, "oidc_response_malformed", "the provider's answer cannot be read").WithFix("log in again")
	if len(query) > maxAnswer {
		return answer{}, bad
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return answer{}, bad
	}
	for _, name := range []string{"code", "state", "iss", "error"} {
		if len(q[name]) > 1 {
			return answer{}, bad
		}
	}
	a := answer{q.Get("code"), q.Get("state"), q.Get("iss"), q.Get("error")}
	if !goodState.MatchString(a.state) || (a.code == "") == (a.err == "") {
		return answer{}, bad
	}
	return a, nil
}
