package api

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/shared/fault"
)

type api struct {
	opts  Options
	store Store
	log   *slog.Logger
	now   func() time.Time
	// meters count what people look at.
	meters *meters
}

var otherVersion = regexp.MustCompile(`^/api/v([02-9]|[1-9][0-9]+)[0-9a-z]*\b`)

// New returns the handler of everything that people and programs call. The
// caller serves it, and ends open event streams by ending the requests' base
// context.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 15 * time.Second
	}
	a := &api{opts: o, store: o.Store, log: o.Log, now: o.Now, meters: newMeters(o.AccessLimits)}

	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash, e.RedirectFixedPath = false, false
	e.ForwardedByClientIP = false
	_ = e.SetTrustedProxies(nil) // nil is always valid
	e.Use(setRequestID, func(c *gin.Context) { securityHeaders(c.Writer.Header()) }, a.logged, a.recovered)
	e.NoRoute(func(c *gin.Context) {
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

	e.GET("/livez", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"ok": true}) })
	e.GET("/readyz", a.ready)
	if o.Webhook != nil {
		e.POST("/api/webhook", gin.WrapH(o.Webhook))
	}
	e.POST("/api/v1/login", a.login)
	a.routes(e.Group("/api/v1", a.authenticated))

	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := newRequestID(r)
		w.Header().Set("X-Request-Id", id)
		securityHeaders(w.Header())
		writeProblem(w, newProblem(fault.New(fault.Denied, "cross_origin_blocked", "requests that change something are not taken from other origins"), id))
	}))
	return guard.Handler(e)
}

// routes are those behind a valid token.
func (a *api) routes(g *gin.RouterGroup) {
	g.GET("/whoami", a.whoami)
	g.GET("/version", a.version)
	g.GET("/hub", a.hub)
	g.POST("/hub/acknowledge-restore", a.acknowledgeRestore)

	g.GET("/tokens", a.listTokens)
	g.POST("/tokens", a.createToken)
	g.DELETE("/tokens/:id", a.deleteToken)

	g.GET("/enrolment-tokens", a.listEnrolmentTokens)
	g.POST("/enrolment-tokens", a.createEnrolmentToken)
	g.DELETE("/enrolment-tokens/:id", a.deleteEnrolmentToken)

	g.GET("/clusters", a.listClusters)
	g.GET("/clusters/:name", a.getCluster)
	g.DELETE("/clusters/:name", a.deleteCluster)
	g.PUT("/clusters/:name/labels", a.setClusterLabels)
	g.PUT("/clusters/:name/aliases", a.setClusterAliases)
	g.POST("/clusters/:name/revoke", a.revokeCluster)

	g.GET("/projects", a.listProjects)
	g.POST("/projects", a.putProject)
	g.GET("/projects/:name", a.getProject)
	g.PUT("/projects/:name", a.putProject)
	g.DELETE("/projects/:name", a.deleteProject)

	g.GET("/repositories", a.listRepositories)
	g.POST("/repositories", a.addRepository)
	g.POST("/repositories/test", a.testRepository)
	g.GET("/repositories/:id", a.getRepository)
	g.PATCH("/repositories/:id", a.changeRepository)
	g.DELETE("/repositories/:id", a.deleteRepository)

	g.GET("/repository-templates", a.listTemplates)
	g.POST("/repository-templates", a.addTemplate)
	g.GET("/repository-templates/:id", a.getTemplate)
	g.PATCH("/repository-templates/:id", a.changeTemplate)
	g.DELETE("/repository-templates/:id", a.deleteTemplate)

	g.GET("/applications", a.listApplications)
	g.POST("/applications", a.putApplication)
	g.GET("/applications/:name", a.getApplication)
	g.PUT("/applications/:name", a.putApplication)
	g.DELETE("/applications/:name", a.deleteApplication)
	g.POST("/applications/:name/sync", a.syncApplication)
	g.POST("/applications/:name/rollback", a.rollbackApplication)
	g.DELETE("/applications/:name/pin", a.unpinApplication)
	g.POST("/applications/:name/confirm-deletion", a.confirmDeletion)
	g.GET("/applications/:name/resource-actions", a.listActions)
	g.POST("/applications/:name/actions", a.runAction)
	g.POST("/applications/:name/refresh", a.refreshApplication)
	g.POST("/applications/:name/terminate", a.terminateApplication)
	g.GET("/applications/:name/operations", a.listApplicationOperations)
	g.GET("/applications/:name/tree", a.getTree)
	g.GET("/applications/:name/resource", a.getResource)
	g.GET("/applications/:name/events", a.resourceEvents)
	g.GET("/applications/:name/logs", a.logs)
	g.GET("/applications/:name/exec", a.execResource)
	g.GET("/applications/:name/plugin-parameters", a.pluginParameters)
	g.POST("/apply", a.apply)

	g.GET("/operations", a.listOperations)
	g.GET("/operations/:id", a.getOperation)
	g.POST("/operations/:id/terminate", a.terminateOperation)

	a.settingsRoutes(g)

	g.GET("/events", a.events)
}

func (a *api) ready(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), 3*time.Second)
	defer cancel()
	if err := a.opts.Ready(ctx); err != nil {
		a.log.WarnContext(ctx, "not ready", "error", err)
		c.JSON(http.StatusServiceUnavailable, gin.H{"ok": false})
		return
	}
	c.JSON(http.StatusOK, gin.H{"ok": true})
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
