package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// auditParameters narrow what is listed and exported.
var auditParameters = []Parameter{
	{Name: "actor", Type: "string", Meaning: "only what this name did"},
	{Name: "action", Type: "string", Meaning: "only this operation of the API, such as syncApplication"},
	{Name: "resource", Type: "string", Meaning: "only about this kind of thing, such as applications"},
	{Name: "project", Type: "string", Meaning: "only in this project"},
	{Name: "cluster", Type: "string", Meaning: "only on this cluster"},
	{Name: "name", Type: "string", Meaning: "only about the thing of this name"},
	{Name: "request", Type: "string", Meaning: "only of this request"},
	{Name: "operation", Type: "string", Meaning: "only of this operation or job"},
	{Name: "kind", Type: "string", Meaning: "only records of this kind", Allowed: words(audit.Kinds())},
	{Name: "outcome", Type: "string", Meaning: "only what ended so", Allowed: words(audit.Outcomes())},
	{Name: "since", Type: "time", Meaning: "only from then on"},
	{Name: "until", Type: "time", Meaning: "only before then"},
}

func words[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, x := range in {
		out[i] = string(x)
	}
	return out
}

var auditRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/audit", ID: "listAudit", Tag: "audit", Summary: "What was done and what was refused, newest first",
		Verb: VerbGet, Resource: ResourceAudit, Query: with(auditParameters, limitParameter, cursorParam),
		Answer: list[audit.Record]{}, Status: http.StatusOK, handler: (*api).listAudit, when: hasAudit,
	},
	{
		Method: http.MethodGet, Path: "/audit/export", ID: "exportAudit", Tag: "audit", Summary: "The signed records, the oldest first, as JSON lines",
		Detail: "The first line names the key, the last says how many there were; the whole chain, without parameters, can be verified by anybody: hawser audit verify.",
		Verb:   VerbGet, Resource: ResourceAudit, Query: auditParameters,
		Answer: auditLine{}, Status: http.StatusOK, Stream: Lines, handler: (*api).exportAudit, when: hasAudit,
	},
}

func hasAudit(o Options) bool { return o.Audit != nil }

// auditLine is one line of an export, as the document of the API describes it: it
// has begin, or record with hash and signature, or end.
type auditLine struct {
	Begin     *auditBegin   `json:"begin,omitempty"`
	Record    *audit.Record `json:"record,omitempty"`
	Hash      string        `json:"hash,omitempty"`
	Signature string        `json:"signature,omitempty"`
	End       *audit.End    `json:"end,omitempty"`
}

type auditBegin struct {
	HubID    string `json:"hubID"`
	Key      string `json:"key"`
	Filtered bool   `json:"filtered,omitempty"`
}

// auditFilter reads what is asked for.
func auditFilter(c *gin.Context, more ...string) (fleet.AuditFilter, error) {
	known := more
	for _, p := range auditParameters {
		known = append(known, p.Name)
	}
	f := fleet.AuditFilter{
		Actor: c.Query("actor"), Action: c.Query("action"), Resource: c.Query("resource"), Project: c.Query("project"), Cluster: c.Query("cluster"),
		Name: c.Query("name"), Request: c.Query("request"), Operation: c.Query("operation"), Kind: audit.Kind(c.Query("kind")), Outcome: audit.Outcome(c.Query("outcome")),
	}
	if err := knownParameters(c, known); err != nil {
		return f, err
	}
	for _, p := range auditParameters {
		v := c.Query(p.Name)
		if p.Allowed != nil && v != "" && !slices.Contains(p.Allowed, v) {
			return f, fault.New(fault.Invalid, "expression_invalid", "%s %q is unknown", p.Name, cut(v)).WithField(p.Name).WithFound(cut(v), listedWords(p.Allowed))
		}
		if err := text(p.Name, v, 0, 300); err != nil {
			return f, err
		}
	}
	for name, into := range map[string]**time.Time{"since": &f.Since, "until": &f.Until} {
		v := c.Query(name)
		if v == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return f, fault.New(fault.Invalid, "expression_invalid", "%s %q is not a time", name, cut(v)).WithField(name).WithFound(cut(v), "2026-11-28T10:00:00Z")
		}
		*into = &t
	}
	return f, nil
}

func listedWords(words []string) string {
	b, _ := json.Marshal(words) // texts always encode
	return string(b)
}

