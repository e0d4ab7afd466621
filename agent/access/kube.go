package access

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// maxBody is the largest object or list that is read into memory. etcd takes
// objects of 1.5 MB unless it was told otherwise.
const maxBody = 16 << 20

// pathOf is the path of an object, or of what is below it. Every part is a name
// that the cluster itself has told.
func pathOf(kind live.Kind, version string, key model.ObjectKey, below ...string) string {
	parts := []string{"apis", kind.Group, version}
	if kind.Group == "" {
		parts = []string{"api", version}
	}
	if kind.Namespaced {
		parts = append(parts, "namespaces", key.Namespace)
	}
	parts = append(parts, kind.Resource, key.Name)
	parts = append(parts, below...)
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/" + strings.Join(parts, "/")
}

// address is that of a path, which is escaped already, at the API server.
func (s *Server) address(path string, query url.Values) *url.URL {
	u := *s.base
	raw := strings.TrimSuffix(u.EscapedPath(), "/") + path
	u.Path, _ = url.PathUnescape(raw) // it was escaped here
	u.RawPath = raw
	u.RawQuery = query.Encode()
	return &u
}

// open sends a GET and returns the answer, whose body the caller closes. An
// answer that is no success is a fault.
func (s *Server) open(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	user, err := userOf(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address(path, query).String(), nil)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "access_failed", "the request to the cluster could not be made")
	}
	req.Header.Set("Accept", "application/json, */*")
	req.Header.Set("User-Agent", s.o.Config.UserAgent)
	if user != "" {
		req.Header.Set("Impersonate-User", user)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the cluster's API server does not answer its agent")
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what came says enough
	return nil, refusedAs(user, refused(resp.StatusCode, body))
}

// get reads a whole answer.
func (s *Server) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	resp, err := s.open(ctx, path, query)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fault.Wrap(err, fault.Unavailable, "cluster_unreachable", "the cluster's API server broke off its answer")
	case len(body) > maxBody:
		return nil, fault.New(fault.TooLarge, "object_too_large", "the cluster's answer is larger than %d MiB", maxBody>>20)
	}
	return body, nil
}

// refused is the fault of an answer of the API server, or of a kubelet behind
// it, that is no success.
func refused(status int, body []byte) error {
	var answer struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}
	said := ""
	if json.Unmarshal(body, &answer) == nil && answer.Kind == "Status" {
		said = answer.Message
	} else if len(body) < 1024 {
		said = strings.TrimSpace(string(body))
	}
	said = cut(said, 200)
	switch status {
	case http.StatusForbidden, http.StatusUnauthorized:
		return fault.New(fault.Denied, "access_forbidden", "the agent's account may not do that in its cluster: %s", said).
			WithFix("grant it, as docs/agent-rbac.yaml shows")
	case http.StatusNotFound:
		return fault.New(fault.NotFound, "object_gone", "the cluster says: %s", said)
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity:
		return fault.New(fault.Precondition, "cluster_refused", "the cluster says: %s", said)
	case http.StatusTooManyRequests:
		return fault.New(fault.RateLimited, "cluster_busy", "the cluster's API server has too much to do")
	}
	return fault.New(fault.Upstream, "cluster_failed", "the cluster answers %d: %s", status, said)
}

// errGone: an object was deleted, or replaced by another of its name, since it
// was observed.
func errGone(key model.ObjectKey) error {
	return fault.New(fault.NotFound, "object_gone", "%s has just been deleted or made anew; try again", key)
}
