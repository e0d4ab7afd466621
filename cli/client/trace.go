package client

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Trace tells w about every request from now on, with headers if they are
// wanted. What proves who one is and what is said in bodies is never told.
func (c *Client) Trace(w io.Writer, headers bool) { c.trace, c.headers = w, headers }

// secretHeaders are told by their length only.
var secretHeaders = []string{"Authorization", "Cookie", "Set-Cookie", "Proxy-Authorization"}

func (c *Client) send(req *http.Request) (*http.Response, error) {
	if c.trace == nil {
		return c.http.Do(req)
	}
	start := time.Now()
	if c.headers {
		c.traceHeaders("> ", req.Header)
	}
	resp, err := c.http.Do(req)
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		fmt.Fprintf(c.trace, "debug: %s %s: no answer after %s: %s\n", req.Method, req.URL, took, err)
		return nil, err
	}
	fmt.Fprintf(c.trace, "debug: %s %s: %d after %s, request %s\n", req.Method, req.URL, resp.StatusCode, took, resp.Header.Get("X-Request-Id"))
	if c.headers {
		c.traceHeaders("< ", resp.Header)
	}
	return resp, nil
}

func (c *Client) traceHeaders(mark string, h http.Header) {
	for _, k := range slices.Sorted(maps.Keys(h)) {
		v := strings.Join(h[k], ", ")
		if slices.Contains(secretHeaders, http.CanonicalHeaderKey(k)) {
			v = fmt.Sprintf("(%d characters, not shown)", len(v))
		}
		fmt.Fprintf(c.trace, "debug: %s%s: %q\n", mark, k, v)
	}
}
