package api

import (
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Observer counts. Its methods must not block.
type Observer interface {
	// Request was answered. route is the pattern of its route, "" when there is
	// none. Streams are not told: they last as long as somebody listens.
	Request(method, route string, status int, took time.Duration)
	// Denied: a request was refused as not logged in or not permitted.
	Denied(code string)
	// StreamOpened, StreamClosed and StreamReset are of the event stream; a reset
	// is a listener that has missed events.
	StreamOpened()
	StreamClosed()
	StreamReset()
}

type unobserved struct{}

func (unobserved) Request(string, string, int, time.Duration) {}
func (unobserved) Denied(string)                              {}
func (unobserved) StreamOpened()                              {}
func (unobserved) StreamClosed()                              {}
func (unobserved) StreamReset()                               {}

// observed measures each request.
func (a *api) observed(c *gin.Context) {
	start := time.Now()
	c.Next()
	if last := c.Errors.Last(); last != nil {
		if e := fault.As(last.Err); e.Kind == fault.Denied || e.Kind == fault.Unauthorized {
			a.opts.Observer.Denied(e.Code)
		}
	}
	if streams(c) {
		return
	}
	a.opts.Observer.Request(c.Request.Method, c.FullPath(), c.Writer.Status(), time.Since(start))
}

// keyStream is set by what answers a stream, once it does: the same route may
// refuse at once.
const keyStream = "stream"

func streams(c *gin.Context) bool {
	return c.GetBool(keyStream) || strings.EqualFold(c.GetHeader("Upgrade"), "websocket")
}
