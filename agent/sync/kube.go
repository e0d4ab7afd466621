package sync

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// requestTimeout bounds one request; admission webhooks may take 30 s.
const requestTimeout = 40 * time.Second

const maxAnswer = 16 << 20

// Kube is the Applier for a real API server. It speaks plain HTTP with the
// client it is given, which authenticates and has no rate limit.
type Kube struct {
	client    *http.Client
	base      *url.URL
	userAgent string
	timeout   time.Duration // of one request
	now       func() time.Time
}

// NewKube writes through client to the API server at base. userAgent is
// "hawser-agent/<version>"; each write adds " op/<operation>" to it.
func NewKube(client *http.Client, base *url.URL, userAgent string) *Kube {
	return &Kube{client: client, base: base, userAgent: userAgent, timeout: requestTimeout, now: time.Now}
}

// Apply implements Applier.
func (k *Kube) Apply(ctx context.Context, w Write) ([]byte, error) {
	switch {
	case w.Mode == ModeReplace:
		return k.replace(ctx, w)
	case w.Mode == ModeRecreate && w.UID != "":
		return k.recreate(ctx, w)
	case len(w.Migrate) > 0 && !w.DryRun:
		if err := k.migrate(ctx, w); err != nil {
			return nil, err
		}
	}
	answer, err := k.apply(ctx, w)
	if w.Force && fault.HasCode(err, "immutable_field") {
		return k.force(ctx, w, err)
	}
	if err == nil && w.DryRun && len(w.Migrate) > 0 {
		return k.asMigrated(ctx, w, answer)
	}
	return answer, err
}

// apply is one server-side apply.
func (k *Kube) apply(ctx context.Context, w Write) ([]byte, error) {
	q := writeQuery(w, model.FieldManager)
	q.Set("force", "true")
	answer, err := k.do(ctx, request{method: http.MethodPatch, kind: w.Kind, version: w.Version, key: w.Key, query: q,
		contentType: "application/apply-patch+yaml", body: w.Body, operation: w.Operation})
	if fault.HasCode(err, "version_conflict") {
		// It has no precondition: others write the object all the time, and the
		// server has given up merging with them for now.
		err = fault.Wrap(err, fault.Unavailable, "version_conflict", "%s", fault.As(err).Message)
	}
	return answer, err
}

// writeQuery are the parameters that every write of a whole object has.
func writeQuery(w Write, manager string) url.Values {
	q := url.Values{"fieldManager": {cmp.Or(w.Manager, manager)}}
	if w.DryRun {
		q.Set("dryRun", "All")
	}
	if w.Validate {
		q.Set("fieldValidation", "Strict")
	} else {
		q.Set("fieldValidation", "Ignore")
	}
	return q
}

// Get implements Applier.
func (k *Kube) Get(ctx context.Context, kind live.Kind, version string, key model.ObjectKey) ([]byte, error) {
	return k.do(ctx, request{method: http.MethodGet, kind: kind, version: version, key: key})
}

var propagations = map[string]string{"": "Foreground", "foreground": "Foreground", "background": "Background", "orphan": "Orphan"}

// Delete implements Applier.
func (k *Kube) Delete(ctx context.Context, r Removal) error {
	if r.UID == "" {
		return fault.New(fault.Internal, "uid_missing", "%s is not deleted, because its uid is not known", r.Key)
	}
	policy, ok := propagations[strings.ToLower(r.Propagation)]
	if !ok {
		return fault.New(fault.Unprocessable, "propagation_unknown", "%s: the propagation policy %q is not known; use foreground, background or orphan", r.Key, clip(r.Propagation, 40))
	}
	options := map[string]any{
		"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy,
		"preconditions": map[string]any{"uid": r.UID},
	}
	if r.Force {
		options["gracePeriodSeconds"] = 0
	}
	body, err := json.Marshal(options)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "body_invalid", "%s: the delete options cannot be encoded", r.Key)
	}
	_, err = k.do(ctx, request{method: http.MethodDelete, kind: r.Kind, version: r.Kind.Version, key: r.Key,
		contentType: "application/json", body: body, operation: r.Operation})
	return goneIsFine(err)
}

// Release implements Applier.
func (k *Kube) Release(ctx context.Context, r Release) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":         r.UID,
		"annotations": map[string]any{model.AnnotationTrackingID: nil},
	}})
	if err != nil {
		return fault.Wrap(err, fault.Internal, "body_invalid", "%s: the patch cannot be encoded", r.Key)
	}
	q := url.Values{"fieldManager": {model.FieldManager}}
	_, err = k.do(ctx, request{method: http.MethodPatch, kind: r.Kind, version: r.Kind.Version, key: r.Key, query: q,
		contentType: "application/merge-patch+json", body: body, operation: r.Operation})
	return goneIsFine(err)
}

func goneIsFine(err error) error {
	if fault.HasCode(err, "not_found") || fault.HasCode(err, "uid_changed") {
		return nil
	}
	return err
}

