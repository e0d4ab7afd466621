package configmap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Watch follows one ConfigMap. All fields but Log are required; it is not
// changed while Run runs.
type Watch struct {
	// Client authenticates; Base is the API server.
	Client          *http.Client
	Base            *url.URL
	Namespace, Name string
	UserAgent       string
	Log             *slog.Logger
	// Seen takes what the ConfigMap holds, exists false when there is none; it
	// is called for each version, and maybe again for the same. Failed says why
	// it cannot be read at present. Both are called from the goroutine of Read or
	// Run and must not block for long.
	Seen   func(data map[string]string, exists bool)
	Failed func(err error)

	version string // resource version to watch from; "": to be listed
}

const (
	readTimeout = 20 * time.Second
	// A watch asks to be ended after a random time in this range.
	watchMin, watchMax = 8 * time.Minute, 12 * time.Minute
	// silence: servers send a bookmark about once a minute; a watch without any
	// sign for so long is dead.
	silence = 3 * time.Minute
	// retryFirst doubles up to retryCap while the server cannot be reached, and
	// up to refusedCap while it refuses, which only an administrator changes.
	retryFirst = 100 * time.Millisecond
	retryCap   = 5 * time.Second
	refusedCap = 30 * time.Second
	// maxEvent bounds one event: a ConfigMap is at most 1 MiB, and JSON escapes.
	maxEvent = 8 << 20
)

// Read reads the ConfigMap once and calls Seen, or Failed and returns the error
// as well. Run goes on from there.
func (w *Watch) Read(ctx context.Context) error {
	err := w.list(ctx)
	if err != nil && ctx.Err() == nil {
		w.Failed(err)
	}
	return err
}

// Run follows the ConfigMap until ctx ends, and returns nil then.
func (w *Watch) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if fault.HasCode(err, codeExpired) {
			w.version = ""
		}
		if err == nil && time.Since(began) > time.Second {
			failures = 0
			continue
		}
		longest, pause := retryCap, time.Duration(0)
		if err != nil && !fault.HasCode(err, codeExpired) {
			w.Failed(err)
			if failures == 0 && w.Log != nil {
				w.Log.Warn("a ConfigMap cannot be watched", "name", w.Name, "error", err)
			}
			if fault.Is(err, fault.Denied) {
				w.version = ""
				longest = refusedCap
			}
			var later *retryAfter
			if errors.As(err, &later) {
				pause = later.after + rand.N(later.after/2+1)
			}
		}
		if pause == 0 {
			pause = rand.N(min(retryFirst<<min(failures, 20), longest))
		}
		failures++
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// follow lists when there is no version to go on from, and watches until the
// watch ends. nil is an ordinary end.
func (w *Watch) follow(ctx context.Context) error {
	if w.version == "" {
		if err := w.list(ctx); err != nil {
			return err
		}
	}
	return w.watch(ctx)
}

type object struct {
	Metadata struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
}

func (w *Watch) query() url.Values {
	return url.Values{"fieldSelector": {"metadata.name=" + w.Name}}
}

