package preflight

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

// Kube asks an API server. It implements Cluster.
type Kube struct {
	http *http.Client
	base *url.URL
}

// NewKube uses client, which authenticates, for the API server at base.
func NewKube(client *http.Client, base *url.URL) *Kube { return &Kube{client, base} }

const (
	requestTimeout = 10 * time.Second
	maxAnswer      = 1 << 20
)

// Version implements Cluster.
func (k *Kube) Version(ctx context.Context) (string, error) {
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	err := k.do(ctx, http.MethodGet, "/version", "", nil, &v)
	return v.GitVersion, err
}

type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Attributes struct {
			Verb        string `json:"verb"`
			Group       string `json:"group"`
			Resource    string `json:"resource"`
			Subresource string `json:"subresource,omitempty"`
			Name        string `json:"name,omitempty"`
			Namespace   string `json:"namespace,omitempty"`
		} `json:"resourceAttributes"`
	} `json:"spec"`
	Status struct {
		Allowed bool `json:"allowed"`
	} `json:"status"`
}

// May implements Cluster with a SelfSubjectAccessReview, which every account may ask.
func (k *Kube) May(ctx context.Context, a Access) (bool, error) {
	var r review
	r.APIVersion, r.Kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
	at := &r.Spec.Attributes
	at.Verb, at.Group, at.Resource, at.Subresource, at.Name, at.Namespace = a.Verb, a.Group, a.Resource, a.Subresource, a.Name, a.Namespace
	err := k.do(ctx, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "", r, &r)
	return r.Status.Allowed, err
}

// TryState implements Cluster: a dry run goes through authorisation, quota and
// admission, and stores nothing.
func (k *Kube) TryState(ctx context.Context, namespace string) error {
	secret := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "hawser.dev/journal",
		"metadata": map[string]any{"generateName": "hawser-preflight-"},
		"data":     map[string][]byte{"preflight": []byte("is not stored")},
	}
	err := k.do(ctx, http.MethodPost, "/api/v1/namespaces/"+url.PathEscape(namespace)+"/secrets", "dryRun=All", secret, nil)
	if f := fault.As(err); f != nil && (f.Kind == fault.Denied || f.Kind == fault.Upstream) {
		return fault.New(f.Kind, "journal_unwritable", "no Secret can be stored in the namespace %s: %s", namespace, f.Message).
			WithFix("let the agent's account create, update and delete secrets there, and look at the namespace's ResourceQuota")
	}
	return err
}

// do sends one request; in and out are JSON, either may be nil.
func (k *Kube) do(ctx context.Context, method, path, query string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fault.Wrap(err, fault.Internal, "preflight_encode", "a question to the API server cannot be encoded")
		}
		body = bytes.NewReader(b)
	}
	u := *k.base
	u.Path, u.RawQuery = strings.TrimSuffix(u.Path, "/")+path, query
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "preflight_encode", "a question to the API server cannot be made")
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return fault.Wrap(bare(err), fault.Unavailable, "cluster_unreachable", "the cluster's API server at %s cannot be reached", k.base.Host)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the answer of the cluster's API server at %s broke off", k.base.Host)
	}
	if resp.StatusCode/100 != 2 {
		return refusal(resp.StatusCode, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			return fault.Wrap(err, fault.Upstream, "cluster_answer", "what answers at %s is no API server: its answer is not JSON", k.base.Host)
		}
	}
	return nil
}

// bare is an error of net/http without the address, which may be long.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func refusal(status int, answer []byte) error {
	var s struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &s) != nil || s.Message == "" {
		s.Message = http.StatusText(status)
	}
	if len(s.Message) > 300 {
		s.Message = strings.ToValidUTF8(s.Message[:300], "") + "…"
	}
	switch status {
	case http.StatusNotFound:
		return fault.New(fault.NotFound, "not_found", "%s", s.Message)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.New(fault.Denied, "cluster_access_denied", "%s", s.Message)
	case http.StatusTooManyRequests:
		return fault.New(fault.Unavailable, "cluster_unavailable", "the API server is busy: %s", s.Message)
	}
	if status/100 == 4 {
		return fault.New(fault.Upstream, "refused", "%s", s.Message)
	}
	return fault.New(fault.Unavailable, "cluster_unavailable", "the API server failed with status %d: %s", status, s.Message)
}
