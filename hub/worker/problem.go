package worker

import (
	"errors"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// maxCause bounds the text of a cause on the pipe.
const maxCause = 2000

// Problem packs err, which is a fault.Error, a fault.List or a bug of ours.
func Problem(err error) *workerv1.Problem {
	var list fault.List
	if errors.As(err, &list) && len(list) > 0 {
		p := problem(list[0])
		for _, e := range list[1:min(len(list), 20)] {
			p.More = append(p.More, problem(e))
		}
		return p
	}
	return problem(fault.As(err))
}

func problem(e *fault.Error) *workerv1.Problem {
	p := &workerv1.Problem{
		Kind: string(e.Kind), Code: e.Code, Message: e.Message, Field: e.Field,
		Found: e.Found, Allowed: e.Allowed, Fix: e.Fix,
	}
	if e.Cause != nil {
		p.Cause = e.Cause.Error()
		p.Cause = p.Cause[:min(len(p.Cause), maxCause)]
	}
	return p
}

// Fault unpacks a problem. A kind that the hub does not know, which only a
// broken worker sends, becomes Internal.
func Fault(p *workerv1.Problem) error {
	first := unpack(p)
	if len(p.GetMore()) == 0 {
		return first
	}
	list := fault.List{first}
	for _, m := range p.GetMore() {
		list = append(list, unpack(m))
	}
	return list
}

func unpack(p *workerv1.Problem) *fault.Error {
	kind := fault.Kind(p.GetKind())
	if kind.HTTPStatus() == 0 {
		kind = fault.Internal
	}
	e := &fault.Error{
		Kind: kind, Code: p.GetCode(), Message: p.GetMessage(), Field: p.GetField(),
		Found: p.GetFound(), Allowed: p.GetAllowed(), Fix: p.GetFix(),
	}
	if p.GetCause() != "" {
		e.Cause = errors.New(p.GetCause())
	}
	return e
}