// list asks for a consistent answer: an old one could lack a ConfigMap that is
// there.
func (w *Watch) list(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	body, err := w.get(ctx, w.query())
	if err != nil {
		return err
	}
	defer body.Close()
	var answer struct {
		Kind     string `json:"kind"`
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
			Continue        string `json:"continue"`
		} `json:"metadata"`
		Items []object `json:"items"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxEvent)).Decode(&answer); err != nil {
		return fault.Wrap(err, fault.Unavailable, "cluster_answer", "the answer of the cluster's API server broke off or is not JSON")
	}
	if answer.Metadata.ResourceVersion == "" || answer.Kind != "ConfigMapList" && answer.Kind != "List" {
		// Not what the API server answers: nothing is concluded from it.
		return fault.New(fault.Unavailable, "cluster_answer", "the answer about ConfigMap %s is not a list", w.Name)
	}
	i := slices.IndexFunc(answer.Items, func(o object) bool { return o.Metadata.Name == w.Name })
	if i < 0 && answer.Metadata.Continue != "" {
		return fault.New(fault.Unavailable, "cluster_answer", "the answer about ConfigMap %s is a part of a list", w.Name)
	}
	w.version = answer.Metadata.ResourceVersion
	if i < 0 {
		w.Seen(nil, false)
	} else {
		w.Seen(answer.Items[i].Data, true)
	}
	return nil
}

const codeExpired = "watch_expired"

func (w *Watch) watch(ctx context.Context) error {
	q := w.query()
	q.Set("watch", "1")
	q.Set("allowWatchBookmarks", "true")
	q.Set("resourceVersion", w.version)
	q.Set("timeoutSeconds", strconv.Itoa(int((watchMin + rand.N(watchMax-watchMin)).Seconds())))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(silence, func() {
		cancel(fault.New(fault.Unavailable, "watch_silent", "the watch of ConfigMap %s went silent", w.Name))
	})
	defer silent.Stop()
	body, err := w.get(ctx, q)
	if err != nil {
		return err
	}
	defer body.Close()
	limited := &io.LimitedReader{R: body}
	events := json.NewDecoder(limited)
	for {
		limited.N = maxEvent
		var e struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := events.Decode(&e); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			if errors.Is(err, io.EOF) && limited.N > 0 {
				return nil
			}
			return fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the watch of ConfigMap %s broke off", w.Name)
		}
		silent.Reset(silence)
		if e.Type == "ERROR" {
			return statusOf(e.Object, http.StatusInternalServerError, "")
		}
		var o object
		if err := json.Unmarshal(e.Object, &o); err != nil {
			w.version = ""
			return fault.Wrap(err, fault.Unavailable, "cluster_answer", "an event about ConfigMap %s cannot be read", w.Name)
		}
		if o.Metadata.ResourceVersion != "" {
			w.version = o.Metadata.ResourceVersion
		}
		if o.Metadata.Name != w.Name { // a bookmark has no name
			continue
		}
		switch e.Type {
		case "ADDED", "MODIFIED":
			w.Seen(o.Data, true)
		case "DELETED":
			w.Seen(nil, false)
		}
	}
}

func (w *Watch) get(ctx context.Context, q url.Values) (io.ReadCloser, error) {
	u := *w.Base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/api/v1/namespaces/" + w.Namespace + "/configmaps"
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "request_invalid", "a request about ConfigMap %s cannot be made", w.Name)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", w.UserAgent)
	resp, err := w.Client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && errors.Is(cause, context.Canceled) {
			return nil, cause
		}
		return nil, fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the cluster's API server cannot be reached")
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return nil, statusOf(answer, resp.StatusCode, resp.Header.Get("Retry-After"))
}

// retryAfter is a server's wish to be asked again no sooner.
type retryAfter struct {
	after time.Duration
	err   error
}

func (e *retryAfter) Error() string { return e.err.Error() }
func (e *retryAfter) Unwrap() error { return e.err }

// maxRetryAfter keeps a server from silencing the agent.
const maxRetryAfter = time.Minute

func statusOf(answer []byte, code int, after string) error {
	var s struct {
		Kind    string `json:"kind"`
		Code    int    `json:"code"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
		Details struct {
			RetryAfterSeconds int `json:"retryAfterSeconds"`
		} `json:"details"`
	}
	if json.Unmarshal(answer, &s) == nil && s.Kind == "Status" && s.Code != 0 {
		code = s.Code
	}
	said := s.Message
	if len(said) > 160 {
		said = strings.ToValidUTF8(said[:160], "") + "…"
	}
	if said == "" {
		said = fmt.Sprintf("HTTP status %d", code)
	}
	switch {
	case code == http.StatusGone || s.Reason == "Expired" || s.Reason == "Gone":
		return fault.New(fault.Unavailable, codeExpired, "the API server does not remember so far back")
	case code == http.StatusForbidden, code == http.StatusUnauthorized:
		return fault.New(fault.Denied, "forbidden", "the API server refuses: %s", said).
			WithFix("let the agent's account list and watch it, as docs/agent-rbac.yaml does")
	}
	err := fault.New(fault.Unavailable, "cluster_unavailable", "the API server answers: %s", said)
	wait := time.Duration(s.Details.RetryAfterSeconds) * time.Second
	if n, e := strconv.Atoi(after); e == nil && n > 0 {
		wait = time.Duration(n) * time.Second
	}
	if wait > 0 {
		return &retryAfter{after: min(wait, maxRetryAfter), err: err}
	}
	return err
}
