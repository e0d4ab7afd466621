package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// Requests keeps answers under idempotency keys. Its methods block for a round
// trip; errors are faults.
type Requests interface {
	// ClaimRequest takes a key; claimed is false when it has a record.
	ClaimRequest(ctx context.Context, r fleet.RequestRecord) (old fleet.RequestRecord, claimed bool, err error)
	AnswerRequest(ctx context.Context, r fleet.RequestRecord) error
	ReleaseRequest(ctx context.Context, caller, key string) error
}

// once carries a command out once for each key, and gives its answer again when
// it is asked for again. A command that was refused may be tried again with the
// same key.
func (a *api) once(c *gin.Context, r Route) {
	key, err := idempotencyKey(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	if key == "" || a.opts.Requests == nil {
		r.handler(a, c)
		return
	}
	body, err := a.body(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	key = c.GetHeader("Idempotency-Key")
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	ctx, caller := c.Request.Context(), identity(c).ID
	record := fleet.RequestRecord{Caller: caller, Key: key, Digest: digestOf(c.Request.Method, c.Request.URL.RequestURI(), body)}
	old, claimed, err := a.opts.Requests.ClaimRequest(ctx, record)
	if err == nil && !claimed {
		err = fleet.DecideRequest(old, record.Digest)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	if !claimed {
		c.Header("Idempotency-Replayed", "true")
		c.Data(old.Status, "application/json; charset=utf-8", old.Answer)
		return
	}
	answered := false
	// What is recorded must be, whether or not the client waits for it.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	defer func() { // also after a panic
		if !answered {
			if err := a.opts.Requests.ReleaseRequest(finish, caller, key); err != nil {
				a.log.WarnContext(finish, "an idempotency key is not given back", "error", err)
			}
		}
	}()
	w := &copying{ResponseWriter: c.Writer}
	c.Writer = w
	r.handler(a, c)
	if status := w.Status(); status/100 == 2 {
		answered = true
		record.Status, record.Answer = status, w.copy.Bytes()
		if err := a.opts.Requests.AnswerRequest(finish, record); err != nil {
			a.log.WarnContext(finish, "an answer is not kept under its idempotency key", "error", err)
		}
	}
}

// digestOf is what a request asks for.
func digestOf(method, target string, body []byte) []byte {
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(method), []byte(target), body} {
		_, _ = sum.Write(part) // never fails
		_, _ = sum.Write([]byte{0})
	}
	return sum.Sum(nil)
}

// copying keeps a copy of an answer.
type copying struct {
	gin.ResponseWriter
	copy bytes.Buffer
}

func (w *copying) Write(b []byte) (int, error) {
	w.copy.Write(b)
	return w.ResponseWriter.Write(b)
}

func (w *copying) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Unwrap lets http.ResponseController find the connection.
func (w *copying) Unwrap() http.ResponseWriter { return w.ResponseWriter }
