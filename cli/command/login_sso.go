package command

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// loginTime is how long somebody may take at an identity provider.
const loginTime = 10 * time.Minute

func randomText() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// goodWord is all that is printed of what came over the loopback address.
var goodWord = regexp.MustCompile(`^[a-z0-9_]{1,60}$`)

// signOn logs in with an identity provider of the hub, and returns the secret of the
// session. The hub does what the provider asks of a client.
func (s *session) signOn(ctx context.Context, hub client.Hub, provider string, device bool) (string, error) {
	at, err := client.New(hub)
	if err != nil {
		return "", err
	}
	if device {
		return s.signOnElsewhere(ctx, at, provider)
	}
	q := url.Values{}
	if provider != "" {
		q.Set("provider", provider)
	}
	code, verifier, err := s.throughBrowser(ctx, hub.URL, q, "log in")
	if err != nil {
		return "", err
	}
	var got api.LoginAnswer
	err = at.Do(ctx, http.MethodPost, "/login/sso", api.RedeemRequest{Code: code, Verifier: verifier}, &got)
	return got.Token, err
}

// throughBrowser has a browser open the hub's login page, and waits until it comes to
// the loopback address with a code, which works with the verifier. what is what
// somebody does there.
func (s *session) throughBrowser(ctx context.Context, hub string, q url.Values, what string) (code, verifier string, err error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", "", fault.Wrap(err, fault.Unavailable, "login_listen_failed", "no port of this machine can be listened on").WithFix("%s login --sso --device", s.Program)
	}
	verifier = randomText()
	state, sum := randomText(), sha256.Sum256([]byte(verifier))
	q.Set("port", strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	q.Set("state", state)
	q.Set("challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	address := strings.TrimSuffix(hub, "/") + "/auth/login?" + q.Encode()
	if s.Browse != nil && s.attended() && s.Browse(address) == nil {
		s.note("A browser opens to %s. If it does not, open this address:", what)
	} else {
		s.note("Open this address in a browser on this machine to %s:", what)
	}
	s.note("%s", address)
	code, err = awaitCode(ctx, listener, state)
	if ended := s.interrupted(); ended != nil {
		return "", "", ended
	}
	return code, verifier, err
}

// awaitCode serves the loopback address until somebody comes with the state. Nothing
// that is sent is repeated there.
func awaitCode(ctx context.Context, listener net.Listener, state string) (code string, err error) {
	told := make(chan url.Values, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'")
		h.Set("Cache-Control", "no-store")
		h.Set("Connection", "close")
		q := r.URL.Query()
		if r.Method != http.MethodGet || r.URL.Path != "/callback" || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "This is not the login that is waited for.\n") // whoever asked may be gone
			return
		}
		text := "The command line goes on; you can close this window.\n"
		if q.Get("code") == "" {
			text = "The login did not succeed. The command line says why.\n"
		}
		_, _ = io.WriteString(w, text)
		select {
		case told <- q:
		default: // it was told
		}
	})}
	go func() { _ = server.Serve(listener) }() // ends with the server
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // the page is sent, or nobody reads it
		_ = server.Close()
	}()
	select {
	case <-ctx.Done():
		return "", fault.New(fault.Unavailable, "login_timeout", "nobody logged in in time")
	case q := <-told:
		if code = q.Get("code"); code != "" {
			return code, nil
		}
		why := q.Get("error")
		if !goodWord.MatchString(why) {
			why = "login_failed"
		}
		return "", fault.New(fault.Unauthorized, "login_refused", "the login was refused: %s", why).WithFix("hawser explain %s", why)
	}
}

// signOnElsewhere has the login confirmed in a browser anywhere.
func (s *session) signOnElsewhere(ctx context.Context, at *client.Client, provider string) (string, error) {
	var d api.DeviceAnswer
	if err := at.Do(ctx, http.MethodPost, "/login/device", api.DeviceRequest{Provider: provider}, &d); err != nil {
		return "", err
	}
	if u, err := url.Parse(d.VerificationURI); err != nil || u.Scheme != "https" || u.Host == "" {
		return "", fault.New(fault.Upstream, "answer_invalid", "the hub names no address to confirm the login at")
	}
	s.note("Open %s and type in the code %s", output.Clean(d.VerificationURI), output.Clean(d.UserCode))
	if d.VerificationURIComplete != "" {
		s.note("or open %s", output.Clean(d.VerificationURIComplete))
	}
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		wait.Reset(time.Duration(min(max(d.Interval, 1), 60)) * time.Second)
		select {
		case <-ctx.Done():
			if ended := s.interrupted(); ended != nil {
				return "", ended
			}
			return "", fault.New(fault.Unavailable, "login_timeout", "nobody logged in in time")
		case <-wait.C:
		}
		var got api.DevicePolled
		if err := at.Do(ctx, http.MethodPost, "/login/device/poll", api.DevicePoll{Handle: d.Handle}, &got); err != nil {
			return "", err
		}
		if got.Login != nil {
			return got.Login.Token, nil
		}
	}
}
