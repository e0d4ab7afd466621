package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// This file makes an audit record of each command, and of each attempt at what
// somebody may not do. Which requests are commands the table of routes says;
// audit_read.go answers what was recorded.

// Audit keeps the chain of records; hub/audit has one. Errors are faults.
type Audit interface {
	// Begin blocks until the record of a command is stored that is about to be
	// carried out.
	Begin(ctx context.Context, r audit.Record) (id string, err error)
	// Add has records stored soon; it never blocks.
	Add(entries ...fleet.AuditEntry)
	// Flush blocks until what was added is stored.
	Flush(ctx context.Context) error
	// Records lists them, with all that was added before.
	Records(ctx context.Context, f fleet.AuditFilter) ([]audit.Signed, error)
	// KeyOf is the public key that a record is signed with; of the zero value the one
	// that signs now.
	KeyOf(ctx context.Context, s audit.Signed) ([]byte, error)
	// Digest of what a request brought, which tells nobody else what it was.
	Digest(b []byte) string
}

// unaudited is for tests of what has nothing to do with it.
type unaudited struct{}

func (unaudited) Begin(context.Context, audit.Record) (string, error)                { return "", nil }
func (unaudited) Add(...fleet.AuditEntry)                                            {}
func (unaudited) Flush(context.Context) error                                        { return nil }
func (unaudited) Records(context.Context, fleet.AuditFilter) ([]audit.Signed, error) { return nil, nil }
func (unaudited) KeyOf(context.Context, audit.Signed) ([]byte, error)                { return nil, nil }
func (unaudited) Digest([]byte) string                                               { return "" }

// Command reports whether a route does something that has a record, whatever comes
// of it. Other routes have one when they are refused.
func (r Route) Command() bool {
	if r.Verb == VerbExec {
		return true
	}
	return r.Method != http.MethodGet && r.Method != http.MethodHead && r.Verb != VerbGet && !r.Asks
}

const (
	keyAudit   = "audit"
	keyRefused = "auditRefused"
)

// trail is what is gathered for the record of one request.
type trail struct {
	record  audit.Record
	begun   string
	body    []byte
	targets []audit.Record // what became of each, of a command about several
	login   bool           // somebody was logged in, or is not, by what is else only asked
	goesOn  bool           // it has a record of its beginning
	ended   string         // who or what ended what went on
	cut     *fault.Error   // why that was not its own end, or its client's
}

// trailOf is that of a request; of one outside of the table it is thrown away.
func trailOf(c *gin.Context) *trail {
	if t, ok := c.Get(keyAudit); ok {
		return t.(*trail)
	}
	return &trail{}
}

// actor is who asks, once that is known.
func (t *trail) actor(c *gin.Context) {
	if id, ok := c.Get(keyIdentity); ok {
		caller := id.(fleet.APIToken)
		t.record.Actor, t.record.ActorID = caller.Name, caller.ID
	}
}

// concerns notes which thing a command is about, when its path does not say.
func concerns(c *gin.Context, project, name string) {
	t := trailOf(c)
	t.record.Project, t.record.Name = cmp.Or(project, t.record.Project), cmp.Or(name, t.record.Name)
}

// byActor notes who it was that has just logged in.
func byActor(c *gin.Context, name, id string) {
	t := trailOf(c)
	t.record.Actor, t.record.ActorID = name, id
}

// witness is a trail while somebody logs in.
type witness struct {
	a *api
	t *trail
}

// witnessed is a request's context, with which whoever is logged in has a record
// before.
func (a *api) witnessed(c *gin.Context, t *trail) context.Context {
	return fleet.WithLoginWitness(c.Request.Context(), witness{a, t})
}

// Knows implements fleet.LoginWitness.
func (w witness) Knows(s fleet.LoginSubject) {
	r := &w.t.record
	r.Provider, r.Subject = cmp.Or(s.Provider, r.Provider), cmp.Or(s.Subject, r.Subject)
}

// Begins implements fleet.LoginWitness. Only who has shown who he is comes so far:
// nobody else writes to the database.
func (w witness) Begins(ctx context.Context, s fleet.LoginSubject) (err error) {
	w.Knows(s)
	record := w.t.record
	record.Actor, record.ActorID = s.Name, s.Session
	record.Kind, record.Outcome = audit.Command, audit.Unknown
	if w.t.begun, err = w.a.opts.Audit.Begin(ctx, record); err == nil {
		w.t.record = record
	}
	return err
}

// goesOn reports whether a request may go on for hours, and has a record of its
// beginning: a command in a container, and a log that somebody follows.
func goesOn(c *gin.Context, route Route) bool {
	return route.Verb == VerbExec || route.Verb == VerbLogs && c.Query("follow") == "true"
}

// ErrStopping is the cause with which the contexts of requests end when the hub does.
var ErrStopping = errors.New("the hub stops")

