package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Cluster is one API server. It is safe for concurrent use.
type Cluster struct {
	// Context is the name that the kubeconfig gives it.
	Context string
	host    string
	client  *http.Client
}

// pageSize is how many objects are asked for at once.
const pageSize = 500

// maxAnswer is the most that one answer may have, in bytes.
const maxAnswer = 256 << 20

// Open finds a context in a kubeconfig; an empty path is the usual places
// (KUBECONFIG, ~/.kube/config). It does not connect.
func Open(kubeconfig, context string) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if kubeconfig != "" {
		if _, err := os.Stat(kubeconfig); err != nil {
			return nil, fault.New(fault.NotFound, "kubeconfig_not_found", "the kubeconfig %s cannot be read", kubeconfig)
		}
		rules.ExplicitPath = kubeconfig
	}
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	raw, err := config.RawConfig()
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "kubeconfig_invalid", "the kubeconfig cannot be understood")
	}
	if _, there := raw.Contexts[context]; !there {
		names := make([]string, 0, len(raw.Contexts))
		for n := range raw.Contexts {
			names = append(names, n)
		}
		return nil, fault.New(fault.NotFound, "context_unknown", "the kubeconfig has no context %q", context).WithFound(context, strings.Join(names, ", "))
	}
	cfg, err := config.ClientConfig()
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "kubeconfig_invalid", "the context %q cannot be used", context)
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "kubeconfig_invalid", "the context %q cannot be used", context)
	}
	// The credentials are added to every request, to whatever host it goes.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Cluster{Context: context, host: strings.TrimSuffix(cfg.Host, "/"), client: client}, nil
}

// Resource is a kind of objects by its place in the API.
type Resource struct {
	// Group is empty for the core group.
	Group, Version, Plural string
}

func (r Resource) path(namespace, name string) string {
	p := "/apis/" + r.Group + "/" + r.Version
	if r.Group == "" {
		p = "/api/" + r.Version
	}
	if namespace != "" {
		p += "/namespaces/" + url.PathEscape(namespace)
	}
	p += "/" + r.Plural
	if name != "" {
		p += "/" + url.PathEscape(name)
	}
	return p
}

// List calls each with every page of a list; an empty namespace is all. ok is
// false when the API server has no such resource.
func (c *Cluster) List(ctx context.Context, r Resource, namespace, selector string, each func(page []byte) error) (ok bool, err error) {
	next := ""
	for {
		q := url.Values{"limit": {fmt.Sprint(pageSize)}}
		if selector != "" {
			q.Set("labelSelector", selector)
		}
		if next != "" {
			q.Set("continue", next)
		}
		body, status, err := c.do(ctx, http.MethodGet, r.path(namespace, "")+"?"+q.Encode(), "", nil)
		if status == http.StatusNotFound {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		var page struct {
			Metadata struct{ Continue string }
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return false, fault.Wrap(err, fault.Upstream, "answer_invalid", "%s answered something that is no list", c.host)
		}
		if err := each(body); err != nil {
			return false, err
		}
		if next = page.Metadata.Continue; next == "" {
			return true, nil
		}
	}
}

// Get reads one object. NotFound (object_not_found).
func (c *Cluster) Get(ctx context.Context, r Resource, namespace, name string) ([]byte, error) {
	body, _, err := c.do(ctx, http.MethodGet, r.path(namespace, name), "", nil)
	return body, err
}

// Patch applies a JSON merge patch. One with metadata.resourceVersion is Conflict
// (object_changed) when the object was changed meanwhile.
func (c *Cluster) Patch(ctx context.Context, r Resource, namespace, name string, patch any) ([]byte, error) {
	b, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	body, _, err := c.do(ctx, http.MethodPatch, r.path(namespace, name)+"?fieldManager=hawser-import", "application/merge-patch+json", b)
	return body, err
}

func (c *Cluster) do(ctx context.Context, method, path, contentType string, body []byte) (answer []byte, status int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, c.host+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		return nil, 0, fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the API server of context %q does not answer", c.Context)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, 0, fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the answer of the API server of context %q ended too early", c.Context)
	}
	if resp.StatusCode/100 == 2 {
		return answer, resp.StatusCode, nil
	}
	return nil, resp.StatusCode, c.refusal(method, path, resp.StatusCode, answer)
}

// refusal is the error that an API server answered.
func (c *Cluster) refusal(method, path string, status int, answer []byte) error {
	var s struct{ Message string }
	_ = json.Unmarshal(answer, &s) // a proxy may answer anything
	if s.Message == "" {
		s.Message = http.StatusText(status)
	}
	path, _, _ = strings.Cut(path, "?")
	kind, code := fault.Upstream, "cluster_refused"
	switch status {
	case http.StatusNotFound:
		kind, code = fault.NotFound, "object_not_found"
	case http.StatusConflict:
		kind, code = fault.Conflict, "object_changed"
	case http.StatusUnauthorized, http.StatusForbidden:
		kind, code = fault.Denied, "cluster_forbidden"
	}
	return fault.New(kind, code, "context %q refused %s %s: %s", c.Context, method, path, s.Message)
}
