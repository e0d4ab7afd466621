package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// This file holds what all requests have in common that look into a cluster:
// who may, how much, and for how long. What they answer is in objects.go,
// resource_events.go, logs.go and exec.go.

// Access asks the agent of a cluster about its live objects.
type Access interface {
	// Open blocks until the agent has been asked, which may take a TLS handshake.
	// Its errors are faults; agent_offline (Unavailable) when the agent is not
	// connected.
	Open(ctx context.Context, cluster model.ClusterID, r model.AccessRequest) (AccessStream, error)
}

// AccessStream is one request and its answer. One goroutine may receive while
// another sends.
type AccessStream interface {
	// Receive blocks until the next piece of the answer has come; after an End it
	// returns io.EOF.
	Receive(ctx context.Context) (model.AccessAnswer, error)
	// Send blocks while the agent takes nothing.
	Send(ctx context.Context, in model.AccessInput) error
	// Close ends the request at the agent too.
	Close()
}

// AccessLimits bound what people look at. Zero values have defaults.
type AccessLimits struct {
	// UserStreams that one API token may have open at once; 20 by default. Those
	// of one cluster are bounded by its tunnel.
	UserStreams int
	// UserBytes and ClusterBytes a second are handed on to one API token, and out
	// of one cluster; 32 and 64 MiB by default. What is above has to wait.
	UserBytes, ClusterBytes int
	// Recheck is how often it is asked whether a stream may go on; 2 s by
	// default. With the 2 s for which hub/auth remembers a token of another
	// replica that is within 5 s of a revocation.
	Recheck time.Duration
	// Unsure is how long a stream goes on when that cannot be asked, as when the
	// database is away; 30 s by default.
	Unsure time.Duration
	// SlowReader ends a stream whose client has taken nothing for so long; 5 min
	// by default: people stop their terminals to read.
	SlowReader time.Duration
	// Ping is how often it is looked whether the client of a command is still
	// there; 15 s by default.
	Ping time.Duration
}

func (l AccessLimits) withDefaults() AccessLimits {
	l.UserStreams = cmp.Or(l.UserStreams, 20)
	l.UserBytes = cmp.Or(l.UserBytes, 32<<20)
	l.ClusterBytes = cmp.Or(l.ClusterBytes, 64<<20)
	l.Recheck = cmp.Or(l.Recheck, 2*time.Second)
	l.Unsure = cmp.Or(l.Unsure, 30*time.Second)
	l.SlowReader = cmp.Or(l.SlowReader, 5*time.Minute)
	l.Ping = cmp.Or(l.Ping, 15*time.Second)
	return l
}

// objectTimeout bounds answers that do not go on.
const objectTimeout = 30 * time.Second

// meters count the open streams and the bytes of users and clusters.
type meters struct {
	limits AccessLimits

	mu       sync.Mutex
	users    map[string]*meter
	clusters map[model.ClusterID]*meter
}

type meter struct {
	streams int
	bytes   *rate.Limiter
}

func newMeters(l AccessLimits) *meters {
	return &meters{limits: l.withDefaults(), users: map[string]*meter{}, clusters: map[model.ClusterID]*meter{}}
}

// meterBurst is what may pass at once; no piece of an answer is larger.
const meterBurst = 4 << 20

func join[K comparable](all map[K]*meter, key K, bytes int) *meter {
	m := all[key]
	if m == nil {
		m = &meter{bytes: rate.NewLimiter(rate.Limit(bytes), meterBurst)}
		all[key] = m
	}
	m.streams++
	return m
}

// leave gives a place back. The meter stays until its bucket is full again, or a
// client that opens a stream after the other would begin each with a full one.
func leave[K comparable](all map[K]*meter, key K) {
	all[key].streams--
	forgetFull(all)
}

// forgetFull drops the meters that say no more than new ones would.
func forgetFull[K comparable](all map[K]*meter) {
	for key, m := range all {
		if m.streams == 0 && m.bytes.Tokens() >= meterBurst {
			delete(all, key)
		}
	}
}