// endedBy notes who or what ended a request that had begun to go on; own is what its
// own end is called.
func endedBy(c *gin.Context, err error, own string) {
	t := trailOf(c)
	if err == nil {
		t.ended = own
		return
	}
	e := fault.As(err)
	switch e.Code {
	case "client_gone", "access_interrupted":
		if errors.Is(context.Cause(c.Request.Context()), ErrStopping) {
			t.ended, t.cut = "cut by the hub, which stops", e
			return
		}
		t.ended = "ended by its client"
		return
	case "permission_revoked", "permission_unknown", "application_gone", "input_stalled", "message_invalid", "access_timeout", "answer_too_large":
		t.ended = "cut by the hub (" + e.Code + ")"
	default:
		t.ended = "cut by the cluster's agent, or on the way to it (" + e.Code + ")"
	}
	t.cut = e
}

// recorded keeps the record of a command before it is carried out, and reports whether
// it may be.
func (a *api) recorded(c *gin.Context, route Route) bool {
	if !route.Command() && !goesOn(c, route) || route.Public { // a login is recorded once it is known whose it is
		return true
	}
	t := trailOf(c)
	t.actor(c)
	a.placed(c, route, &t.record)
	record := t.record
	record.Kind, record.Outcome = audit.Command, audit.Unknown
	if goesOn(c, route) {
		// It is seen from its beginning.
		t.goesOn = true
		record.Kind = audit.Begun
		a.opts.Audit.Add(fleet.AuditEntry{Record: record})
		if err := a.opts.Audit.Flush(c.Request.Context()); err != nil {
			a.fail(c, err)
			return false
		}
		return true
	}
	var err error
	if t.begun, err = a.opts.Audit.Begin(c.Request.Context(), record); err != nil {
		a.fail(c, err)
		return false
	}
	return true
}

// placed fills in what a request is about, as far as its path says.
func (a *api) placed(c *gin.Context, route Route, r *audit.Record) {
	ctx := c.Request.Context()
	r.Name = cmp.Or(r.Name, c.Param("name"), c.Param("id"))
	q := c.Request.URL.Query()
	r.DryRun = q.Get("dryRun") == "true"
	r.Reason = cmp.Or(r.Reason, fleet.MaskURLs(q.Get("reason")))
	switch route.Resource {
	case ResourceProjects:
		r.Project = r.Name
	case ResourceClusters:
		r.Cluster = r.Name
	case ResourceApplications:
		if name := c.Param("name"); name != "" {
			if app, err := a.store.Application(ctx, name); err == nil {
				r.Project, r.Cluster = app.Project, app.ClusterName
			}
		}
	case ResourceSets:
		if name := c.Param("name"); name != "" {
			if s, err := a.store.ApplicationSet(ctx, name); err == nil {
				r.Project = projectOf(&s)
			}
		}
	case ResourceOperations:
		if id := c.Param("id"); id != "" {
			if op, err := a.store.Operation(ctx, model.OperationID(id)); err == nil {
				r.Operation, r.Name, r.Project, r.Cluster = id, op.AppName, op.Project, string(op.Cluster)
			}
		}
	}
	if route.Verb == VerbExec {
		program := ""
		if command := q["command"]; len(command) > 0 { // the other words may be secrets
			program = command[0]
		}
		r.Reason = strings.TrimSpace(fmt.Sprintf("pod %s/%s, container %q, program %q", q.Get("namespace"), q.Get("pod"), q.Get("container"), program))
	}
}

// audited records what came of a request.
func (a *api) audited(c *gin.Context) {
	route, ok := a.routes[c.Request.Method+" "+c.FullPath()]
	if !ok {
		c.Next()
		return
	}
	t := &trail{record: audit.Record{
		From: address(c.Request), Action: route.ID, Verb: string(route.Verb), Resource: string(route.Resource), Request: requestID(c),
	}}
	c.Set(keyAudit, t)
	var answered *answerID
	switch route.Answer.(type) {
	case model.OperationInfo, model.Job:
		if route.Command() {
			answered = &answerID{ResponseWriter: c.Writer}
			c.Writer = answered
		}
	}
	c.Next()

	r := &t.record
	t.actor(c)
	r.Status = c.Writer.Status()
	var refused *fault.Error
	if last := c.Errors.Last(); last != nil {
		refused = fault.As(last.Err)
		r.Code = refused.Code
	}
	r.Outcome = outcomeOf(r.Status, refused)
	switch {
	case refusedEarly(c, refused):
		r.Kind, r.Outcome = audit.Refusal, audit.Denied
		if t.begun != "" || t.goesOn { // it was let in, and then found out
			r.Kind = audit.Command
		} else {
			a.placed(c, route, r)
		}
	case route.Command(), t.goesOn, t.login:
		r.Kind = audit.Command
		if route.Public {
			a.placed(c, route, r)
		}
	default:
		return
	}
	if t.ended != "" {
		r.Reason = strings.TrimPrefix(r.Reason+"; "+t.ended, "; ")
		if r.Outcome, r.Code = audit.Done, ""; t.cut != nil {
			r.Code, r.Outcome = t.cut.Code, outcomeOf(fault.StatusOf(t.cut.Kind, t.cut.Code), t.cut)
		}
	}
	if r.Kind == audit.Command && route.Public && r.Outcome != audit.Done && t.begun == "" {
		r.Kind = audit.Refusal // of somebody who is nobody yet: not all of them are written
	}
	if r.Kind == audit.Command && !route.Public { // logins bring little but secrets
		a.described(t)
		if answered != nil && r.Outcome == audit.Done {
			r.Operation = cmp.Or(answered.id(), r.Operation)
		}
	}
	entries := []fleet.AuditEntry{{Record: *r, Begun: t.begun}}
	if len(t.targets) > 0 {
		entries = entries[:0]
		for _, target := range t.targets {
			one := *r
			one.Name, one.Project, one.Resource, one.Outcome, one.Code, one.Reason = target.Name, target.Project, target.Resource, target.Outcome, target.Code, cmp.Or(target.Reason, r.Reason)
			entries = append(entries, fleet.AuditEntry{Record: one})
		}
		entries[0].Begun = t.begun
	}
	a.opts.Audit.Add(entries...)
}