func (a *api) listAudit(c *gin.Context) {
	f, err := auditFilter(c, "limit", "cursor")
	var limit int
	if err == nil {
		limit, err = limitOf(c)
	}
	var cursor string
	if err == nil {
		cursor, err = a.cursorOf(c, boundTo(c, "audit"))
	}
	if err == nil && cursor != "" {
		if f.Before, err = strconv.ParseInt(cursor, 10, 64); err != nil || f.Before < 1 {
			err = fault.New(fault.Invalid, "cursor_invalid", "the cursor is not one of this hub").WithField("cursor").WithFix("start again without a cursor")
		}
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	f.Limit = limit + 1
	signed, err := a.opts.Audit.Records(c.Request.Context(), f)
	if err != nil {
		a.fail(c, err)
		return
	}
	next := len(signed) > limit
	signed = signed[:min(limit, len(signed))]
	records := make([]audit.Record, len(signed))
	for i, s := range signed {
		if err := json.Unmarshal(s.Record, &records[i]); err != nil {
			a.fail(c, fault.Wrap(err, fault.Internal, "internal", "an audit record cannot be read"))
			return
		}
	}
	out := newList(a, records)
	if next {
		out.NextCursor = a.opts.cursor([]string{strconv.FormatInt(records[limit-1].Seq, 10)}, boundTo(c, "audit"))
	}
	c.JSON(http.StatusOK, out)
}

// exportedAtOnce is how many records are read from the database at a time.
const exportedAtOnce = 500

func (a *api) exportAudit(c *gin.Context) {
	ctx := c.Request.Context()
	f, err := auditFilter(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	state, err := a.store.HubState(ctx)
	if err != nil {
		a.fail(c, err)
		return
	}
	filtered := f.Narrows()
	f.OldestFirst, f.Limit = true, exportedAtOnce
	// What is added while it is read is of the next export.
	newest, err := a.opts.Audit.Records(ctx, fleet.AuditFilter{Limit: 1})
	if err == nil && len(newest) == 1 {
		var r audit.Record
		if err = json.Unmarshal(newest[0].Record, &r); err == nil {
			f.Before = r.Seq + 1
		}
	}
	var records []audit.Signed
	if err == nil && f.Before > 0 {
		records, err = a.opts.Audit.Records(ctx, f)
	}
	var first audit.Signed
	if len(records) > 0 {
		first = records[0]
	}
	var key []byte
	if err == nil {
		key, err = a.opts.Audit.KeyOf(ctx, first)
	}
	handovers := handovers{a: a, before: f.Before}
	if err == nil && filtered && len(records) > 0 {
		err = handovers.from(ctx, first)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Set(keyStream, true)
	c.Header("Content-Type", mediaLines)
	c.Writer.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(c.Writer)
	out := json.NewEncoder(c.Writer)
	end := &audit.End{}
	err = out.Encode(audit.Line{Begin: &audit.Begin{HubID: state.HubID, Key: key, Filtered: filtered}})
	for err == nil && len(records) > 0 {
		for _, s := range records {
			between, err := handovers.until(ctx, s)
			if err != nil {
				_ = c.Error(err) // for the log line
				end.Problem = newProblem(err, requestID(c)).Detail
				_ = out.Encode(audit.Line{End: end}) // the client may be gone
				return
			}
			for _, s := range append(between, s) {
				if out.Encode(audit.Line{Signed: &s}) != nil {
					return // nobody listens
				}
				end.Records++
			}
		}
		if rc.Flush() != nil {
			return
		}
		var last audit.Record
		if err = json.Unmarshal(records[len(records)-1].Record, &last); err != nil || len(records) < exportedAtOnce {
			break
		}
		f.After = last.Seq
		records, err = a.opts.Audit.Records(ctx, f)
	}
	if err != nil {
		_ = c.Error(err) // for the log line
		end.Problem = newProblem(err, requestID(c)).Detail
	}
	_ = out.Encode(audit.Line{End: end}) // the client may be gone
}

// handovers are the records in which a key hands over to the next, which a filtered
// export has between its own: without them nobody could verify what follows.
type handovers struct {
	a      *api
	before int64
	after  int64 // the last that was read; 0: none are looked for
	next   []audit.Signed
}

// from has those found that follow a record.
func (h *handovers) from(ctx context.Context, first audit.Signed) (err error) {
	h.after, err = seqOf(first)
	if err == nil {
		err = h.read(ctx)
	}
	return err
}

func (h *handovers) read(ctx context.Context) (err error) {
	h.next, err = h.a.opts.Audit.Records(ctx, fleet.AuditFilter{Kind: audit.Handover, After: h.after, Before: h.before, OldestFirst: true, Limit: exportedAtOnce})
	if err == nil && len(h.next) > 0 {
		h.after, err = seqOf(h.next[len(h.next)-1])
	}
	return err
}

// until takes those that come before a record. The record may be one itself.
func (h *handovers) until(ctx context.Context, s audit.Signed) (out []audit.Signed, err error) {
	if h.after == 0 || len(h.next) == 0 {
		return nil, nil
	}
	at, err := seqOf(s)
	for err == nil && len(h.next) > 0 {
		var seq int64
		if seq, err = seqOf(h.next[0]); err != nil || seq > at {
			break
		}
		if seq < at {
			out = append(out, h.next[0])
		}
		if h.next = h.next[1:]; len(h.next) == 0 {
			err = h.read(ctx)
		}
	}
	return out, err
}

// seqOf is the number of a record.
func seqOf(s audit.Signed) (int64, error) {
	var r audit.Record
	if err := json.Unmarshal(s.Record, &r); err != nil {
		return 0, fault.Wrap(err, fault.Internal, "internal", "an audit record cannot be read")
	}
	return r.Seq, nil
}