// open takes a place for a stream, which done gives back. spend waits until n
// bytes may pass.
func (m *meters) open(user string, cluster model.ClusterID) (spend func(ctx context.Context, n int) error, done func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	forgetFull(m.users)
	forgetFull(m.clusters)
	if u := m.users[user]; u != nil && u.streams >= m.limits.UserStreams {
		return nil, nil, fault.New(fault.RateLimited, "access_limit", "you look at %d things at once; that is the limit", m.limits.UserStreams).
			WithFix("close some that you do not need")
	}
	u := join(m.users, user, m.limits.UserBytes)
	c := join(m.clusters, cluster, m.limits.ClusterBytes)
	spend = func(ctx context.Context, n int) error {
		n = min(n, meterBurst)
		for _, limiter := range []*rate.Limiter{u.bytes, c.bytes} {
			if err := limiter.WaitN(ctx, n); ctx.Err() != nil {
				return context.Cause(ctx)
			} else if err != nil { // it would take longer than there is time
				return fault.Wrap(err, fault.Unavailable, "access_timeout", "there was no time left for so many bytes")
			}
		}
		return nil
	}
	return spend, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		leave(m.users, user)
		leave(m.clusters, cluster)
	}, nil
}

// look is one request that looks into a cluster, from the check of who asks to
// its end. Its context ends with the request, and with the permission, whose end
// is then the cause.
type look struct {
	a      *api
	app    fleet.App
	by     fleet.APIToken
	verb   permission.Verb
	ctx    context.Context
	stream AccessStream
	spend  func(ctx context.Context, n int) error
	finish []func()
	// whole: the answer is held until it is complete. held is how many bytes of
	// the answer are.
	whole bool
	held  int
}

// look checks who asks for what and opens the stream. The caller closes it.
func (a *api) look(c *gin.Context, r model.AccessRequest) (_ *look, err error) {
	if a.opts.Access == nil {
		return nil, fault.New(fault.Precondition, "access_unsupported", "this hub cannot ask agents for live objects")
	}
	ctx := c.Request.Context()
	l := &look{a: a, by: identity(c), whole: r.Object != nil || r.Events != nil && !r.Events.Follow}
	l.verb = rightOf(c).verb
	if l.app, err = a.store.Application(ctx, c.Param("name")); err == nil {
		err = mayDo(a.sets.of(l.by), l.verb, l.app)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	spend, done, err := a.meters.open(l.by.ID, l.app.Cluster)
	if err != nil {
		return nil, err
	}
	l.spend = spend
	l.finish = append(l.finish, done)
	watched, cancel := context.WithCancelCause(ctx)
	l.ctx = watched
	l.finish = append(l.finish, func() { cancel(nil) })
	if r.Timeout > 0 {
		timed, stop := context.WithTimeoutCause(watched, r.Timeout, fault.New(fault.Unavailable, "access_timeout", "the cluster did not answer within %s", r.Timeout))
		l.ctx = timed
		l.finish = append(l.finish, stop)
		r.Timeout -= r.Timeout / 10 // so that the agent's own word comes first
	}
	r.ID, r.By, r.App = requestID(c), l.by.Name, l.app.UID
	if l.stream, err = a.opts.Access.Open(l.ctx, l.app.Cluster, r); err != nil {
		return nil, l.explain(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.watch(cancel, c.Request) })
	l.finish = append(l.finish, func() { cancel(nil); wg.Wait() })
	return l, nil
}

func (l *look) close() {
	if l.stream != nil {
		l.stream.Close()
	}
	for _, f := range slices.Backward(l.finish) {
		f()
	}
	l.finish = nil
}

// watch ends the look when the permission does.
func (l *look) watch(end context.CancelCauseFunc, r *http.Request) {
	limits := l.a.meters.limits
	tick := time.NewTicker(limits.Recheck)
	defer tick.Stop()
	sure := time.Now()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(l.ctx, limits.Recheck)
		err := l.allowed(ctx, r)
		cancel()
		switch {
		case err == nil:
			sure = time.Now()
		case !unsure(err):
			end(err)
			return
		case time.Since(sure) > limits.Unsure:
			end(fault.New(fault.Unavailable, "permission_unknown", "whether this may still be seen could not be asked for %s", limits.Unsure))
			return
		}
	}
}