// refusedEarly reports whether somebody asked for what he may not: he is nobody, or
// the table of rights or a handler says so.
func refusedEarly(c *gin.Context, e *fault.Error) bool {
	if e == nil {
		return false
	}
	if c.GetBool(keyRefused) || e.Kind == fault.Unauthorized || e.Code == "too_many_attempts" {
		return true
	}
	return e.Kind == fault.Denied && (c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead)
}

func outcomeOf(status int, e *fault.Error) audit.Outcome {
	switch {
	case status < http.StatusBadRequest:
		return audit.Done
	case e == nil:
		return audit.Failed
	}
	switch e.Kind {
	case fault.Denied, fault.Unauthorized, fault.RateLimited:
		return audit.Denied
	case fault.Internal, fault.Unavailable, fault.Upstream:
		return audit.Failed
	}
	return audit.Rejected
}

// described notes what a body had, without what its values were.
func (a *api) described(t *trail) {
	if len(t.body) == 0 {
		return
	}
	r := &t.record
	r.Digest = a.opts.Audit.Digest(t.body)
	var body map[string]json.RawMessage
	if json.Unmarshal(t.body, &body) != nil {
		return // YAML: its handler says what it is about
	}
	if r.Outcome == audit.Done { // the names of fields that nobody knows could be anything
		r.Fields = slices.Sorted(maps.Keys(body))
	}
	word := func(key string) (s string) {
		_ = json.Unmarshal(body[key], &s) // "" for what is no text
		return s
	}
	r.Name = cmp.Or(r.Name, word("name"), word("cluster"), fleet.MaskURLs(word("url")))
	r.Project = cmp.Or(r.Project, word("project"))
	r.Reason = cmp.Or(r.Reason, fleet.MaskURLs(word("reason")))
	var dry bool
	_ = json.Unmarshal(body["dryRun"], &dry)
	r.DryRun = r.DryRun || dry
}

// appliedTo notes what became of each object of a text.
func appliedTo(c *gin.Context, items []applied, docs []decode.Document) {
	t := trailOf(c)
	resources := map[string]string{model.KindApplication: string(ResourceApplications), model.KindAppProject: string(ResourceProjects), model.KindApplicationSet: string(ResourceSets)}
	for i, item := range items {
		target := audit.Record{Name: item.Name, Resource: resources[item.Kind], Outcome: audit.Done, Reason: item.Result}
		switch d := docs[i]; {
		case d.Application != nil:
			target.Project = d.Application.Spec.Project
		case d.Project != nil:
			target.Project = d.Name
		case d.Set != nil:
			target.Project = projectOf(d.Set)
		}
		if p := item.Error; p != nil {
			target.Outcome, target.Code = outcomeOf(p.Status, &fault.Error{Kind: p.Kind, Code: p.Code}), p.Code
		}
		t.targets = append(t.targets, target)
	}
}

// answerID keeps the beginning of an answer, which has the id of what was made.
type answerID struct {
	gin.ResponseWriter
	head []byte
}

func (w *answerID) Write(b []byte) (int, error) {
	if free := 200 - len(w.head); free > 0 {
		w.head = append(w.head, b[:min(free, len(b))]...)
	}
	return w.ResponseWriter.Write(b)
}

func (w *answerID) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Unwrap lets http.ResponseController find the connection.
func (w *answerID) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var leadingID = regexp.MustCompile(`^\{"id":"([A-Za-z0-9_-]+)"`)

func (w *answerID) id() string {
	if m := leadingID.FindSubmatch(bytes.TrimSpace(w.head)); m != nil {
		return string(m[1])
	}
	return ""
}

// foreign records that a request of another origin was refused.
func (a *api) foreign(r *http.Request, id string) {
	a.opts.Audit.Add(fleet.AuditEntry{Record: audit.Record{
		Kind: audit.Refusal, Outcome: audit.Denied, Status: http.StatusForbidden, Code: "cross_origin_blocked", From: address(r), Request: id,
		Action: "crossOrigin", Reason: r.Method + " " + cut(r.URL.Path) + " of " + cut(r.Header.Get("Origin")),
	}})
}
