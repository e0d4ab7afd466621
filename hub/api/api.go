package api

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry/probe"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

type api struct {
	opts  Options
	store Store
	log   *slog.Logger
	now   func() time.Time
	// meters count what people look at.
	meters *meters
	// redactionKey makes values of Secrets comparable in one answer, and not with
	// what another hub or another start of this one said.
	redactionKey []byte
	sets         sets
	routes       map[string]Route // by method and path, as gin has them
	clusterSets  clusterSets
	callClusters callClusters
	previewing   previewing
	hearing      hearing
}

var otherVersion = regexp.MustCompile(`^/api/v([02-9]|[1-9][0-9]+)[0-9a-z]*\b`)

// New returns the handler of everything that people and programs call. The
// caller serves it, and ends open event streams by ending the requests' base
// context.
func New(o Options) *Handler {
	a, e := newEngine(o)
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := newRequestID(r)
		w.Header().Set("X-Request-Id", id)
		securityHeaders(w.Header())
		a.foreign(r, id)
		writeProblem(w, newProblem(fault.New(fault.Denied, "cross_origin_blocked", "requests that change something are not taken from other origins"), id))
	}))
	return &Handler{Handler: undivided(guard.Handler(a.withOutside(e))), api: a, engine: e}
}

// undivided ends a connection of HTTP/1 with the answer to a request whose body came in
// pieces. One that had a length as well, of which net/http tells nothing, may have been
// shorter or longer to whoever passed it on: what follows it is nobody's for sure
// (RFC 9112, section 6.1).
func undivided(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Handler serves the API, and takes the commands of jobs.
type Handler struct {
	http.Handler
	api    *api
	engine *gin.Engine
}

// newEngine is the handler before requests of other origins are refused.
func newEngine(o Options) (*api, *gin.Engine) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	if o.Audit == nil {
		o.Audit = unaudited{}
	}
	o.Tracer = tracing.Or(o.Tracer)
	if o.Heartbeat <= 0 {
		o.Heartbeat = 15 * time.Second
	}
	o.Publisher = acknowledging{o.Publisher, o.Inventory}
	p := &policies{from: o.Policies, now: o.Now, log: o.Log}
	o.Publisher = watchful{o.Publisher, p}
	a := &api{sets: sets{policies: p}, opts: o, store: o.Store, log: o.Log, now: o.Now, meters: newMeters(o.AccessLimits), routes: map[string]Route{}, redactionKey: make([]byte, 32)}
	_, _ = rand.Read(a.redactionKey) // never fails

	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash, e.RedirectFixedPath = false, false
	e.ForwardedByClientIP = false
	_ = e.SetTrustedProxies(nil) // nil is always valid
	e.Use(setRequestID, func(c *gin.Context) { securityHeaders(c.Writer.Header()) }, compressed, a.observed, a.traced, a.logged, a.audited, a.recovered)
	e.NoRoute(func(c *gin.Context) {
		if o.Console != nil && o.Console.Serves(c.Request) {
			c.Status(http.StatusOK) // where no route is gin begins with 404
			o.Console.ServeHTTP(c.Writer, c.Request)
			return
		}
		if v := otherVersion.FindString(c.Request.URL.Path); v != "" {
			a.fail(c, fault.New(fault.NotFound, "api_version_unknown", "this hub serves v1").WithFound(cut(strings.TrimPrefix(v, "/api/")), "v1"))
			return
		}
		a.fail(c, fault.New(fault.NotFound, "route_unknown", "there is no %q; this hub serves /api/v1", cut(c.Request.URL.Path)))
	})
	e.NoMethod(func(c *gin.Context) {
		a.fail(c, fault.New(fault.Invalid, "method_not_allowed", "%q is not possible here; allowed: %s", cut(c.Request.Method), c.Writer.Header().Get("Allow")).
			WithFound(cut(c.Request.Method), c.Writer.Header().Get("Allow")))
	})

	e.GET("/livez", func(c *gin.Context) { c.JSON(http.StatusOK, healthy{true}) })
	e.GET("/readyz", a.ready)
	if o.Webhook != nil {
		e.POST("/api/webhook", gin.WrapH(o.Webhook))
	}
	a.documentation(e)
	a.pages(e)
	a.firstLogin(e)
	a.register(e.Group("/api/v1"), e.Group("/api/v1", a.authenticated))
	return a, e
}

// healthy is the answer of the health endpoints.
type healthy struct {
	OK bool `json:"ok"`
}

// ready asks every part that the hub needs to serve. Which are not well is said to
// everybody, why is for the log.
func (a *api) ready(c *gin.Context) {
	checks := a.opts.Checks
	if checks == nil {
		checks = []probe.Check{{Name: "database", Required: true, Ask: a.opts.Ready}}
	}
	res := probe.Run(c.Request.Context(), checks...)
	if !res.OK {
		a.log.WarnContext(c.Request.Context(), "not ready", "parts", strings.TrimSpace(res.Text()))
	}
	probe.Write(c.Writer, c.Request, res)
}

// list is the envelope of lists.
type list[T any] struct {
	Items      []T       `json:"items"`
	NextCursor string    `json:"nextCursor,omitempty"`
	Total      int       `json:"total"`
	AsOf       time.Time `json:"asOf"`
}

func newList[T any](a *api, items []T) list[T] {
	if items == nil {
		items = []T{}
	}
	return list[T]{Items: items, Total: len(items), AsOf: a.now().UTC()}
}
