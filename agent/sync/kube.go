package sync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
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
}

// NewKube writes through client to the API server at base. userAgent is
// "hawser-agent/<version>"; each write adds " op/<operation>" to it.
func NewKube(client *http.Client, base *url.URL, userAgent string) *Kube {
	return &Kube{client: client, base: base, userAgent: userAgent}
}

// Apply implements Applier.
func (k *Kube) Apply(ctx context.Context, w Write) ([]byte, error) {
	q := url.Values{}
	manager := w.Manager
	if manager == "" {
		manager = model.FieldManager
	}
	q.Set("fieldManager", manager)
	if w.DryRun {
		q.Set("dryRun", "All")
	}
	if w.Validate {
		q.Set("fieldValidation", "Strict")
	} else {
		q.Set("fieldValidation", "Ignore")
	}
	switch w.Mode {
	case ModeReplace:
		return k.replace(ctx, w, q)
	case ModeRecreate:
		if !w.DryRun {
			if err := k.deleteAndWait(ctx, w); err != nil {
				return nil, err
			}
		}
	}
	q.Set("force", "true")
	return k.do(ctx, request{method: http.MethodPatch, kind: w.Kind, version: w.Version, key: w.Key, query: q,
		contentType: "application/apply-patch+yaml", body: w.Body, operation: w.Operation})
}

// replace puts the whole object in the place of the one that was seen.
func (k *Kube) replace(ctx context.Context, w Write, q url.Values) ([]byte, error) {
	var obj map[string]any
	if err := json.Unmarshal(w.Body, &obj); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "body_invalid", "%s: the object to write is not JSON", w.Key)
	}
	if meta, ok := obj["metadata"].(map[string]any); ok {
		meta["resourceVersion"] = w.ResourceVersion
		meta["uid"] = w.UID
	}
	body, err := json.Marshal(obj)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "body_invalid", "%s: the object to write cannot be encoded", w.Key)
	}
	return k.do(ctx, request{method: http.MethodPut, kind: w.Kind, version: w.Version, key: w.Key, query: q,
		contentType: "application/json", body: body, operation: w.Operation})
}

// deleteAndWait makes room for a new object of the same name.
func (k *Kube) deleteAndWait(ctx context.Context, w Write) error {
	if err := k.Delete(ctx, Removal{Kind: w.Kind, Key: w.Key, UID: w.UID, Propagation: "background", Operation: w.Operation}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		body, err := k.Get(ctx, w.Kind, w.Version, w.Key)
		if fault.Is(err, fault.NotFound) || err == nil && uidOf(body) != w.UID {
			return nil
		}
		if err != nil {
			return err
		}
		if !wait(ctx, pause) {
			return fault.New(fault.Unavailable, "still_deleting", "%s was deleted to be created again, and is not gone after %s", w.Key, requestTimeout)
		}
	}
}

func uidOf(body []byte) string {
	var o struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if json.Unmarshal(body, &o) != nil {
		return ""
	}
	return o.Metadata.UID
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
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy,
		"preconditions": map[string]any{"uid": r.UID},
	})
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
	query       url.Values
	contentType string
	body        []byte
	operation   string
}

// objectPath is the URL path of an object.
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
	b.WriteString("/" + kind.Resource + "/" + key.Name)
	return b.String()
}

func (k *Kube) do(ctx context.Context, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u := *k.base
	u.Path = strings.TrimSuffix(u.Path, "/") + objectPath(r.kind, r.version, r.key)
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
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, k.unreachable(ctx, r.key, err)
	}
	defer resp.Body.Close()
	body, err := readAnswer(resp)
	if err != nil {
		return nil, k.unreachable(ctx, r.key, err)
	}
	if resp.StatusCode/100 != 2 {
		apiVersion := r.version
		if r.key.Group != "" {
			apiVersion = r.key.Group + "/" + r.version
		}
		return nil, Classify(resp.StatusCode, resp.Header.Get("Retry-After"), body, r.key, apiVersion)
	}
	return body, nil
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
		why = fmt.Sprintf("no answer within %s", requestTimeout)
	}
	return fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "%s: the API server cannot be reached: %s", key, why)
}
