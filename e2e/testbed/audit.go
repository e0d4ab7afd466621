package testbed

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// AuditEvent is one request that the API server has answered, or for a watch
// one that it has begun to answer.
type AuditEvent struct {
	// AuditID is the request's own name, also sent back in a response header.
	AuditID string
	// Verb is get, list, watch, create, update, patch, delete, deletecollection,
	// or the lower case HTTP method for paths that are no resources.
	Verb string
	// User is the authenticated user name; ImpersonatedUser is set when the
	// request acted as somebody else.
	User, ImpersonatedUser string
	UserAgent              string
	// Group, Resource, Subresource, Namespace and Name say what it was about; all
	// are empty for paths that are no resources.
	Group, Resource, Subresource, Namespace, Name string
	// Code is the HTTP status code.
	Code       int
	RequestURI string
	// Time is when the API server received the request.
	Time time.Time
	// Duration is from then to the answer, for a watch to its first byte.
	Duration time.Duration
}

// Write tells whether the request could change something.
func (e AuditEvent) Write() bool {
	switch e.Verb {
	case "create", "update", "patch", "delete", "deletecollection", "post", "put":
		return true
	}
	return false
}

func (e AuditEvent) String() string {
	return fmt.Sprintf("%s %s %s %d by %s (%s)", e.Time.Format(time.StampMicro), e.Verb, e.RequestURI, e.Code, e.User, e.UserAgent)
}

// AuditLog is the path of the API server's audit log: JSON lines.
func (cp *ControlPlane) AuditLog() string { return cp.file("audit.log") }

// AuditReader reads the audit log forwards. It is for one goroutine.
type AuditReader struct {
	path   string
	offset int64
	// begun holds the long-running requests of which only the beginning was read,
	// so that each request is reported once.
	begun map[string]bool
}

// Audit returns a reader that starts at the first request.
func (cp *ControlPlane) Audit() *AuditReader {
	return &AuditReader{path: cp.AuditLog(), begun: map[string]bool{}}
}

// AuditFromNow returns a reader of the requests that are logged from now on.
func (cp *ControlPlane) AuditFromNow() (*AuditReader, error) {
	r := cp.Audit()
	_, err := r.Next()
	return r, err
}

// Next returns the requests logged since the last call, each once, in the order
// of the log. The API server logs a request just after it has sent the answer, so
// the log can lag behind what a client knows by a moment; Await waits for that.
func (r *AuditReader) Next() ([]AuditEvent, error) {
	f, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing logged yet
	}
	if err != nil {
		return nil, fmt.Errorf("testbed: audit log: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(r.offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("testbed: audit log: %w", err)
	}
	var events []AuditEvent
	for lines := bufio.NewReaderSize(f, 1<<20); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return events, nil // what follows the last newline is still being written
		}
		if err != nil {
			return events, fmt.Errorf("testbed: audit log: %w", err)
		}
		r.offset += int64(len(line))
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var raw auditLine
		if err := json.Unmarshal(line, &raw); err != nil {
			return events, fmt.Errorf("testbed: audit log: the line that ends at byte %d: %w", r.offset, err)
		}
		if event, once := r.take(&raw); once {
			events = append(events, event)
		}
	}
}

// Await reads on until an event matches, and returns it, or until ctx ends. The
// events read up to the match are consumed.
func (r *AuditReader) Await(ctx context.Context, match func(AuditEvent) bool) (AuditEvent, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		before, seen := r.offset, 0
		events, err := r.Next()
		if err != nil {
			return AuditEvent{}, err
		}
		for _, e := range events {
			if match(e) {
				return e, nil
			}
			seen++
		}
		select {
		case <-ctx.Done():
			return AuditEvent{}, fmt.Errorf("testbed: no matching request in the audit log up to byte %d (%d in the last read from byte %d): %w", r.offset, seen, before, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// auditLine is the part of an audit.k8s.io/v1 Event that is used.
type auditLine struct {
	AuditID                  string
	Stage                    string
	RequestURI               string
	Verb                     string
	User                     struct{ Username string }
	ImpersonatedUser         *struct{ Username string }
	UserAgent                string
	ObjectRef                *struct{ Resource, Namespace, Name, APIGroup, Subresource string }
	ResponseStatus           *struct{ Code int }
	RequestReceivedTimestamp time.Time
	StageTimestamp           time.Time
}

// take turns a line into an event, unless the request was reported before.
func (r *AuditReader) take(raw *auditLine) (AuditEvent, bool) {
	switch raw.Stage {
	case "RequestReceived":
		return AuditEvent{}, false // its outcome follows
	case "ResponseStarted":
		r.begun[raw.AuditID] = true
	default:
		if r.begun[raw.AuditID] {
			delete(r.begun, raw.AuditID)
			return AuditEvent{}, false
		}
	}
	e := AuditEvent{
		AuditID:    raw.AuditID,
		Verb:       raw.Verb,
		User:       raw.User.Username,
		UserAgent:  raw.UserAgent,
		RequestURI: raw.RequestURI,
		Time:       raw.RequestReceivedTimestamp,
		Duration:   raw.StageTimestamp.Sub(raw.RequestReceivedTimestamp),
	}
	if raw.ImpersonatedUser != nil {
		e.ImpersonatedUser = raw.ImpersonatedUser.Username
	}
	if ref := raw.ObjectRef; ref != nil {
		e.Group, e.Resource, e.Subresource, e.Namespace, e.Name = ref.APIGroup, ref.Resource, ref.Subresource, ref.Namespace, ref.Name
	}
	if raw.ResponseStatus != nil {
		e.Code = raw.ResponseStatus.Code
	}
	return e, true
}
