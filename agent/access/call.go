package access

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// This file makes the requests of kubectl. They are made as the user whom the hub
// vouches for, which the API server is told by impersonation, and never with the
// agent's own rights: a request that names nobody is refused.

// piece is how much of a body travels at once.
const piece = 32 << 10

// maxCallBody bounds the body of a request that is none of another protocol; API
// servers take 3 MiB.
const maxCallBody = 8 << 20

// makeCalls makes what sends requests of kubectl: one client that keeps its
// connections, and one for those that become another protocol, which never does. A
// connection whose upgrade failed is used for nothing else.
func makeCalls(config *rest.Config) (plain, upgrading http.RoundTripper, err error) {
	if plain, err = rest.TransportFor(config); err != nil {
		return nil, nil, err
	}
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, nil, err
	}
	once := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: tls, TLSHandshakeTimeout: 10 * time.Second, DisableCompression: true, DisableKeepAlives: true,
		ResponseHeaderTimeout: 30 * time.Second,
	}
	if config.Proxy != nil {
		once.Proxy = config.Proxy
	}
	if config.Dial != nil {
		once.DialContext = config.Dial
	}
	if tls != nil {
		tls.NextProtos = []string{"http/1.1"}
	}
	upgrading, err = rest.HTTPWrappersForConfig(config, once)
	return plain, upgrading, err
}

// call makes one request of kubectl and passes its answer on.
func (s *Server) call(a *answer, r model.AccessRequest) error {
	q := *r.Kube
	if !s.o.AllowKubectl {
		return fault.New(fault.Denied, "kubectl_disabled", "the cluster's agent lets no kubectl in").WithFix("start the agent with --allow-kubectl")
	}
	info, err := s.judge(q)
	if err != nil {
		return err
	}
	who, err := s.vouched(r)
	if err != nil {
		return err
	}
	if err := s.o.Veto.AllowCall(a.ctx, r.ID, info); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(a.ctx)
	defer cancel(nil)
	a = &answer{ctx: ctx, st: a.st}
	body := io.NopCloser(io.Reader(http.NoBody))
	var input *io.PipeWriter
	if q.Body && q.Upgrade == "" {
		body, input = io.Pipe()
	}
	req, err := s.request(ctx, q, info, who, body)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	if input != nil {
		wg.Go(func() { feed(ctx, a, input, maxCallBody) })
		defer body.Close()
	}
	if info.Follows {
		wg.Go(func() { s.stillAllowed(ctx, cancel, info) })
	}
	send := s.plain
	if q.Upgrade != "" {
		send = s.upgrading
	}
	resp, err := send.RoundTrip(req)
	if err != nil {
		return callFailed(ctx, err)
	}
	defer resp.Body.Close()
	upgraded := resp.StatusCode == http.StatusSwitchingProtocols
	switch {
	case upgraded && (q.Upgrade == "" || !strings.EqualFold(resp.Header.Get("Upgrade"), q.Upgrade)):
		return fault.New(fault.Upstream, "cluster_failed", "the cluster's API server goes on in a protocol that was not asked for")
	case resp.StatusCode/100 == 3 && resp.StatusCode != http.StatusNotModified:
		// Where it points to is not told either: nobody is to follow it with a token.
		return fault.New(fault.Upstream, "redirect_refused", "the cluster's API server answers %d with another address, which is not followed", resp.StatusCode)
	}
	headers, err := kubecall.AnswerHeaders(resp.Header, upgraded)
	if err != nil {
		return fault.Wrap(err, fault.Upstream, "cluster_failed", "the answer of the cluster's API server is not passed on: %s", fault.As(err).Message)
	}
	if err := a.send(model.AccessAnswer{Kube: &model.KubeAnswer{Status: resp.StatusCode, Headers: headers}}); err != nil {
		return err
	}
	if upgraded {
		conn, ok := resp.Body.(io.ReadWriteCloser)
		if !ok {
			return fault.New(fault.Internal, "access_failed", "the connection to the cluster cannot be written to")
		}
		wg.Go(func() { feed(ctx, a, conn, 0) })
	}
	stop := context.AfterFunc(ctx, func() { resp.Body.Close() })
	defer stop()
	return s.passBody(ctx, a, resp.Body)
}

// judge is the agent's own look at a request; that the hub has judged it says
// nothing.
func (s *Server) judge(q model.KubeRequest) (kubecall.Info, error) {
	info, err := kubecall.Parse(q.Method, q.Path, q.Query)
	if err != nil {
		return info, err
	}
	if q.Upgrade != "" {
		h := http.Header{"Connection": {"Upgrade"}, "Upgrade": {q.Upgrade}}
		if protocol, err := kubecall.UpgradeOf(1, q.Method, h, info); err != nil || protocol != q.Upgrade {
			return info, fault.New(fault.Invalid, "upgrade_refused", "the request cannot become %.40q", q.Upgrade)
		}
	} else if info.Opens() && info.Subresource != "ephemeralcontainers" {
		return info, fault.New(fault.Invalid, "upgrade_refused", "%s needs a connection that becomes another protocol", info.Subresource)
	}
	if info.Opens() && !s.o.AllowExec {
		return info, fault.New(fault.Denied, "exec_disabled", "the cluster's agent runs no commands in containers").WithFix("start the agent with --allow-exec")
	}
	for _, k := range s.o.Objects.Kinds() {
		if k.Group == info.Group && k.Resource == info.Resource {
			info.Kind, info.Namespaced, info.Known = k.Kind, k.Namespaced, true
		}
	}
	return info, nil
}

