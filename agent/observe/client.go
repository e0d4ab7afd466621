package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// requestTimeout bounds requests that are not watches.
const requestTimeout = 60 * time.Second

// Media types. The API server answers objects without spec and status when
// asked for PartialObjectMetadata.
const (
	acceptFull     = "application/json"
	acceptMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	acceptMetaList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// statusError is an answer that is not 2xx, or an ERROR event of a watch.
type statusError struct {
	code       int
	reason     string
	message    string
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	if e.message == "" {
		return fmt.Sprintf("HTTP status %d", e.code)
	}
	return e.message
}

// parseStatus reads a Kubernetes Status document; anything else leaves the
// message empty.
func parseStatus(code int, body []byte) *statusError {
	e := &statusError{code: code}
	var s struct {
		Kind    string `json:"kind"`
		Code    int    `json:"code"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
		Details struct {
			RetryAfterSeconds int `json:"retryAfterSeconds"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &s) == nil && s.Kind == "Status" {
		e.reason, e.message = s.Reason, cut(s.Message, maxReason)
		if s.Code != 0 {
			e.code = s.Code
		}
		e.retryAfter = asked(s.Details.RetryAfterSeconds)
	}
	return e
}

// maxRetryAfter keeps a server, which may be one behind an aggregated API, from having
// a kind watched never again.
const maxRetryAfter = 5 * time.Minute

// asked is a pause that a server asks for, zero for one that is none.
func asked(seconds int) time.Duration {
	return time.Duration(min(max(seconds, 0), int(maxRetryAfter/time.Second))) * time.Second
}

// maxReason bounds what is told of an answer. Reasons come at the end, after the
// path of the failure.
const maxReason = 600

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// open sends a GET and returns the answer's body, which the caller closes, and
// its media type. Any status but 200 is a *statusError.
func (o *Observer) open(ctx context.Context, path string, query url.Values, accept string) (io.ReadCloser, string, error) {
	u := *o.base
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Accept", accept)
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, resp.Header.Get("Content-Type"), nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	e := parseStatus(resp.StatusCode, body)
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.retryAfter = asked(s)
	}
	return nil, "", e
}

// get reads a whole answer.
func (o *Observer) get(ctx context.Context, path string, query url.Values, accept string) (body []byte, mediaType string, err error) {
	if o.initErr != nil {
		return nil, "", o.initErr
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	rc, mediaType, err := o.open(ctx, path, query, accept)
	if err != nil {
		return nil, "", err
	}
	defer rc.Close()
	const limit = 256 << 20
	body, err = io.ReadAll(io.LimitReader(rc, limit+1))
	if err == nil && len(body) > limit {
		err = errFrameTooLarge
	}
	return body, mediaType, err
}
