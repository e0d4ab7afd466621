package api

import (
	"compress/gzip"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
)

// leastCompressed is the size below which an answer is sent as it is: it fits
// into one packet anyway.
const leastCompressed = 1024

var gzips = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a good one
	return w
}}

// compressed sends documents as gzip to who takes it. Streams are sent as they
// come: their types are not among those that are compressed.
func compressed(c *gin.Context) {
	if !takesGzip(c.GetHeader("Accept-Encoding")) {
		c.Next()
		return
	}
	w := &gzipping{ResponseWriter: c.Writer}
	c.Writer = w
	defer w.close()
	c.Next()
}

// takesGzip reads Accept-Encoding (RFC 9110, 12.5.3).
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		if name = strings.TrimSpace(name); name != "*" && !strings.EqualFold(name, "gzip") {
			continue
		}
		q := strings.ReplaceAll(strings.ToLower(parameters), " ", "")
		return q != "q=0" && !strings.HasPrefix(q, "q=0.000") && q != "q=0.0" && q != "q=0.00"
	}
	return false
}

// gzipping decides at the first write whether the answer is compressed.
type gzipping struct {
	gin.ResponseWriter
	decided bool
	out     *gzip.Writer // nil: as it is
}

func (w *gzipping) Write(b []byte) (int, error) {
	if !w.decided {
		w.decided = true
		w.begin(len(b))
	}
	if w.out != nil {
		return w.out.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (w *gzipping) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// begin looks at what is answered; handlers write documents at once.
func (w *gzipping) begin(size int) {
	h := w.Header()
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	switch media {
	case "application/json", "application/problem+json", "application/yaml", "text/html", "text/css":
	default:
		return
	}
	h.Add("Vary", "Accept-Encoding")
	status := w.Status()
	if size < leastCompressed || w.Written() || h.Get("Content-Encoding") != "" || status == http.StatusNoContent || status == http.StatusNotModified {
		return
	}
	h.Set("Content-Encoding", "gzip")
	h.Del("Content-Length")
	w.out = gzips.Get().(*gzip.Writer)
	w.out.Reset(w.ResponseWriter)
}

func (w *gzipping) close() {
	if w.out != nil {
		_ = w.out.Close() // the client may be gone
		w.out.Reset(nil)
		gzips.Put(w.out)
		w.out = nil
	}
}

// Unwrap lets http.ResponseController find the connection.
func (w *gzipping) Unwrap() http.ResponseWriter { return w.ResponseWriter }
