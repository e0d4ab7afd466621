package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Secret is one Secret of the journal.
type Secret struct {
	Name            string
	ResourceVersion string
	Labels          map[string]string
	// Writer says which write made the content; it is kept in an annotation.
	Writer    string
	Data      map[string][]byte
	Immutable bool
}

const (
	labelPart        = "hawser.dev/journal"
	partState        = "state"
	partBundle       = "bundle"
	annotationWriter = "hawser.dev/writer"
)

// Secrets are the Secrets of the agent's own namespace. Each method is one
// request (List may need several) and blocks for it. Errors are faults: NotFound,
// Conflict when Create finds the name taken or Update another
// resourceVersion, Denied, and Unavailable for what may pass by itself.
type Secrets interface {
	// List returns those with the label hawser.dev/journal.
	List(ctx context.Context) ([]Secret, error)
	Get(ctx context.Context, name string) (Secret, error)
	Create(ctx context.Context, s Secret) (Secret, error)
	Update(ctx context.Context, s Secret) (Secret, error)
	Delete(ctx context.Context, name string) error
}

// Client speaks to the API server about the agent's own namespace. It is the
// Secrets of a Store and the API of a Lease.
type Client struct {
	http      *http.Client
	base      *url.URL
	namespace string
	userAgent string
}

// NewClient uses client, which authenticates, for the API server at base.
func NewClient(client *http.Client, base *url.URL, namespace, userAgent string) *Client {
	return &Client{http: client, base: base, namespace: namespace, userAgent: userAgent}
}

// EnsureNamespace makes the agent's namespace when it does not exist.
func (c *Client) EnsureNamespace(ctx context.Context) error {
	err := c.do(ctx, http.MethodGet, "/api/v1/namespaces/"+c.namespace, nil, nil, nil)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	body := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": c.namespace}}
	err = c.do(ctx, http.MethodPost, "/api/v1/namespaces", nil, body, nil)
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

type secretJSON struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Metadata   metaJSON          `json:"metadata"`
	Type       string            `json:"type,omitempty"`
	Immutable  bool              `json:"immutable,omitempty"`
	Data       map[string][]byte `json:"data,omitempty"`
}

type metaJSON struct {
	Name            string            `json:"name"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

func (s secretJSON) secret() Secret {
	return Secret{Name: s.Metadata.Name, ResourceVersion: s.Metadata.ResourceVersion, Labels: s.Metadata.Labels,
		Writer: s.Metadata.Annotations[annotationWriter], Data: s.Data, Immutable: s.Immutable}
}

func secretOf(s Secret) secretJSON {
	return secretJSON{APIVersion: "v1", Kind: "Secret", Type: "hawser.dev/journal", Immutable: s.Immutable, Data: s.Data,
		Metadata: metaJSON{Name: s.Name, ResourceVersion: s.ResourceVersion, Labels: s.Labels, Annotations: map[string]string{annotationWriter: s.Writer}}}
}

func (c *Client) secrets() string { return "/api/v1/namespaces/" + c.namespace + "/secrets" }

// listPage keeps one answer small: a pack is up to 700 KiB in JSON.
const listPage = "25"

// List implements Secrets.
func (c *Client) List(ctx context.Context) ([]Secret, error) {
	var out []Secret
	q := url.Values{"labelSelector": {labelPart}, "limit": {listPage}}
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []secretJSON `json:"items"`
		}
		if err := c.do(ctx, http.MethodGet, c.secrets(), q, nil, &page); err != nil {
			return nil, err
		}
		for _, s := range page.Items {
			out = append(out, s.secret())
		}
		if page.Metadata.Continue == "" {
			return out, nil
		}
		q.Set("continue", page.Metadata.Continue)
	}
}

// Get implements Secrets.
func (c *Client) Get(ctx context.Context, name string) (Secret, error) {
	var s secretJSON
	err := c.do(ctx, http.MethodGet, c.secrets()+"/"+name, nil, nil, &s)
	return s.secret(), err
}

// Create implements Secrets.
func (c *Client) Create(ctx context.Context, s Secret) (Secret, error) {
	s.ResourceVersion = ""
	var stored metaOnly
	err := c.do(ctx, http.MethodPost, c.secrets(), nil, secretOf(s), &stored)
	s.ResourceVersion = stored.Metadata.ResourceVersion
	return s, err
}

// Update implements Secrets.
func (c *Client) Update(ctx context.Context, s Secret) (Secret, error) {
	var stored metaOnly
	err := c.do(ctx, http.MethodPut, c.secrets()+"/"+s.Name, nil, secretOf(s), &stored)
	s.ResourceVersion = stored.Metadata.ResourceVersion
	return s, err
}

// Delete implements Secrets.
func (c *Client) Delete(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, c.secrets()+"/"+name, nil, nil, nil)
}

// metaOnly is what is read of the answer to a write, whose data we know.
type metaOnly struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
}

const (
	requestTimeout = 20 * time.Second
	maxAnswer      = 64 << 20
)

// do sends one request; in and out are JSON, either may be nil.
func (c *Client) do(ctx context.Context, method, path string, q url.Values, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fault.Wrap(err, fault.Internal, "journal_encode", "a request about the agent's own namespace cannot be encoded")
		}
		body = bytes.NewReader(b)
	}
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "journal_request", "a request about the agent's own namespace cannot be made")
	}
	accept := "application/json"
	if _, small := out.(*metaOnly); small || out == nil {
		// A write is answered with its metadata instead of everything sent.
		accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
	}
	req.Header.Set("Accept", accept)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", c.userAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the cluster's API server cannot be reached")
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(answer) > maxAnswer {
		return fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the answer of the cluster's API server broke off")
	}
	if resp.StatusCode/100 != 2 {
		return refusal(resp.StatusCode, answer, c.namespace)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fault.Wrap(err, fault.Unavailable, "cluster_answer", "the answer of the cluster's API server is not JSON")
	}
	return nil
}

func refusal(code int, answer []byte, namespace string) error {
	var s struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &s) != nil {
		s.Message = ""
	}
	cause := errors.New(cut(s.Message, 200))
	switch code {
	case http.StatusNotFound:
		return fault.Wrap(cause, fault.NotFound, "not_found", "an object of the agent's own namespace %q does not exist", namespace)
	case http.StatusConflict:
		return fault.Wrap(cause, fault.Conflict, "version_conflict", "an object of the agent's own namespace %q was changed meanwhile", namespace)
	case http.StatusForbidden, http.StatusUnauthorized:
		return fault.Wrap(cause, fault.Denied, "forbidden", "the agent's account may not use Secrets and Leases in its namespace %q: %s", namespace, cut(s.Message, 160)).
			WithFix("grant it get, list, create, update and delete on secrets, and get, create and update on leases, in that namespace")
	case http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusBadRequest:
		return fault.Wrap(cause, fault.Upstream, "refused", "the API server refuses an object of the agent's own namespace %q: %s", namespace, cut(s.Message, 160))
	}
	return fault.Wrap(cause, fault.Unavailable, "cluster_unavailable", "the cluster's API server failed with status %d: %s", code, cut(s.Message, 160))
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
