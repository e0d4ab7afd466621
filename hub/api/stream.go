package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// writeTimeout is how long a client may take to accept a piece of the stream;
// a slower one is dropped.
const writeTimeout = 10 * time.Second

// frameEvery is the least time between two pieces of the stream to one listener.
// What changes meanwhile is sent together, each thing once; the first change after
// a quiet time is sent at once. At a steady flow a change waits as long at most,
// which has to stay within the quarter of a second that people are promised.
const frameEvery = 150 * time.Millisecond

// recheckEvery is how often at least it is asked whether a listener may go on.
const recheckEvery = 2 * time.Second

// mostDrained batches are sent together; a listener that is further behind gets
// the rest with the next piece.
const mostDrained = 32

// streamTypes are the kinds of events that can be asked for.
var streamTypes = []string{"application", "applicationset", "cluster", "job", "operation", "project", "repository", "settings"}

// wanted is what a listener asked to hear of; the zero value is everything.
type wanted struct {
	types                []string
	project, application string
}

// wantedOf reads and checks the parameters of a listener.
func (a *api) wantedOf(c *gin.Context, set *permission.Set) (w wanted, err error) {
	if err := knownParameters(c, []string{"type", "project", "application"}); err != nil {
		return w, err
	}
	for _, list := range c.QueryArray("type") {
		w.types = append(w.types, commas(list)...)
	}
	for _, t := range w.types {
		if slices.Contains(streamTypes, t) {
			continue
		}
		e := fault.New(fault.Invalid, "value_unknown", "there are no events of type %q", cut(t)).WithField("type").WithFound(cut(t), strings.Join(streamTypes, ", "))
		if near := nearest.Word(t, streamTypes); near != "" {
			e.Message += "; did you mean " + strconv.Quote(near) + "?"
		}
		return w, e
	}
	w.project, w.application = c.Query("project"), c.Query("application")
	if w.project != "" {
		if _, err := a.store.Project(c.Request.Context(), w.project); err != nil {
			return w, err
		}
	}
	if w.application != "" {
		if _, err := a.store.Application(c.Request.Context(), w.application); err != nil {
			return w, err
		}
	}
	return w, a.mayHear(c.Request.Context(), set, w, true)
}

// mayHear decides about what a listener named, when it begins and while it goes on:
// then an application that is gone is heard of as that.
func (a *api) mayHear(ctx context.Context, set *permission.Set, w wanted, begins bool) error {
	if w.project != "" && !seesProject(set, w.project) && !a.scope(ctx, set).Has(w.project) {
		return fleet.ProjectUnknown(w.project)
	}
	if w.application == "" || set.Admin() {
		return nil
	}
	app, err := a.store.Application(ctx, w.application)
	switch {
	case err == nil:
		return mayDo(set, permission.Get, app)
	case !begins && fault.Is(err, fault.NotFound):
		return nil
	}
	return err
}

// hears reports whether an event is what the listener asked for.
func (w wanted) hears(e StreamEvent) bool {
	if len(w.types) > 0 && !slices.Contains(w.types, e.Type) {
		return false
	}
	if w.project != "" && e.Project != w.project && (e.Type != "project" || e.Key != w.project) {
		return false
	}
	return w.application == "" || e.Name == w.application
}

// events serves the event stream. It begins with "hello", whose id a client
// resumes from; "reset" says that events were missed and that everything is to
// be fetched again. Of several events about one thing that are sent together
// only the newest is.
func (a *api) events(c *gin.Context) {
	ctx := c.Request.Context()
	set := a.caller(c)
	asked, err := a.wantedOf(c, set)
	if err != nil {
		a.fail(c, err)
		return
	}
	end, err := a.hearing.begin(identity(c))
	if err != nil {
		a.fail(c, err)
		return
	}
	defer end()
	reader := a.opts.Stream.Resume(c.GetHeader("Last-Event-ID"))
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // for proxies that would collect it
	c.Writer.WriteHeader(http.StatusOK)

	c.Set(keyStream, true)
	a.opts.Observer.StreamOpened()
	defer a.opts.Observer.StreamClosed()
	hello, _ := json.Marshal(versionAnswer{a.opts.Version}) // a string always encodes
	out := &sse{w: c.Writer, rc: http.NewResponseController(c.Writer)}
	out.event(StreamEvent{ID: reader.Position(), Type: "hello"}, hello)
	if out.flush() != nil {
		return
	}
	var (
		tick      = min(a.opts.Heartbeat/3, recheckEvery)
		checked   = a.now()
		heartbeat = a.now()
		pause     = time.NewTimer(0) // until the next piece
	)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		waitCtx, cancel := context.WithTimeout(ctx, tick)
		batch, err := drained(waitCtx, reader)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrReset):
			a.opts.Observer.StreamReset()
			out.event(StreamEvent{ID: reader.Position(), Type: "reset"}, []byte("{}"))
		case errors.Is(err, context.DeadlineExceeded):
		case err != nil:
			return // the hub stops
		}
		batch = slices.DeleteFunc(batch, func(e StreamEvent) bool { return !asked.hears(e) })
		if !set.Admin() && len(batch) > 0 {
			// Which clusters are seen changes with projects and applications.
			sees, err := a.clustersOf(ctx, set)
			if err != nil {
				return
			}
			batch = audible(identity(c).ID, set, sees, batch)
			for i, e := range batch {
				if e.Type == "cluster" {
					batch[i].Body = func() ([]byte, error) { return a.clusterHeard(ctx, set, e) }
				}
			}
		}
		a.writeEvents(ctx, out, batch)
		wait := time.Duration(0)
		if out.buf.Len() > 0 {
			wait = frameEvery
		}
		now := a.now()
		if now.Sub(heartbeat) >= a.opts.Heartbeat {
			heartbeat = now
			out.buf.WriteString(": still here\n\n")
		}
		if now.Sub(checked) >= tick {
			checked = now
			next, err := a.stillAllowed(ctx, c.Request, identity(c), asked)
			if err != nil {
				p := newProblem(err, requestID(c))
				if body, err := json.Marshal(p); err == nil {
					out.event(StreamEvent{ID: reader.Position(), Type: "end"}, body)
					_ = out.flush() // the listener may be gone
				}
				return
			}
			if next != nil && next != set {
				// What it has may not be what it may have: everything is read again.
				if !set.Admin() || !next.Admin() {
					out.event(StreamEvent{ID: reader.Position(), Type: "reset"}, []byte("{}"))
				}
				set = next
			}
		}
		pause.Reset(wait)
		if out.flush() != nil {
			return
		}
	}
}

