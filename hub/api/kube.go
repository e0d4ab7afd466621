package api

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// This file takes requests of kubectl to the API server of a cluster. They are no
// routes of the API: their path is another program's, is judged as the bytes that
// came, and goes on as these. Errors are answered as Kubernetes answers them.

// kubePrefix is where the clusters are.
const kubePrefix = "/k8s/clusters/"

const (
	// callTimeout bounds a request that does not go on; API servers end theirs after
	// a minute.
	callTimeout = 70 * time.Second
	// maxCallBody bounds the body of a request, as the agent does.
	maxCallBody = 8 << 20
	callPiece   = 32 << 10
)

// outside are the ways in that are no routes of the API, by the prefix of their
// paths. Each has its lines in the table of TestRightsOutsideTheAPI.
func (a *api) outside() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{kubePrefix: a.kubectl}
}

// withOutside takes what is for these, and leaves the rest to next.
func (a *api) withOutside(next http.Handler) http.Handler {
	outside := a.outside()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for prefix, serve := range outside {
			if strings.HasPrefix(r.RequestURI, prefix) {
				serve(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// kubeCall is one request of kubectl.
type kubeCall struct {
	a       *api
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	id      string
	by      fleet.APIToken
	only    model.ClusterID // that the token is for; "": all that its bearer may go to
	cluster model.Cluster
	info    kubecall.Info
	path    string // at the cluster
	query   string
	upgrade string
	// user and groups are who it is made as in the cluster.
	user   string
	groups []string
	// ctx ends with the request, and with the permission, whose end is then the cause.
	ctx    context.Context
	stream AccessStream
	spend  func(ctx context.Context, n int) error
	begun  string // id of the audit record
	record audit.Record
	// What was answered.
	status   int
	started  bool
	hijacked bool
	told     bool // why it ended, in the answer itself
	received int64
	sent     int64
}

func (a *api) kubectl(w http.ResponseWriter, r *http.Request) {
	start := a.now()
	k := &kubeCall{a: a, w: w, r: r, control: http.NewResponseController(w), id: newRequestID(&http.Request{})} // an id of the caller's may have been used before
	h := w.Header()
	h.Set("X-Request-Id", k.id)
	securityHeaders(h)
	// Whatever a cluster answers, it is nothing of the hub's: no script of it runs
	// with the hub's origin.
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	ctx, end := context.WithCancelCause(tracing.WithRequest(r.Context(), k.id))
	defer end(nil)
	k.ctx = ctx
	k.record = audit.Record{From: address(r), Action: "kubectl", Verb: string(permission.Proxy), Resource: string(permission.Clusters), Request: k.id}
	err := k.serve(end)
	k.recorded(err)
	level, attrs := slog.LevelDebug, []any{"method", r.Method, "cluster_name", cut(k.cluster.Name), "by", k.by.Name, "from", address(r), "status", k.status,
		"sent", k.sent, "received", k.received, "ms", a.now().Sub(start).Milliseconds()}
	if err != nil {
		level = slog.LevelInfo
		attrs = append(attrs, "code", fault.As(err).Code, "error", fleet.MaskURLs(err.Error()))
	}
	a.log.Log(k.ctx, level, "request of kubectl", attrs...)
	if !k.info.Follows {
		a.opts.Observer.Request(r.Method, kubePrefix+":name", k.status, time.Since(start))
	}
	if err != nil && k.started && !k.hijacked && !k.told {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
}

// serve answers the request. An error was answered, unless the answer had begun.
func (k *kubeCall) serve(end context.CancelCauseFunc) (err error) {
	defer func() {
		if err != nil {
			k.fail(err)
		}
	}()
	a := k.a
	if a.opts.Access == nil || a.opts.Vouch == nil {
		return fault.New(fault.Precondition, "access_unsupported", "kubectl does not go through this hub")
	}
	if err := k.authenticate(); err != nil {
		return err
	}
	if err := k.admit(k.ctx); err != nil {
		return err
	}
	if k.upgrade, err = kubecall.UpgradeOf(k.r.ProtoMajor, k.r.Method, k.r.Header, k.info); err != nil {
		return err
	}
	if k.info.Opens() && !a.opts.AllowExec {
		return fault.New(fault.Denied, "exec_disabled", "this hub runs no commands in containers").WithFix("start the hub without --exec=false")
	}
	headers, err := kubecall.RequestHeaders(k.r.Header, k.upgrade != "")
	if err != nil {
		return err
	}
	if k.r.ContentLength > maxCallBody {
		return bodyTooLarge()
	}
	spend, done, err := a.meters.open(k.by.ID, k.cluster.ID)
	if err != nil {
		return err
	}
	defer done()
	k.spend = spend
	if err := k.begin(); err != nil {
		return err
	}
	if !k.info.Follows {
		timed, stop := context.WithTimeoutCause(k.ctx, callTimeout, fault.New(fault.Unavailable, "access_timeout", "the cluster did not answer within %s", callTimeout))
		defer stop()
		k.ctx = timed
	}
	identity, err := a.opts.Vouch(k.statement())
	if err != nil {
		return err
	}
	body := k.upgrade == "" && k.r.ContentLength != 0
	k.stream, err = a.opts.Access.Open(k.ctx, k.cluster.ID, model.AccessRequest{ID: k.id, By: k.by.Name, Kube: &model.KubeRequest{
		Method: k.r.Method, Path: k.path, Query: k.query, Headers: headers, Upgrade: k.upgrade, Body: body, Identity: identity,
	}})
	if err != nil {
		return k.why(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end(nil)
	defer k.stream.Close()
	wg.Go(func() { k.watch(end) })
	var sending sync.WaitGroup
	defer sending.Wait()
	if body {
		sending.Go(func() { k.sendBody(end) })
		// Both free it: an answer may come before the body is taken.
		defer k.control.SetReadDeadline(time.Now())
		defer k.stream.Close()
	}
	return k.why(k.answer())
}

// authenticate finds who asks. Cookies do not count here: a page of a browser can
// send none of these requests.
func (k *kubeCall) authenticate() error {
	token := ""
	if len(k.r.Header.Values("Authorization")) == 1 {
		token = bearer(k.r)
	}
	t, only, err := k.a.opts.Auth.AuthenticateForCluster(k.ctx, address(k.r), token)
	if err != nil {
		return err
	}
	k.by, k.only = t, only
	k.record.Actor, k.record.ActorID = t.Name, t.ID
	return nil
}

// admit finds the cluster, and whether whoever asks may go there.
func (k *kubeCall) admit(ctx context.Context) error {
	raw, query, _ := strings.Cut(k.r.RequestURI, "?")
	name, _, ok := strings.Cut(strings.TrimPrefix(raw, kubePrefix), "/")
	if !ok || name == "" {
		return fault.New(fault.Invalid, "path_refused", "the path names no cluster").WithFound("", kubePrefix+"NAME/…")
	}
	k.path, k.query = strings.TrimPrefix(raw, kubePrefix+name), query
	k.record.Name, k.record.Cluster = cut(name), cut(name)
	var wrong error
	k.info, wrong = kubecall.Parse(k.r.Method, k.path, k.query)
	cluster, err := k.a.mayProxy(ctx, k.by, name, func(ctx context.Context, name string) (model.Cluster, error) {
		return k.a.callCluster(ctx, k.a.sets.of(k.by), name)
	})
	if k.only != "" && cluster.ID != k.only && !unsure(err) {
		// Others and those that there are not are answered alike.
		return fault.New(fault.Unauthorized, "token_invalid", "the token is for another cluster").WithFix("hawser cluster kubeconfig NAME")
	}
	if err != nil {
		return err
	}
	k.cluster = cluster
	k.record.Name, k.record.Cluster = cluster.Name, cluster.Name
	return wrong
}

// mayProxy is the decision whether somebody may go to a cluster, which is answered
// also when not.
func (a *api) mayProxy(ctx context.Context, by fleet.APIToken, name string, read func(context.Context, string) (model.Cluster, error)) (model.Cluster, error) {
	a.sets.policies.refresh(ctx)
	set := a.sets.of(by)
	cluster, err := read(ctx, name)
	if err != nil {
		return cluster, err
	}
	if err := a.sees(ctx, set, cluster, name); err != nil {
		return cluster, err
	}
	r := right{permission.Proxy, permission.Clusters}
	if d := set.DecideCluster(r.verb, cluster.Project, namesOf(&cluster)); !d.Allowed {
		return cluster, denied(d, r, "", cluster.Name)
	}
	switch {
	case cluster.Revoked:
		return cluster, fault.New(fault.Denied, "cluster_revoked", "the trust in cluster %q was revoked", cluster.Name)
	case !cluster.Kubectl:
		return cluster, fault.New(fault.Denied, "kubectl_disabled", "kubectl is not let through to cluster %q", cluster.Name).
			WithFix("whoever may update the cluster can turn it on: hawser cluster kubectl %s --enable", cluster.Name)
	}
	return cluster, nil
}

// statement is what the hub says about whose request it is. Users, tokens, groups
// and roles have names of their own, so that none can be called like another.
func (k *kubeCall) statement() kubecall.Statement {
	s := kubecall.Statement{Cluster: k.cluster.ID, Request: k.id, Digest: kubecall.Digest(k.r.Method, k.path, k.query), At: k.a.now().UTC()}
	s.User, s.Groups = k.a.inClusters(k.by)
	k.user, k.groups = s.User, s.Groups
	return s
}

// inClusters is who a caller is to the clusters.
func (a *api) inClusters(by fleet.APIToken) (user string, groups []string) {
	user, groups = kubecall.Prefix+"token:"+by.Name, []string{kubecall.Prefix + "everyone"}
	if l := by.Session; l != nil {
		user = kubecall.Prefix + "user:" + l.Name
		if l.Provider != fleet.LocalProvider {
			user = kubecall.Prefix + "user:" + l.Provider + ":" + l.Name
		}
		for _, g := range l.Groups {
			groups = append(groups, kubecall.Prefix+"group:"+l.Provider+":"+g)
		}
	}
	if a.sets.of(by).Admin() {
		groups = append(groups, kubecall.Prefix+"role:admin")
	}
	return user, groups
}

// answer passes on what the cluster answers.
func (k *kubeCall) answer() error {
	m, err := k.receive()
	switch {
	case err != nil:
		return err
	case m.Kube == nil:
		return misbehaved("does not begin its answer")
	}
	status := m.Kube.Status
	upgraded := status == http.StatusSwitchingProtocols
	if upgraded != (k.upgrade != "") && (upgraded || status < 400) || status < 101 || status > 599 || status/100 == 3 && status != http.StatusNotModified || status/100 == 1 && !upgraded {
		return misbehaved("answers %d", status)
	}
	// The agent may be anybody's: its headers are judged as it judges the cluster's.
	headers, err := kubecall.AnswerHeaders(kubecall.Header(m.Kube.Headers), upgraded)
	if err != nil {
		return misbehaved("has an answer with such a header: %s", fault.As(err).Message)
	}
	k.status = status
	if upgraded {
		return k.join(headers)
	}
	h := k.w.Header()
	for _, x := range headers {
		h[x.Name] = x.Values
	}
	harmless(h)
	if k.upgrade != "" {
		h.Set("Connection", "close") // what else was sent is not taken for a request
	}
	k.started = true
	k.w.WriteHeader(status)
	for {
		if k.info.Follows {
			if err := k.control.Flush(); err != nil {
				return clientGone(err)
			}
		}
		m, err := k.receive()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return k.breakOff(err)
		}
		if err := k.pass(m.Data, k.w); err != nil {
			return err
		}
	}
}

// pass writes a piece of the answer, when there is time for it and somebody takes
// it.
func (k *kubeCall) pass(data []byte, w io.Writer) error {
	if len(data) == 0 {
		return nil
	}
	if err := k.spend(k.ctx, len(data)); err != nil {
		return err
	}
	if !k.hijacked {
		_ = k.control.SetWriteDeadline(time.Now().Add(k.a.meters.limits.SlowReader)) // who has none is not bounded
	}
	n, err := w.Write(data)
	k.sent += int64(n)
	if err != nil {
		return clientGone(err)
	}
	return nil
}

// receive waits for the next piece; io.EOF after the last.
func (k *kubeCall) receive() (model.AccessAnswer, error) {
	m, err := k.stream.Receive(k.ctx)
	switch {
	case err != nil:
		return m, err
	case m.End != nil && m.End.Err != nil:
		return m, m.End.Err
	case m.End != nil:
		return m, io.EOF
	}
	return m, nil
}

// breakOff tells whoever watches why it ends, where the answer has a form for that.
func (k *kubeCall) breakOff(err error) error {
	err = k.why(err)
	media, _, _ := mime.ParseMediaType(k.w.Header().Get("Content-Type"))
	if k.info.Verb == "watch" && k.status == http.StatusOK && media == "application/json" && k.w.Header().Get("Content-Encoding") == "" {
		event, _ := json.Marshal(map[string]any{"type": "ERROR", "object": kubeStatus(err, k.id)}) // plain values always encode
		_ = k.control.SetWriteDeadline(time.Now().Add(stopGrace))
		_, _ = k.w.Write(append(event, '\n')) // the client may be gone
		k.told = true
	}
	return err
}

// join makes the connection one with that of the cluster, until either ends.
func (k *kubeCall) join(headers []model.KubeHeader) error {
	conn, rw, err := k.control.Hijack()
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "upgrade_refused", "this connection cannot become another protocol")
	}
	k.started, k.hijacked = true, true
	defer conn.Close()
	// Whatever waits for the client is freed when the permission ends.
	stop := context.AfterFunc(k.ctx, func() { conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Time{})
	head := kubecall.Header(headers)
	head.Set("Connection", "Upgrade")
	head.Set("Upgrade", k.upgrade)
	head.Set("X-Request-Id", k.id)
	var out strings.Builder
	out.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = head.Write(&out) // a Builder takes everything
	out.WriteString("\r\n")
	if _, err := io.WriteString(conn, out.String()); err != nil {
		return clientGone(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer conn.Close()
	wg.Go(func() {
		k.sendFrom(rw.Reader)
		k.stream.Close() // the client has gone
	})
	for {
		m, err := k.receive()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && k.left(err):
			return nil
		case err != nil:
			return err
		}
		_ = conn.SetWriteDeadline(time.Now().Add(k.a.meters.limits.SlowReader))
		if err := k.pass(m.Data, conn); err != nil {
			return nil //nolint:nilerr // the client has closed its connection
		}
	}
}

// left reports whether one of the ends has closed the connection, as connections
// end. What net/http reads from a client that has gone ends the request's context.
func (k *kubeCall) left(err error) bool {
	if k.ctx.Err() != nil {
		var known *fault.Error
		return !errors.As(context.Cause(k.ctx), &known)
	}
	return fault.HasCode(err, "access_interrupted") || fault.HasCode(err, "stream_closed") || fault.HasCode(err, "cluster_unreachable")
}

// sendFrom passes on what the client sends over a connection of another protocol.
func (k *kubeCall) sendFrom(r *bufio.Reader) {
	buf := make([]byte, callPiece)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			k.received += int64(n)
			if k.stream.Send(k.ctx, model.AccessInput{Stdin: buf[:n]}) != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// sendBody passes the request's body on.
func (k *kubeCall) sendBody(end context.CancelCauseFunc) {
	buf := make([]byte, callPiece)
	for {
		n, err := k.r.Body.Read(buf)
		if k.received += int64(n); k.received > maxCallBody {
			end(bodyTooLarge())
			return
		}
		if n > 0 && k.stream.Send(k.ctx, model.AccessInput{Stdin: buf[:n]}) != nil {
			return // the answer says why
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = k.stream.Send(k.ctx, model.AccessInput{StdinEnd: true}) // the answer says why not
			return
		case err != nil:
			end(fault.Wrap(err, fault.Invalid, "body_incomplete", "the request's body ended too early"))
			return
		}
	}
}

func bodyTooLarge() error {
	return fault.New(fault.TooLarge, "body_too_large", "the request is larger than %d MiB", maxCallBody>>20)
}

func clientGone(err error) error {
	return fault.Wrap(err, fault.Unavailable, "client_gone", "the client has gone")
}

func misbehaved(format string, args ...any) error {
	return fault.New(fault.Upstream, "access_failed", "the cluster's agent "+format, args...)
}

// watch ends the request when the permission does.
func (k *kubeCall) watch(end context.CancelCauseFunc) {
	limits := k.a.meters.limits
	tick := time.NewTicker(limits.Recheck)
	defer tick.Stop()
	sure := time.Now()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(k.ctx, limits.Recheck)
		err := k.still(ctx)
		cancel()
		switch {
		case err == nil:
			sure = time.Now()
		case !unsure(err):
			end(err)
			return
		case time.Since(sure) > limits.Unsure:
			end(fault.New(fault.Unavailable, "permission_unknown", "whether this may still be done could not be asked for %s", limits.Unsure))
			return
		}
	}
}

// still asks again what was asked at the beginning.
func (k *kubeCall) still(ctx context.Context) error {
	t, only, err := k.a.opts.Auth.RecheckForCluster(ctx, bearer(k.r))
	switch {
	case fault.Is(err, fault.Unauthorized), err == nil && (t.ID != k.by.ID || only != k.only):
		return fault.New(fault.Unauthorized, "permission_revoked", "the API token was revoked or has expired").WithFix("log in again with hawser login")
	case err != nil:
		return err
	}
	cluster, err := k.a.mayProxy(ctx, t, string(k.cluster.ID), k.a.store.Cluster)
	switch {
	case err != nil && unsure(err):
		return err
	case err != nil && fault.As(err).Code == "kubectl_disabled":
		return err
	case err != nil || cluster.ID != k.cluster.ID:
		return fault.New(fault.Denied, "permission_revoked", "you may no longer go to cluster %q", k.cluster.Name)
	}
	// The cluster judged whoever this was when it began: a group that is gone since, such
	// as that of administrators, would count there for as long as it goes on.
	if user, groups := k.a.inClusters(t); user != k.user || !slices.Equal(groups, k.groups) {
		return fault.New(fault.Denied, "permission_revoked", "you are somebody else to cluster %q than when this began", k.cluster.Name).WithFix("begin it again")
	}
	return nil
}

// why turns an error into what the caller is told.
func (k *kubeCall) why(err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(k.ctx); k.ctx.Err() != nil && cause != nil {
		var known *fault.Error
		if errors.As(cause, &known) {
			return known
		}
		return clientGone(cause)
	}
	if fault.HasCode(err, "agent_offline") {
		return fault.New(fault.Unavailable, "agent_offline", "the agent of cluster %q is not connected to the hub", k.cluster.Name).WithFix("see hawser cluster get %s", k.cluster.Name)
	}
	return err
}

// ---- audit

// begin keeps a record before anything is done: of what changes something, and of
// what goes on.
func (k *kubeCall) begin() error {
	if k.info.Discovery {
		return nil
	}
	r := k.record
	r.Kind, r.Outcome, r.Reason = audit.Command, audit.Unknown, k.described()
	switch {
	case k.info.Follows:
		r.Kind = audit.Begun
		k.a.opts.Audit.Add(fleet.AuditEntry{Record: r})
		if k.info.Changes() { // what is not in the record is not done
			return k.a.opts.Audit.Flush(k.ctx)
		}
	case k.info.Changes():
		var err error
		k.begun, err = k.a.opts.Audit.Begin(k.ctx, r)
		return err
	}
	return nil
}

// described is what a request is about. The query is not part of it: it may hold
// the words of a command, of which the first is its program.
func (k *kubeCall) described() string {
	what := k.r.Method + " " + k.path
	if k.info.Opens() {
		// As the API server reads it, however it is escaped.
		if q, err := url.ParseQuery(k.query); err == nil && len(q["command"]) > 0 {
			return what + fmt.Sprintf(", program %q", cut(q["command"][0]))
		}
	}
	return what
}

// recorded records what came of it. Which API there is can be asked without a
// record, unless that is refused.
func (k *kubeCall) recorded(err error) {
	r := k.record
	r.Kind, r.Status = audit.Command, k.status
	var refused *fault.Error
	if err != nil {
		refused = fault.As(err)
		r.Code = refused.Code
	}
	r.Outcome = outcomeOf(cmp.Or(k.status, http.StatusInternalServerError), refused)
	if refused != nil && k.started { // and broken off
		r.Outcome = outcomeOf(fault.StatusOf(refused.Kind, refused.Code), refused)
	}
	switch {
	case k.status == http.StatusForbidden && refused == nil:
		r.Outcome = audit.Denied // by the cluster
	case k.status >= 400 && refused == nil:
		r.Outcome = audit.Rejected
	}
	if k.stream == nil && k.begun == "" && refused != nil && (refused.Kind == fault.Denied || refused.Kind == fault.Unauthorized || refused.Kind == fault.NotFound || refused.Code == "too_many_attempts") {
		r.Kind, r.Outcome = audit.Refusal, audit.Denied
	} else if k.info.Discovery {
		return
	}
	r.Reason = fmt.Sprintf("%s, %d bytes in, %d bytes out", k.described(), k.received, k.sent)
	k.a.opts.Audit.Add(fleet.AuditEntry{Record: r, Begun: k.begun})
}

// ---- answers as Kubernetes gives them

// harmless makes sure that no browser runs what a cluster answers.
func harmless(h http.Header) {
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/octet-stream")
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err != nil:
		h.Set("Content-Type", "application/octet-stream")
	case media == "application/json", strings.HasSuffix(media, "+json"), media == "application/yaml", media == "text/plain",
		media == "application/vnd.kubernetes.protobuf", strings.HasPrefix(media, "application/com.github.proto-openapi."), media == "application/octet-stream":
		return
	default:
		h.Set("Content-Type", "application/octet-stream")
	}
	h.Set("Content-Disposition", "attachment")
}

// statusReasons are what Kubernetes calls the statuses.
var statusReasons = map[int]string{
	http.StatusBadRequest: "BadRequest", http.StatusUnauthorized: "Unauthorized", http.StatusForbidden: "Forbidden", http.StatusNotFound: "NotFound",
	http.StatusConflict: "Conflict", http.StatusRequestEntityTooLarge: "RequestEntityTooLarge", http.StatusTooManyRequests: "TooManyRequests",
	http.StatusInternalServerError: "InternalError", http.StatusServiceUnavailable: "ServiceUnavailable", http.StatusGatewayTimeout: "Timeout",
}

// kubeStatus is an error as Kubernetes' own clients print it.
func kubeStatus(err error, requestID string) map[string]any {
	p := newProblem(err, requestID)
	if p.Status == http.StatusFailedDependency { // which Kubernetes has no use for
		p.Status = http.StatusBadGateway
	}
	message := p.Detail
	if p.Fix != "" {
		message += "; " + p.Fix
	}
	return map[string]any{
		"kind": "Status", "apiVersion": "v1", "metadata": struct{}{}, "status": "Failure", "code": p.Status, "reason": statusReasons[p.Status],
		"message": fmt.Sprintf("hawser: %s (%s)", message, p.Code),
		"details": map[string]any{"causes": []map[string]string{{"reason": p.Code, "message": p.Detail}}},
	}
}

// fail answers with an error, when nothing was answered yet.
func (k *kubeCall) fail(err error) {
	if e := fault.As(err); e.Kind == fault.Denied || e.Kind == fault.Unauthorized {
		k.a.opts.Observer.Denied(e.Code)
	}
	if k.started {
		return
	}
	body := kubeStatus(err, k.id)
	k.status, _ = body["code"].(int)
	text, _ := json.Marshal(body) // plain values always encode
	h := k.w.Header()
	h.Set("Content-Type", "application/json")
	if k.info.Discovery { // kubectl prints what is wrong with these only when it is text
		h.Set("Content-Type", "text/plain; charset=utf-8")
		message, _ := body["message"].(string)
		text = []byte(message)
	}
	switch k.status {
	case http.StatusTooManyRequests:
		h.Set("Retry-After", "1")
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="hawser"`)
	}
	if k.r.Header.Get("Upgrade") != "" {
		h.Set("Connection", "close")
	}
	k.w.WriteHeader(k.status)
	_, _ = k.w.Write(text) // the caller may be gone
}
