package api

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

const (
	keyRequestID = "requestID"
	keyIdentity  = "identity"
	maxBody      = decode.MaxBytes
	drainedBody  = 32 << 20 // read of a body that is too large, so that its sender hears so
)

var goodRequestID = regexp.MustCompile(`^[A-Za-z0-9_-]{8,64}$`)

func requestID(c *gin.Context) string { return c.GetString(keyRequestID) }

// identity is the caller; only behind authenticated.
func identity(c *gin.Context) fleet.APIToken {
	t, _ := c.MustGet(keyIdentity).(fleet.APIToken)
	return t
}

// address is that of the connection: headers can be forged.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// newRequestID is the caller's own id when it has a good form, else a new one.
func newRequestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if !goodRequestID.MatchString(id) {
		var b [12]byte
		_, _ = rand.Read(b[:]) // never fails
		id = hex.EncodeToString(b[:])
	}
	return id
}

func setRequestID(c *gin.Context) {
	id := newRequestID(c.Request)
	c.Set(keyRequestID, id)
	ctx := tracing.WithRequest(c.Request.Context(), id) // all lines about it have it
	c.Request = c.Request.WithContext(fleet.WithAsker(ctx, fleet.Asker{Address: address(c.Request), Client: c.Request.UserAgent()}))
	c.Header("X-Request-Id", id)
}

func securityHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// logged writes one line per request, without bodies and query values.
func (a *api) logged(c *gin.Context) {
	start := a.now()
	c.Next()
	status := c.Writer.Status()
	level := slog.LevelDebug
	if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
		level = slog.LevelInfo
	}
	attrs := []any{
		"method", c.Request.Method, "route", c.FullPath(), "status", status,
		"ms", a.now().Sub(start).Milliseconds(), "from", address(c.Request),
	}
	if key, value := meant(c); key != "" {
		attrs = append(attrs, key, value)
	}
	if t, ok := c.Get(keyIdentity); ok {
		attrs = append(attrs, "by", t.(fleet.APIToken).Name)
	}
	if last := c.Errors.Last(); last != nil {
		attrs = append(attrs, "error", fleet.MaskURLs(last.Err.Error()))
		if status >= 500 {
			level = slog.LevelError
		}
	}
	a.log.Log(c.Request.Context(), level, "request", attrs...)
}

// meantKeys are what the log calls the things that routes name.
var meantKeys = map[string]string{"applications": "application", "projects": "project", "clusters": "cluster_name", "operations": "operation"}

// meant is the thing that the path of a request names, as key and value of its line.
func meant(c *gin.Context) (key, value string) {
	words := strings.Split(c.FullPath(), "/")
	for i, word := range words[1:] {
		if key := meantKeys[words[i]]; key != "" && (word == ":name" || word == ":id") {
			return key, cut(c.Param(word[1:]))
		}
	}
	return "", ""
}

// recovered turns a panic into a problem document.
func (a *api) recovered(c *gin.Context) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if r == http.ErrAbortHandler { //nolint:errorlint // the value that net/http documents
			panic(r)
		}
		a.log.ErrorContext(c.Request.Context(), "panic in a request", "panic", fmt.Sprint(r),
			"route", c.FullPath(), "stack", string(debug.Stack()))
		if !c.Writer.Written() {
			a.fail(c, fault.New(fault.Internal, "internal", "internal error"))
		}
		c.Abort()
	}()
	c.Next()
}

// authenticated lets callers with a valid API token or session pass.
func (a *api) authenticated(c *gin.Context) {
	a.sets.policies.refresh(c.Request.Context())
	if t, ok := c.Request.Context().Value(inProcess{}).(fleet.APIToken); ok {
		c.Set(keyIdentity, t) // an item of a job, whose caller was looked up
		c.Next()
		return
	}
	if err := ownPage(c.Request, a.routes[c.Request.Method+" "+c.FullPath()]); err != nil {
		a.log.InfoContext(c.Request.Context(), "a page of another origin was refused", "route", c.FullPath(), "origin", cut(c.GetHeader("Origin")), "from", address(c.Request))
		a.fail(c, err)
		return
	}
	t, err := a.opts.Auth.Authenticate(c.Request.Context(), address(c.Request), secretOf(c.Request))
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Set(keyIdentity, t)
	c.Next()
}

// inProcess is the key of the caller in the context of a request that the hub
// makes of itself. No request from outside has one.
type inProcess struct{}