type request struct {
	method      string
	kind        live.Kind
	version     string
	key         model.ObjectKey
	subresource string
	query       url.Values
	contentType string
	body        []byte
	operation   string
}

// path is the URL path of the request's object, or of its collection for POST.
func (r request) path() string {
	key := r.key
	if r.method == http.MethodPost {
		key.Name = ""
	}
	path := objectPath(r.kind, r.version, key)
	if r.subresource != "" {
		path += "/" + r.subresource
	}
	return path
}

// objectPath is the URL path of an object, or of its collection when it has no
// name.
func objectPath(kind live.Kind, version string, key model.ObjectKey) string {
	var b strings.Builder
	if key.Group == "" {
		b.WriteString("/api/")
	} else {
		b.WriteString("/apis/" + key.Group + "/")
	}
	b.WriteString(version)
	if key.Namespace != "" {
		b.WriteString("/namespaces/" + key.Namespace)
	}
	b.WriteString("/" + kind.Resource)
	if key.Name != "" {
		b.WriteString("/" + key.Name)
	}
	return b.String()
}

func (k *Kube) do(ctx context.Context, r request) ([]byte, error) {
	caller, ok := CallerOf(ctx)
	if !ok {
		return nil, errNobody(r)
	}
	if err := caller.may(r); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	u := *k.base
	u.Path = strings.TrimSuffix(u.Path, "/") + r.path()
	u.RawQuery = r.query.Encode()
	var reader io.Reader
	if r.body != nil {
		reader = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), reader)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "request_invalid", "%s: no request can be made for it", r.key)
	}
	req.Header.Set("Accept", "application/json")
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	agent := k.userAgent
	if r.operation != "" {
		agent += " op/" + r.operation
	}
	req.Header.Set("User-Agent", agent)
	if caller.User != "" {
		// The API server adds the groups of a service account by itself.
		req.Header.Set("Impersonate-User", caller.User)
	}
	failpoint.Hit("kube.request.before")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, k.unreachable(ctx, r.key, err)
	}
	defer resp.Body.Close()
	body, err := readAnswer(resp)
	if err == nil { // an answer can be lost
		err = failpoint.Error("kube.request.after")
	}
	if err != nil {
		return nil, k.unreachable(ctx, r.key, err)
	}
	if code := resp.StatusCode; code/100 != 2 {
		if code/100 == 4 && code != http.StatusTooManyRequests && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && !json.Valid(body) {
			return nil, broken(r.key) // what a refusal means is in its text
		}
		apiVersion := r.version
		if r.key.Group != "" {
			apiVersion = r.key.Group + "/" + r.version
		}
		err := Classify(code, retryAfter(resp.Header, k.now()), body, r.key, apiVersion)
		if caller.User != "" && code == http.StatusForbidden {
			err = k.refusedAs(ctx, caller, r, body, err)
		}
		return nil, err
	}
	if !json.Valid(body) {
		return nil, broken(r.key)
	}
	return body, nil
}

// broken is the error about an answer that a proxy in between has cut, or made up:
// whether the request was carried out is not known then.
func broken(key model.ObjectKey) error {
	return fault.New(fault.Unavailable, "answer_broken", "%s: the answer of the API server is not whole JSON; something between may have cut it", key)
}

// retryAfter is what the header Retry-After asks for: seconds, or a date, which
// counts from the sender's own clock where it says what that shows (RFC 9110,
// section 10.2.3). Zero: nothing.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(max(n, 0)) * time.Second
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return max(date.Sub(now), 0)
}

func readAnswer(resp *http.Response) ([]byte, error) {
	if n := resp.ContentLength; n > 0 && n <= maxAnswer {
		body := make([]byte, n)
		_, err := io.ReadFull(resp.Body, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errors.New("the answer is too large")
	}
	return body, err
}

func (k *Kube) unreachable(ctx context.Context, key model.ObjectKey, err error) error {
	why := "it does not answer"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		why = fmt.Sprintf("no answer within %s", k.timeout)
	}
	return fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "%s: the API server cannot be reached: %s", key, why)
}

// edit is a JSON object with fields of its metadata set, and those that are nil
// taken away. All else stays as it is written: numbers keep their digits.
func edit(body []byte, set map[string]any) ([]byte, error) {
	var obj map[string]json.RawMessage
	if err := json.Unmarshal(body, &obj); err != nil {
		return nil, err
	}
	if obj == nil {
		return nil, errors.New("it is no object")
	}
	meta := map[string]json.RawMessage{}
	if raw, ok := obj["metadata"]; ok {
		if err := json.Unmarshal(raw, &meta); err != nil || meta == nil {
			return nil, errors.New("its metadata is no object")
		}
	}
	for name, v := range set {
		if v == nil {
			delete(meta, name)
			continue
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		meta[name] = raw
	}
	if len(set) == 0 {
		return body, nil
	}
	raw, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	obj["metadata"] = raw
	return json.Marshal(obj)
}