// unsure: whether the permission holds could not be asked. Every other error is
// an answer.
func unsure(err error) bool {
	return fault.Is(err, fault.Unavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// allowed asks again what was asked at the beginning.
func (l *look) allowed(ctx context.Context, r *http.Request) error {
	t, err := l.a.opts.Auth.Recheck(ctx, secretOf(r))
	switch {
	case fault.Is(err, fault.Unauthorized), err == nil && t.ID != l.by.ID:
		return fault.New(fault.Unauthorized, "permission_revoked", "the API token was revoked or has expired").WithFix("log in again with hawser login")
	case err != nil:
		return err
	}
	app, err := l.a.store.Application(ctx, l.app.Name)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && app.UID != l.app.UID:
		return fault.New(fault.NotFound, "application_gone", "application %q was deleted", l.app.Name)
	case err != nil:
		return err
	case app.Project != l.app.Project || app.Cluster != l.app.Cluster:
		return fault.New(fault.Denied, "permission_revoked", "application %q was moved to another project or cluster", l.app.Name).WithFix("ask anew")
	}
	l.a.sets.policies.refresh(ctx)
	if err := mayDo(l.a.sets.of(t), l.verb, app); err != nil {
		return fault.New(fault.Denied, "permission_revoked", "you may no longer see this of application %q", l.app.Name)
	}
	return nil
}

// receive waits for the next piece of the answer, and for n bytes to be allowed
// to pass. An End is returned as its error, io.EOF for a good one.
func (l *look) receive() (model.AccessAnswer, error) {
	m, err := l.stream.Receive(l.ctx)
	if err != nil {
		return m, l.explain(err)
	}
	if m.End != nil {
		return m, l.explain(m.End.Err)
	}
	bound(&m)
	n := sizeOf(m)
	switch {
	case l.whole:
		l.held += n
	case m.Sources != nil: // their names are kept for the lines to come
		l.held += n
	}
	if l.held > maxAnswer {
		code := "answer_too_large"
		if m.Object != nil {
			code = "object_too_large"
		}
		return m, fault.New(fault.TooLarge, code, "the answer is larger than %d MiB", maxAnswer>>20).WithFix("ask for less: name a kind and a name, or a limit")
	}
	if n > 0 {
		err = l.spend(l.ctx, n)
	}
	return m, l.explain(err)
}

const (
	// lineOverhead is about what the fields of one thing take beside its texts.
	lineOverhead = 32
	// maxAnswer bounds what is held of one answer.
	maxAnswer = 16 << 20
	// maxText and maxMessage bound one text of an answer. Names in Kubernetes are
	// not longer than the first; agents cut messages to the second.
	maxText    = 512
	maxMessage = 4096 + len("…")
)

// bound takes out values of Secrets, and cuts texts, that no honest agent sends.
func bound(m *model.AccessAnswer) {
	text := func(most int, all ...*string) {
		for _, s := range all {
			if len(*s) > most {
				*s = strings.ToValidUTF8((*s)[:most-len("…")], "") + "…"
			}
		}
	}
	for i := range m.Events {
		e := &m.Events[i]
		manifest.GuardEvent(e)
		text(maxText, &e.UID, &e.Type, &e.Reason, &e.Source, &e.Object.Group, &e.Object.Kind, &e.Object.Namespace, &e.Object.Name, &e.ObjectUID, &e.Field)
		text(maxMessage, &e.Message)
	}
	for i := range m.Sources {
		text(maxText, &m.Sources[i].Namespace, &m.Sources[i].Pod, &m.Sources[i].Container)
	}
	if m.Notice != nil {
		m.Notice.Message = manifest.GuardText(model.ObjectKey{}, m.Notice.Message)
		text(maxText, &m.Notice.Code)
		text(maxMessage, &m.Notice.Message)
	}
}

// sizeOf is how large a piece of an answer is when it is passed on. Lines and
// outputs are counted as they are; the rest, whose texts may grow when they are
// encoded, as JSON.
func sizeOf(m model.AccessAnswer) int {
	n := len(m.Object)
	for _, line := range m.Lines {
		n += len(line.Text) + lineOverhead
	}
	if m.Output != nil {
		n += len(m.Output.Stdout) + len(m.Output.Stderr)
	}
	for _, e := range m.Events {
		n += encodedSize(e)
	}
	for _, s := range m.Sources {
		n += encodedSize(s)
	}
	for _, x := range m.Actions {
		n += encodedSize(x)
	}
	if m.Notice != nil {
		n += encodedSize(m.Notice)
	}
	return n
}

func encodedSize(v any) int {
	b, _ := json.Marshal(v) // plain values always encode
	return len(b) + lineOverhead
}

// explain turns an error into what the caller is told: why the context ended,
// and since when an agent has been away.
func (l *look) explain(err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(l.ctx); l.ctx.Err() != nil && cause != nil {
		var known *fault.Error
		if errors.As(cause, &known) {
			return known
		}
		return fault.Wrap(cause, fault.Unavailable, "access_interrupted", "the request ended")
	}
	if !fault.HasCode(err, "agent_offline") {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), 2*time.Second)
	defer cancel()
	cluster, lookup := l.a.store.Cluster(ctx, string(l.app.Cluster))
	if lookup != nil {
		return err
	}
	since := "has never been connected"
	if cluster.LastSeen != nil {
		since = fmt.Sprintf("has been disconnected since %s (%s)", cluster.LastSeen.UTC().Format(time.RFC3339),
			max(0, l.a.now().Sub(*cluster.LastSeen)).Round(time.Second))
	}
	return fault.New(fault.Unavailable, "agent_offline", "cluster %q %s; live objects cannot be looked at", cluster.Name, since).
		WithFix("see hawser cluster get %s", cluster.Name)
}

