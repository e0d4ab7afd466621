package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// rbacDocument is what is shown of the RBAC policy.
type rbacDocument struct {
	Version   int64      `json:"version"`
	ChangedBy string     `json:"changedBy,omitempty"`
	ChangedAt *time.Time `json:"changedAt,omitempty"`
	// Enforced says that the policy decides, besides the grants of tokens and users.
	Enforced bool `json:"enforced"`
	// RBAC has the keys and texts of the ConfigMap argocd-rbac-cm.
	RBAC     map[string]string       `json:"rbac"`
	Versions []fleet.SettingsVersion `json:"versions,omitempty"`
	// Warnings are as when it was changed, by what there is now.
	Warnings []rbacWarning `json:"warnings,omitempty"`
}

// changedRBAC is what became of a change.
type changedRBAC struct {
	Version  int64  `json:"version"`
	Result   string `json:"result"`
	Enforced bool   `json:"enforced"`
	// Warnings are of what is probably not meant: lines about nothing that there is,
	// roles without a line, unknown resources and actions. At most 100.
	Warnings []rbacWarning `json:"warnings,omitempty"`
}

// rbacWarning is about a key of the policy, or a role of a project.
type rbacWarning struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// rbacBody is the simplest of the forms that readRBAC takes.
type rbacBody struct {
	RBAC map[string]string `json:"rbac"`
}

var rbacRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/settings/rbac", ID: "getRBAC", Tag: "settings", Summary: "The RBAC policy",
		Verb: VerbGet, Resource: ResourceSettings,
		Query:  []Parameter{{Name: "version", Type: "integer", Meaning: "an earlier version"}},
		Answer: rbacDocument{}, Status: http.StatusOK, Tagged: true, handler: (*api).getRBAC, when: hasSettings,
	},
	{
		Method: http.MethodPut, Path: "/settings/rbac", ID: "putRBAC", Tag: "settings", Summary: "Replace the RBAC policy",
		Detail: "The body is a ConfigMap in the format of argocd-rbac-cm, or what is answered when it is read. What it says holds at every replica within five seconds. One that cannot be used is refused, and so is one that takes role:admin from whoever writes it and has it by the policy alone.",
		Verb:   VerbUpdate, Resource: ResourceSettings, Fresh: true,
		Body: rbacBody{}, Answer: changedRBAC{}, Status: http.StatusOK, Tagged: true, Matched: true, handler: (*api).putRBAC, when: hasSettings,
	},
	{
		Method: http.MethodPost, Path: "/settings/rbac/check", ID: "checkRBAC", Tag: "settings", Summary: "Check an RBAC policy, and store nothing", Asks: true,
		Detail: "Refused as PUT would refuse it; otherwise the answer has the warnings, and what storing it would be.",
		Verb:   VerbUpdate, Resource: ResourceSettings,
		Body: rbacBody{}, Answer: changedRBAC{}, Status: http.StatusOK, handler: (*api).checkRBAC, when: hasSettings,
	},
}

func (a *api) shownRBAC(r fleet.RBAC) rbacDocument {
	out := rbacDocument{Enforced: a.opts.Policies != nil, Version: r.Version, ChangedBy: r.ChangedBy, RBAC: r.Keys}
	if !r.ChangedAt.IsZero() {
		out.ChangedAt = &r.ChangedAt
	}
	return out
}

func (a *api) getRBAC(c *gin.Context) {
	ctx, settings := c.Request.Context(), a.opts.Settings
	if asked := c.Query("version"); asked != "" {
		version, err := strconv.ParseInt(asked, 10, 64)
		if err != nil || version < 1 {
			a.fail(c, fault.New(fault.Invalid, "parameter_invalid", "version %q is not a number of a version", cut(asked)).WithField("version"))
			return
		}
		got, err := settings.RBACAt(ctx, version)
		if err != nil {
			a.fail(c, err)
			return
		}
		out := a.shownRBAC(got)
		if out.Warnings, err = a.warnedOf(ctx, got.Keys); err != nil {
			a.fail(c, err)
			return
		}
		c.JSON(http.StatusOK, out)
		return
	}
	got, err := settings.RBAC(ctx)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := a.shownRBAC(got)
	if out.Warnings, err = a.warnedOf(ctx, got.Keys); err != nil {
		a.fail(c, err)
		return
	}
	if out.Versions, err = settings.RBACVersions(ctx); err != nil {
		a.fail(c, err)
		return
	}
	if got.Version > 0 {
		c.Header("ETag", etag(got.Version))
	}
	c.JSON(http.StatusOK, out)
}

