package sync

import "net/http"

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// intercept is client with a call before each request.
func intercept(client *http.Client, before func(*http.Request)) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		before(r)
		return client.Transport.RoundTrip(r)
	})}
}
