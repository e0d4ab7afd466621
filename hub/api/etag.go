package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/shared/fault"
)

// This file holds ETags (RFC 9110, 8.8.3 and 13). One begins with the version of
// what people write, which is all that If-Match is compared with; of answers that
// also tell what was observed a digest of the answer follows, which
// If-None-Match is compared with too.

// etag is of answers that change with their version alone.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// ifMatch is the version that a write is meant to be over, 0 for any.
func ifMatch(c *gin.Context) (int64, error) {
	s := c.GetHeader("If-Match")
	if s == "" || s == "*" {
		return 0, nil
	}
	version, _, _ := strings.Cut(strings.Trim(strings.TrimPrefix(s, "W/"), `"`), ".")
	v, err := strconv.ParseInt(version, 10, 64)
	if err != nil || v < 1 {
		return 0, fault.New(fault.Invalid, "etag_invalid", "If-Match %q is not an ETag of this hub", cut(s)).WithField("If-Match")
	}
	return v, nil
}

// over is the version that a change is written over which keeps what it does not
// name: the one that this was read from, and that of If-Match.
func over(c *gin.Context, read int64) (int64, error) {
	asked, err := ifMatch(c)
	if err == nil && asked != 0 && asked != read {
		err = fault.New(fault.Conflict, "version_conflict", "it was changed meanwhile").WithFix("read it again and repeat the change")
	}
	return read, err
}

// onlyNew reports whether the caller asked for If-None-Match: *.
func onlyNew(c *gin.Context) bool { return c.GetHeader("If-None-Match") == "*" }

// unchanged reports whether the caller has the answer of this ETag already.
func unchanged(c *gin.Context, tag string) bool {
	for have := range strings.SplitSeq(c.GetHeader("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(have), "W/") == tag {
			return true
		}
	}
	return false
}

// answerTagged answers v with its ETag, or 304 to those who have it. The ETag
// depends on the whole answer: of v what was observed may change without the
// version.
func (a *api) answerTagged(c *gin.Context, version int64, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		a.fail(c, fault.Wrap(err, fault.Internal, "internal", "an answer cannot be written"))
		return
	}
	sum := sha256.Sum256(body)
	tag := `"` + strconv.FormatInt(version, 10) + "." + hex.EncodeToString(sum[:8]) + `"`
	c.Header("ETag", tag)
	if unchanged(c, tag) {
		c.Status(http.StatusNotModified)
		return
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", body)
}

// conditionsHeld refuses conditions that a route does not look at: who makes one
// relies on it.
func (a *api) conditionsHeld(c *gin.Context, r Route) bool {
	if r.Matched || r.Method == http.MethodGet {
		return true
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if c.GetHeader(name) != "" {
			a.fail(c, fault.New(fault.Invalid, "condition_unsupported", "%s is not looked at here, so nothing was done", name).WithField(name).
				WithFix("leave it out; the API's document says which writes take it"))
			return false
		}
	}
	return true
}