// secretOf is the token or the secret of a session that a request comes with. The
// cookie of a browser counts only where the browser does not say that another site
// is asking: the writes of such are refused before, and its reads are nobody's.
func secretOf(r *http.Request) string {
	if len(r.Header.Values("Authorization")) > 1 {
		return "" // which of them counts is not to be the reader's choice
	}
	if r.Header.Get("Authorization") != "" {
		return bearer(r)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "" && site != "same-origin" && site != "none" {
		return ""
	}
	if cookie, err := r.Cookie(cookieName); err == nil {
		return cookie.Value
	}
	return ""
}

// ownPage refuses a stream that a page of another origin asks for: browsers let any
// page open a WebSocket, and follow events, with the cookies of the user. A cookie
// counts for a stream only where the browser says that the page is the hub's.
func ownPage(r *http.Request, route Route) error {
	if route.Stream == NoStream || route.Method != http.MethodGet { // other methods: New refuses them
		return nil
	}
	origins, site := r.Header.Values("Origin"), r.Header.Get("Sec-Fetch-Site")
	foreign := len(origins) > 1 || site != "" && site != "same-origin" && site != "none"
	if len(origins) == 1 {
		u, err := url.Parse(origins[0])
		foreign = foreign || err != nil || u.Scheme != "https" && u.Scheme != "http" || !strings.EqualFold(u.Host, r.Host)
	}
	if len(origins) == 0 && site == "" && r.Header.Get("Authorization") == "" {
		_, err := r.Cookie(cookieName)
		foreign = foreign || err == nil
	}
	if foreign {
		return fault.New(fault.Denied, "origin_denied", "pages of another origin may not follow what happens here, or run commands").WithFound(cut(strings.Join(origins, ", ")), r.Host)
	}
	return nil
}

// simpleTypes are what a page of any site can have a browser send without asking
// the hub first. No route takes them, whether it reads its body or not.
var simpleTypes = map[string]bool{"text/plain": true, "application/x-www-form-urlencoded": true, "multipart/form-data": true}

// typed refuses writes with a body of a type that forms have, or of none.
func (a *api) typed(c *gin.Context) bool {
	r := c.Request
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	given := r.Header.Values("Content-Type")
	media := ""
	if len(given) > 0 {
		media, _, _ = strings.Cut(given[0], ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	switch {
	case len(given) > 1, simpleTypes[media], media == "" && (len(given) > 0 || r.ContentLength != 0):
		a.fail(c, fault.New(fault.Invalid, "unsupported_media_type", "content type %q is not taken; send application/json or application/yaml", cut(strings.Join(given, ", "))).
			WithFound(cut(strings.Join(given, ", ")), "application/json, application/yaml"))
		return false
	}
	return true
}

func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

var bodyTypes = map[string]bool{
	"application/json": true, "application/yaml": true, "application/x-yaml": true, "text/yaml": true, "text/x-yaml": true,
}

// body reads a request's body. It is empty when there is none; the content type
// is checked only when there is one.
func (a *api) body(c *gin.Context) ([]byte, error) {
	r := c.Request
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, fault.New(fault.Invalid, "unsupported_media_type", "bodies in the encoding %q are not taken; send it as it is", cut(enc))
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "body_incomplete", "the request's body ended too early")
	}
	if len(b) > maxBody {
		// Who is still sending reads no answer: a connection that is closed meanwhile is
		// all he would hear of.
		_, _ = io.CopyN(io.Discard, r.Body, drainedBody)
		size := "larger than 4 MiB"
		if r.ContentLength > 0 {
			size = fmt.Sprintf("%d bytes", r.ContentLength)
		}
		return nil, fault.New(fault.TooLarge, "body_too_large", "the request is %s; the limit is %d bytes (4 MiB)", size, maxBody)
	}
	if len(b) == 0 {
		return nil, nil
	}
	trailOf(c).body = b
	given := r.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(given)
	if err != nil || !bodyTypes[media] || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, fault.New(fault.Invalid, "unsupported_media_type", "content type %q is not taken; send application/json or application/yaml", cut(given)).
			WithFound(cut(given), "application/json, application/yaml")
	}
	return b, nil
}

// into decodes a request's body strictly. optional allows an empty one.
func (a *api) into(c *gin.Context, v any, optional bool) error {
	b, err := a.body(c)
	if err != nil || len(b) == 0 && optional {
		return err
	}
	return decode.Into(b, v)
}

func cut(s string) string {
	if len(s) > 100 {
		return s[:97] + "..."
	}
	return s
}