// vouched reads the hub's statement whose request it is.
func (s *Server) vouched(r model.AccessRequest) (kubecall.Statement, error) {
	ca, cluster := s.o.Hub()
	q := r.Kube
	now := time.Now()
	who, err := kubecall.Verify(ca, q.Identity, cluster, r.ID, kubecall.Digest(q.Method, q.Path, q.Query), now)
	if err != nil {
		return who, err
	}
	if !s.spent.first(r.ID, now) {
		return who, fault.New(fault.Denied, "identity_refused", "the hub's statement was used before").WithFix("ask again")
	}
	return who, nil
}

// request makes the request: its headers are those of the list, and what says who
// it is comes of the statement alone.
func (s *Server) request(ctx context.Context, q model.KubeRequest, info kubecall.Info, who kubecall.Statement, body io.ReadCloser) (*http.Request, error) {
	passed, err := kubecall.RequestHeaders(kubecall.Header(q.Headers), q.Upgrade != "")
	if err != nil {
		return nil, err
	}
	u := *s.base
	u.Path, u.RawPath, u.RawQuery = strings.TrimSuffix(u.Path, "/")+q.Path, "", q.Query
	if got := u.EscapedPath(); !strings.HasSuffix(got, q.Path) {
		return nil, fault.New(fault.Invalid, "path_refused", "the path would be sent in another spelling")
	}
	req := (&http.Request{
		Method: q.Method, URL: &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawQuery: u.RawQuery}, Host: u.Host, Header: kubecall.Header(passed), Body: http.NoBody,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if q.Body && q.Upgrade == "" {
		req.Body, req.ContentLength = body, -1
	}
	if q.Upgrade != "" {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", q.Upgrade)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", s.o.Config.UserAgent)
	}
	req.Header["Impersonate-User"] = []string{who.User}
	if len(who.Groups) > 0 {
		req.Header["Impersonate-Group"] = who.Groups
	}
	return req, nil
}

// feed hands on what the hub says until it says no more, at most limit bytes; 0:
// any number.
func feed(ctx context.Context, a *answer, to io.WriteCloser, limit int) {
	failed := func(err error) {
		if p, ok := to.(*io.PipeWriter); ok {
			p.CloseWithError(err)
			return
		}
		to.Close()
	}
	for passed := 0; ; {
		var p agentv1.AccessInput
		if err := a.st.Receive(ctx, &p); err != nil {
			failed(err)
			return
		}
		m := wire.AccessInput(&p)
		passed += len(m.Stdin)
		switch {
		case limit > 0 && passed > limit:
			failed(fault.New(fault.TooLarge, "body_too_large", "the request is larger than %d MiB", limit>>20))
			return
		case m.StdinEnd:
			if _, ok := to.(*io.PipeWriter); ok {
				to.Close()
			} // a connection ends as a whole
			return
		case len(m.Stdin) > 0:
			if _, err := to.Write(m.Stdin); err != nil {
				return // the answer says why
			}
		}
	}
}

// passBody passes the body of an answer on.
func (s *Server) passBody(ctx context.Context, a *answer, body io.Reader) error {
	buf := make([]byte, piece)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if err := a.send(model.AccessAnswer{Data: buf[:n]}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) && ctx.Err() == nil:
			return nil
		case err != nil: // one that was ended may look as if it had come to its end
			return callFailed(ctx, err)
		}
	}
}

// callFailed is what became of a request that has no answer, or not all of it.
func callFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	return fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the cluster's API server does not answer its agent, or broke off its answer")
}

// stillAllowed ends a request that goes on when the cluster's own policy forbids
// it.
func (s *Server) stillAllowed(ctx context.Context, end context.CancelCauseFunc, info kubecall.Info) {
	tick := time.NewTicker(s.o.Recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.o.Veto.AllowCall(ctx, "", info); err != nil {
				end(err)
				return
			}
		}
	}
}

// maxSpent bounds what is remembered.
const maxSpent = 1 << 18

// spent remembers which statements were used, as long as they could be again.
type spent struct {
	mu        sync.Mutex
	now, last map[string]bool
	turn      time.Time
}

// first reports whether an id is seen for the first time.
func (s *spent) first(id string, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil || at.Sub(s.turn) > kubecall.Lasts() || len(s.now) >= maxSpent {
		s.last, s.now, s.turn = s.now, map[string]bool{}, at
	}
	if s.now[id] || s.last[id] {
		return false
	}
	s.now[id] = true
	return true
}
