package render

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// run has a worker do a job and answers its questions. t is nil when nobody knows
// what the outcome depends on. An error that the inputs caused comes with its
// trace; that of a worker that did not get to an end is fleeting.
func (r *Renderer) run(ctx context.Context, a *answers, job *workerv1.RenderJob, options string) (out *rendered, t *trace, err error) {
	rec := newRecorder()
	answering, limit := newDeadline(ctx, r.opts.Deadline)
	defer limit.stop()
	var trouble error // what came instead of an answer
	started := time.Now()
	err = r.pool.Do(answering, 0, func(c *worker.Conn) error {
		limit.run()
		defer limit.stand()
		if err := c.Send(job); err != nil {
			return err
		}
		for range maxQuestions {
			var msg workerv1.RenderMessage
			if err := c.Receive(&msg); err != nil {
				return err
			}
			switch m := msg.GetMessage().(type) {
			case *workerv1.RenderMessage_Result:
				c.Finished()
				out = newRendered(m.Result)
				return nil
			case *workerv1.RenderMessage_Problem:
				err := worker.Fault(m.Problem)
				if !fault.HasCode(err, codePanic) {
					c.Finished() // a process whose tool panicked is not used again
				}
				return err
			case *workerv1.RenderMessage_Question:
				plugin := m.Question.GetPlugin() != nil
				if plugin {
					limit.stand()
				}
				answer, err := a.reply(answering, m.Question, rec)
				if plugin {
					limit.run()
				}
				if errors.Is(err, errQuestion) {
					return errQuestion
				}
				if err != nil {
					if trouble == nil {
						trouble = err
					}
					answer = &workerv1.Answer{Problem: worker.Problem(err)}
				}
				if err := c.Send(answer); err != nil {
					return err
				}
			default:
				return errQuestion
			}
		}
		return errQuestion
	})
	if err != nil && ctx.Err() == nil && answering.Err() != nil {
		err = context.Cause(answering) // whatever broke because of it
	}
	if took := time.Since(started); took > 5*time.Second {
		r.opts.Log.Warn("a render was slow", "application", a.req.AppName, "project", a.req.Project, "took", took)
	}
	spent := func(e *fault.Error) (*rendered, *trace, error) {
		t, terr := rec.finish(ctx, options, a, e)
		if terr != nil {
			return nil, nil, e
		}
		t.fleeting = true
		return nil, t, e
	}
	switch {
	case fault.HasCode(err, "worker_timeout"):
		return spent(fault.Wrap(err, fault.Unprocessable, "render_timeout", "rendering took longer than %s and was stopped", r.opts.Deadline))
	case fault.HasCode(err, "worker_cpu_exceeded"):
		return spent(fault.Wrap(err, fault.Unprocessable, "render_timeout", "rendering used more than %s of CPU time and was stopped", r.opts.CPULimit).
			WithFix("look for a loop without end or for templates that expand each other"))
	case ctx.Err() != nil && err != nil:
		return nil, nil, err
	case trouble != nil:
		// Whatever the worker made of it, an answer was missing.
		return nil, nil, trouble
	case fault.HasCode(err, "worker_crashed"):
		return spent(fault.Wrap(err, fault.Unprocessable, "render_crashed", "the render process ended unexpectedly; most likely the manifests need more than %d MiB of memory", r.opts.MemoryLimit>>20))
	case fault.HasCode(err, codePanic):
		// What an earlier render left behind in the process may be the cause.
		return spent(fault.As(err))
	case err != nil && !fixed(err):
		return nil, nil, err
	case a.unsure:
		return out, nil, err
	}
	t, terr := rec.finish(answering, options, a, err)
	if terr != nil {
		return nil, nil, terr
	}
	return out, t, err
}

// reply answers a question and records it. The error is errQuestion, or trouble
// that may pass.
func (a *answers) reply(ctx context.Context, q *workerv1.Question, rec *recorder) (*workerv1.Answer, error) {
	r, err := a.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := rec.add(q, r.id); err != nil {
		return nil, err
	}
	answer, err := r.answer(ctx)
	if err != nil && fixed(err) {
		// More went wrong than what identifies the answer can tell.
		a.unsure = true
		return &workerv1.Answer{Problem: worker.Problem(err)}, nil
	}
	return answer, err
}
