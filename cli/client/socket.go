package client

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// Socket opens a WebSocket at path with a subprotocol. A hub that refuses says
// why, as a *fault.Error. The caller closes the connection.
func (c *Client) Socket(ctx context.Context, path, protocol string) (*websocket.Conn, error) {
	conn, resp, err := websocket.Dial(ctx, strings.TrimSuffix(c.hub.URL, "/")+"/api/v1"+path, &websocket.DialOptions{
		HTTPClient: c.http1(), Subprotocols: []string{protocol},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + c.token()}, "Accept": {"application/problem+json"}},
	})
	switch {
	case err == nil:
		return conn, nil
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is of it is enough
		return nil, answered(resp, body)
	}
	return nil, c.unreachable(ctx, err)
}

// http1 is a client that does not agree on HTTP/2, which has no WebSockets here.
func (c *Client) http1() *http.Client {
	t, ok := c.http.Transport.(*http.Transport)
	if !ok {
		return c.http
	}
	t = t.Clone()
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	return &http.Client{Transport: t}
}