// ---- parameters

// parameters reads query parameters and remembers the first mistake.
type parametersOf struct {
	values url.Values
	known  []string
	err    error
}

func parametersIn(c *gin.Context) *parametersOf { return &parametersOf{values: c.Request.URL.Query()} }

func (p *parametersOf) wrong(name, format string, args ...any) {
	if p.err == nil {
		p.err = fault.New(fault.Invalid, "parameter_invalid", format, args...).WithField(name)
	}
}

func (p *parametersOf) text(name string) string {
	p.known = append(p.known, name)
	if len(p.values[name]) > 1 {
		p.wrong(name, "%s is given more than once", name)
	}
	return p.values.Get(name)
}

func (p *parametersOf) texts(name string) []string {
	p.known = append(p.known, name)
	return p.values[name]
}

func (p *parametersOf) flag(name string, def bool) bool {
	switch s := p.text(name); s {
	case "":
		return def
	case "true":
		return true
	case "false":
		return false
	default:
		p.wrong(name, "%s is %q; allowed: true, false", name, cut(s))
	}
	return def
}

func (p *parametersOf) number(name string, least, most int64) (int64, bool) {
	s := p.text(name)
	if s == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		p.wrong(name, "%s %q is not a number from %d to %d", name, cut(s), least, most)
		return 0, false
	}
	return n, true
}

func (p *parametersOf) duration(name string) time.Duration {
	s := p.text(name)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		p.wrong(name, "%s %q is not a duration such as 10m", name, cut(s))
	}
	return d
}

func (p *parametersOf) time(name string) *time.Time {
	s := p.text(name)
	if s == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		p.wrong(name, "%s %q is not a time such as 2026-01-02T15:04:05Z", name, cut(s))
		return nil
	}
	return &at
}

// selector reads which objects are meant.
func (p *parametersOf) selector() model.ObjectSelector {
	var s model.ObjectSelector
	if group := p.text("group"); p.values.Has("group") {
		s.Group = &group
	}
	s.Kind, s.Namespace, s.Name = p.text("kind"), p.text("namespace"), p.text("resourceName")
	return s
}

// done is the first mistake, or a parameter that there is not.
func (p *parametersOf) done() error {
	for name := range p.values {
		if p.err == nil && !slices.Contains(p.known, name) {
			e := fault.New(fault.Invalid, "unknown_parameter", "unknown parameter %q", cut(name)).WithFound(cut(name), strings.Join(p.known, ", "))
			if near := nearest.Word(name, p.known); near != "" {
				e.Message += fmt.Sprintf("; did you mean %q?", near)
			}
			p.err = e
		}
	}
	return p.err
}

// wants reports whether the caller prefers a media type over the other ones that
// it says it takes.
func wants(c *gin.Context, media string) bool {
	first, _, _ := strings.Cut(c.GetHeader("Accept"), ",")
	first, _, _ = strings.Cut(first, ";")
	return strings.EqualFold(strings.TrimSpace(first), media)
}