// drained waits for events and takes all that there are. What came before a reset
// is left out: everything is fetched again.
func drained(ctx context.Context, reader StreamReader) ([]StreamEvent, error) {
	batch, err := reader.Next(ctx)
	if err != nil {
		return nil, err
	}
	now, cancel := context.WithCancel(ctx)
	cancel() // takes what is there, and waits for nothing
	for range mostDrained {
		more, err := reader.Next(now)
		switch {
		case errors.Is(err, ErrReset):
			return nil, err
		case err != nil:
			return batch, nil // a reader that ended says so again
		}
		batch = append(batch, more...)
	}
	return batch, nil
}

// audible are the events that somebody may hear of.
func audible(token string, set *permission.Set, sees func(model.Cluster) bool, batch []StreamEvent) []StreamEvent {
	return slices.DeleteFunc(batch, func(e StreamEvent) bool {
		switch e.Type {
		case "application", "operation":
			return !set.Sees(permission.Applications, e.Project, e.Name)
		case "repository":
			return !set.Sees(permission.Repositories, e.Project, e.Name)
		case "project":
			return !seesProject(set, e.Key)
		case "job":
			return e.Token != token
		case "cluster":
			return !sees(model.Cluster{ID: model.ClusterID(e.Key)})
		}
		return true
	})
}

// clusterHeard is the body of a cluster's event as somebody may see it.
func (a *api) clusterHeard(ctx context.Context, set *permission.Set, e StreamEvent) ([]byte, error) {
	body, err := e.Body()
	if err != nil {
		return nil, err
	}
	var cluster struct {
		model.Cluster
		Deleted bool `json:"deleted"`
	}
	if err := json.Unmarshal(body, &cluster); err != nil {
		return nil, err
	}
	if cluster.Deleted {
		return body, nil
	}
	return json.Marshal(a.seen(ctx, set, cluster.Cluster))
}

// stillAllowed is what a listener may do now: the stream of a token that was revoked
// or has expired ends, and that of somebody who no longer sees what he named. A
// database that is away ends nothing, and then there is no set.
func (a *api) stillAllowed(ctx context.Context, r *http.Request, by fleet.APIToken, asked wanted) (*permission.Set, error) {
	revoked := fault.New(fault.Unauthorized, "permission_revoked", "the API token or the session was revoked or has expired").WithFix("log in again with hawser login")
	t, err := a.opts.Auth.Recheck(ctx, secretOf(r))
	switch {
	case fault.Is(err, fault.Unauthorized), err == nil && t.ID != by.ID:
		return nil, revoked
	case err != nil:
		return nil, nil
	}
	a.sets.policies.refresh(ctx)
	set := a.sets.of(t)
	if err := a.mayHear(ctx, set, asked, false); fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return nil, fault.New(fault.Denied, "permission_revoked", "what the stream is about may no longer be seen").WithFix("ask anew")
	}
	return set, nil
}

func (a *api) writeEvents(ctx context.Context, out *sse, batch []StreamEvent) {
	newest := make(map[[2]string]int, len(batch))
	for i, e := range batch {
		newest[[2]string{e.Type, e.Key}] = i
	}
	for i, e := range batch {
		if newest[[2]string{e.Type, e.Key}] != i {
			continue
		}
		body, err := e.Body()
		if err != nil {
			a.log.ErrorContext(ctx, "an event could not be written", "type", e.Type, "key", e.Key, "error", err)
			continue
		}
		out.event(e, body)
	}
}

// sse writes server-sent events in pieces.
type sse struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf bytes.Buffer
}

func (s *sse) event(e StreamEvent, body []byte) {
	s.buf.WriteString("id: " + e.ID + "\nevent: " + e.Type + "\n")
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		s.buf.WriteString("data: ")
		s.buf.Write(line)
		s.buf.WriteByte('\n')
	}
	s.buf.WriteByte('\n')
}

// flush sends what was written, or fails when the client does not take it in
// time.
func (s *sse) flush() error {
	if s.buf.Len() == 0 {
		return nil
	}
	// Not every writer has deadlines; then the server's own hold.
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := s.w.Write(s.buf.Bytes())
	s.buf.Reset()
	if err == nil {
		err = s.rc.Flush()
	}
	// An HTTP/2 stream would be reset by a deadline that passes while idle.
	_ = s.rc.SetWriteDeadline(time.Time{})
	return err
}
