// Package client speaks to a hub's API for the command line: pinned TLS, the
// bearer token, problem documents as faults, and the event stream.
//
// It knows no command and prints nothing.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Hub is where and as whom to speak.
type Hub struct {
	// URL as in "https://hub.example.com:8443".
	URL string
	// CAHash pins the hub's own CA ("sha256:…"); empty trusts the system's
	// certificate authorities.
	CAHash string
	Token  string
}

// Client calls one hub. It is safe for concurrent use.
type Client struct {
	hub  Hub
	http *http.Client
	// trace is where requests are told about; nil: nowhere.
	trace   io.Writer
	headers bool
	renewal
}

// New makes a client; it does not connect.
func New(hub Hub) (*Client, error) {
	u, err := url.Parse(hub.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fault.New(fault.Invalid, "hub_url_invalid", "%q is not the address of a hub", hub.URL).
			WithFix("write https://HOST:PORT or HOST:PORT")
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if hub.CAHash != "" {
		// The pin replaces the system's authorities: the chain must lead to the
		// CA with this hash, and the leaf must be for this host.
		tlsConfig.InsecureSkipVerify = true
		tlsConfig.VerifyConnection = func(cs tls.ConnectionState) error { return verifyPinned(cs, u, hub.CAHash) }
	}
	return &Client{hub: hub, http: &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       tlsConfig,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}}}, nil
}

// Get fetches path (below /api/v1) into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.Do(ctx, http.MethodGet, path, nil, out)
}

// Do sends in as JSON (raw bytes are sent as YAML) and decodes the answer into
// out, either of which may be nil. Answers that are problems become *fault.Error.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	return c.DoWith(ctx, method, path, nil, in, out)
}

// DoWith is Do with further request headers.
func (c *Client) DoWith(ctx context.Context, method, path string, header http.Header, in, out any) error {
	_, err := c.Call(ctx, method, path, header, in, out)
	return err
}

// Call is DoWith that answers the headers of a good answer.
func (c *Client) Call(ctx context.Context, method, path string, header http.Header, in, out any) (http.Header, error) {
	ask := func() (*http.Response, []byte, string, error) {
		req, err := c.request(ctx, method, path, in)
		if err != nil {
			return nil, nil, "", err
		}
		for k, v := range header {
			req.Header[k] = v
		}
		with := req.Header.Get("Authorization")
		resp, err := c.send(req)
		if err != nil {
			return nil, nil, "", c.unreachable(ctx, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
		if err != nil {
			return nil, nil, "", c.unreachable(ctx, err)
		}
		if resp.StatusCode/100 != 2 {
			err = answered(resp, body)
		}
		return resp, body, with, err
	}
	resp, body, with, err := ask()
	if fault.HasCode(err, "login_confirmation_needed") {
		if err = c.renew(ctx, with, err); err == nil {
			resp, body, _, err = ask()
		}
	}
	if err != nil {
		return nil, err
	}
	if out == nil || len(body) == 0 {
		return resp.Header, nil
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = body
		return resp.Header, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "answer_invalid", "%s answered something that is not a hub's answer", c.hub.URL).
			WithFix("check that this is the address of a Hawser hub")
	}
	return resp.Header, nil
}

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var (
		body        io.Reader
		contentType string
	)
	switch v := in.(type) {
	case nil:
	case []byte:
		body, contentType = bytes.NewReader(v), "application/yaml"
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		body, contentType = bytes.NewReader(b), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.hub.URL, "/")+"/api/v1"+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	if token := c.token(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e := distrust(err, c.hub); e != nil {
		return e
	}
	return fault.Wrap(err, fault.Unavailable, "hub_unreachable", "the hub %s does not answer", c.hub.URL).
		WithFix("check the address and the network between here and there")
}
