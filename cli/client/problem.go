package client

import (
	"cmp"
	"encoding/json"
	"net/http"

	"github.com/hawser-dev/hawser/shared/fault"
)

// problemDocument is RFC 9457 with this hub's members.
type problemDocument struct {
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Kind      fault.Kind        `json:"kind"`
	Code      string            `json:"code"`
	Detail    string            `json:"detail"`
	Field     string            `json:"field"`
	Found     string            `json:"found"`
	Allowed   string            `json:"allowed"`
	Fix       string            `json:"fix"`
	RequestID string            `json:"requestId"`
	Errors    []problemDocument `json:"errors"`
	Explain   json.RawMessage   `json:"explain"`
}

// answered is the error of an answer that is no success.
func answered(resp *http.Response, body []byte) error { return Problem(body, resp.StatusCode) }

// Problem is the error that a problem document tells: a *fault.Error, or a
// fault.List when there are several. status is of the answer that it came with.
func Problem(document []byte, status int) error {
	var p problemDocument
	if err := json.Unmarshal(document, &p); err != nil || p.Detail == "" {
		return fault.New(kindOf(status), "answer_invalid", "the hub answered %d (%s) without an explanation", status, http.StatusText(status))
	}
	p.Status = status
	if len(p.Errors) > 1 {
		var list fault.List
		for _, e := range p.Errors {
			e.Status, e.Kind = p.Status, p.Kind
			list = append(list, e.fault())
		}
		list[0].Explain = p.fault().Explain // it is about all of them
		return list
	}
	return p.fault()
}

func (p problemDocument) fault() *fault.Error {
	e := &fault.Error{
		Kind: p.Kind, Code: cmp.Or(p.Code, "answer_invalid"), Message: cmp.Or(p.Detail, "the hub does not say what is wrong"),
		Field: p.Field, Found: p.Found, Allowed: p.Allowed, Fix: p.Fix,
	}
	// One that is newer may know others, and a command must not succeed for that.
	if e.Kind.ExitCode() == 0 {
		e.Kind = kindOf(p.Status)
	}
	if len(p.Explain) > 0 {
		e.Explain = p.Explain
	}
	return e
}

func kindOf(status int) fault.Kind {
	switch status {
	case http.StatusUnauthorized:
		return fault.Unauthorized
	case http.StatusForbidden:
		return fault.Denied
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return fault.Precondition
	case http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case http.StatusTooManyRequests:
		return fault.RateLimited
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return fault.Unavailable
	}
	if status >= 500 {
		return fault.Internal
	}
	return fault.Invalid
}