// checkRBAC decides about a policy as putRBAC does, and stores nothing.
func (a *api) checkRBAC(c *gin.Context) {
	ctx := c.Request.Context()
	b, err := a.body(c)
	var keys map[string]string
	if err == nil {
		keys, err = readRBAC(b)
	}
	if err == nil {
		err = fleet.CheckRBAC(keys)
	}
	var warnings []rbacWarning
	if err == nil {
		warnings, err = a.mayPutPolicy(ctx, identity(c), keys)
	}
	var now fleet.RBAC
	if err == nil {
		now, err = a.opts.Settings.RBAC(ctx)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	out := changedRBAC{Version: now.Version, Result: resultConfigured, Enforced: a.opts.Policies != nil, Warnings: warnings}
	if maps.Equal(now.Keys, keys) {
		out.Result = resultUnchanged
	}
	c.JSON(http.StatusOK, out)
}

func (a *api) putRBAC(c *gin.Context) {
	ctx := c.Request.Context()
	b, err := a.body(c)
	var keys map[string]string
	if err == nil {
		keys, err = readRBAC(b)
	}
	var expected int64
	if err == nil {
		expected, err = ifMatch(c)
	}
	if err == nil {
		err = fleet.CheckRBAC(keys)
	}
	var warnings []rbacWarning
	if err == nil {
		warnings, err = a.mayPutPolicy(ctx, identity(c), keys)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	stored, changed, err := a.opts.Settings.PutRBAC(ctx, keys, identity(c).Name, expected)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := changedRBAC{Version: stored.Version, Result: resultUnchanged, Enforced: a.opts.Policies != nil, Warnings: warnings}
	if changed {
		out.Result = resultConfigured
		a.log.InfoContext(ctx, "the RBAC policy changed", "version", stored.Version, "by", stored.ChangedBy)
		a.opts.Publisher.Publish("settings", "rbac", fleet.SettingsVersion{Version: stored.Version, ChangedBy: stored.ChangedBy, ChangedAt: stored.ChangedAt})
	}
	c.Header("ETag", etag(stored.Version))
	c.JSON(http.StatusOK, out)
}

// readRBAC takes the manifest of a ConfigMap such as argocd-rbac-cm, or an object
// with the field rbac as getRBAC answers it.
func readRBAC(b []byte) (map[string]string, error) {
	var shape map[string]json.RawMessage
	if err := decode.Into(b, &shape); err != nil {
		return nil, err
	}
	if kind, ok := shape["kind"]; ok {
		return configMapData(b, kind, "argocd-rbac-cm", "rbac")
	}
	if raw := shape["rbac"]; raw == nil || string(raw) == "null" {
		return nil, fault.New(fault.Invalid, "field_missing", "there is no RBAC policy in the body").WithField("rbac").
			WithFix(`send a ConfigMap, or {"rbac": {"policy.csv": "..."}}; {"rbac": {}} for none`)
	}
	var own struct {
		RBAC map[string]string `json:"rbac"`
		// The rest of what getRBAC answers is read over.
		Version   json.RawMessage `json:"version"`
		ChangedBy json.RawMessage `json:"changedBy"`
		ChangedAt json.RawMessage `json:"changedAt"`
		Enforced  json.RawMessage `json:"enforced"`
		Versions  json.RawMessage `json:"versions"`
		Warnings  json.RawMessage `json:"warnings"`
	}
	err := decode.Into(b, &own)
	return own.RBAC, err
}
