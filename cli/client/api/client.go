// Package api is the hub's API as Go functions: one for each operation, with the
// types that go in and out. api.gen.go is generated from the hub's table of
// routes (make gen); this file is what all of them have in common.
//
// It knows no TLS and no addresses: package client carries requests out, and
// speaks the streams, of which this package has only the paths.
package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Doer carries requests out; *client.Client is one. Call blocks until the answer
// has come; path is below /api/v1, out may be nil. It answers the headers of a
// good answer; errors are faults.
type Doer interface {
	Call(ctx context.Context, method, path string, header http.Header, in, out any) (http.Header, error)
}

// Client has the operations as its methods. It is safe for concurrent use when
// its Doer is.
type Client struct{ do Doer }

// New makes a client; it does not connect.
func New(do Doer) *Client { return &Client{do} }

// Option says something more of one request.
type Option func(*request)

type request struct {
	header http.Header
	etag   *string
}

// IdempotencyKey makes a command happen once however often it is sent.
func IdempotencyKey(key string) Option { return set("Idempotency-Key", key) }

// IfMatch writes only over the version with that ETag; "" is any.
func IfMatch(etag string) Option { return set("If-Match", etag) }

// MustBeNew writes only what is not there yet.
func MustBeNew() Option { return set("If-None-Match", "*") }

// ReadETag stores the version of the answer.
func ReadETag(into *string) Option { return func(r *request) { r.etag = into } }

func set(name, value string) Option {
	return func(r *request) {
		if value != "" {
			r.header.Set(name, value)
		}
	}
}

func (c *Client) call(ctx context.Context, method, path string, in, out any, options []Option) error {
	r := request{header: http.Header{}}
	for _, o := range options {
		o(&r)
	}
	header, err := c.do.Call(ctx, method, path, r.header, in, out)
	if err == nil && r.etag != nil {
		*r.etag = header.Get("ETag")
	}
	return err
}

// query collects the parameters that are given.
type query url.Values

func (v query) text(name, value string) {
	if value != "" {
		url.Values(v).Set(name, value)
	}
}

func (v query) texts(name string, values []string) {
	if len(values) > 0 {
		v[name] = values
	}
}

func (v query) number(name string, value *int64) {
	if value != nil {
		v.text(name, strconv.FormatInt(*value, 10))
	}
}

func (v query) flag(name string, value *bool) {
	if value != nil {
		v.text(name, strconv.FormatBool(*value))
	}
}

func (v query) duration(name string, value time.Duration) {
	if value != 0 {
		v.text(name, value.String())
	}
}

func (v query) time(name string, value time.Time) {
	if !value.IsZero() {
		v.text(name, value.Format(time.RFC3339))
	}
}

func (v query) encode() string {
	if len(v) == 0 {
		return ""
	}
	return "?" + url.Values(v).Encode()
}
