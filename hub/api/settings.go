package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/customization"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// Settings are the settings for all clusters. Its methods block for a round trip
// or a transaction; errors are faults.
type Settings interface {
	Customizations(ctx context.Context) (fleet.Customizations, error)
	// CustomizationsAt is NotFound (settings_version_unknown) for a version that
	// is not kept.
	CustomizationsAt(ctx context.Context, version int64) (fleet.Customizations, error)
	CustomizationsVersions(ctx context.Context) ([]fleet.SettingsVersion, error)
	// PutCustomizations with expected 0 overwrites whatever there is; else
	// Conflict version_conflict when the stored version differs.
	PutCustomizations(ctx context.Context, c model.Customizations, by string, expected int64) (stored fleet.Customizations, changed bool, err error)
	// RBAC, RBACAt, RBACVersions and PutRBAC are the same of the RBAC policy.
	RBAC(ctx context.Context) (fleet.RBAC, error)
	RBACAt(ctx context.Context, version int64) (fleet.RBAC, error)
	RBACVersions(ctx context.Context) ([]fleet.SettingsVersion, error)
	PutRBAC(ctx context.Context, keys map[string]string, by string, expected int64) (stored fleet.RBAC, changed bool, err error)
	SettingsHolders(ctx context.Context, content model.Digest) (fleet.SettingsHolders, error)
}

// customizations is what is shown of the resource customizations.
type customizations struct {
	Version        int64                   `json:"version"`
	ChangedBy      string                  `json:"changedBy,omitempty"`
	ChangedAt      *time.Time              `json:"changedAt,omitempty"`
	Customizations model.Customizations    `json:"customizations"`
	Clusters       *fleet.SettingsHolders  `json:"clusters,omitempty"`
	Versions       []fleet.SettingsVersion `json:"versions,omitempty"`
}

// changedCustomizations is what became, or would become, of a change.
type changedCustomizations struct {
	Version int64                  `json:"version"`
	Result  string                 `json:"result"`
	DryRun  bool                   `json:"dryRun,omitempty"`
	Changes []fleet.KeyChange      `json:"changes"`
	Unused  []customization.Unused `json:"unused,omitempty"`
}

func (a *api) getCustomizations(c *gin.Context) {
	ctx, settings := c.Request.Context(), a.opts.Settings
	if asked := c.Query("version"); asked != "" {
		version, err := strconv.ParseInt(asked, 10, 64)
		if err != nil || version < 1 {
			a.fail(c, fault.New(fault.Invalid, "parameter_invalid", "version %q is not a number of a version", cut(asked)).WithField("version"))
			return
		}
		got, err := settings.CustomizationsAt(ctx, version)
		if err != nil {
			a.fail(c, err)
			return
		}
		c.JSON(http.StatusOK, shown(got))
		return
	}
	got, err := settings.Customizations(ctx)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := shown(got)
	if got.Version > 0 {
		holders, err := settings.SettingsHolders(ctx, got.Customizations.Digest())
		if err != nil {
			a.fail(c, err)
			return
		}
		out.Clusters = &holders
		c.Header("ETag", etag(got.Version))
	}
	if out.Versions, err = settings.CustomizationsVersions(ctx); err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, out)
}

func shown(c fleet.Customizations) customizations {
	out := customizations{Version: c.Version, ChangedBy: c.ChangedBy, Customizations: c.Customizations}
	if !c.ChangedAt.IsZero() {
		out.ChangedAt = &c.ChangedAt
	}
	return out
}

// putCustomizations replaces the customizations. With dryRun=true it says what
// would change, and how.
func (a *api) putCustomizations(c *gin.Context) {
	ctx := c.Request.Context()
	b, err := a.body(c)
	var sent map[string]string
	if err == nil {
		sent, err = readCustomizations(b)
	}
	var expected int64
	if err == nil {
		expected, err = ifMatch(c)
	}
	dryRun := c.Query("dryRun")
	if err == nil && dryRun != "" && dryRun != "true" && dryRun != "false" {
		err = fault.New(fault.Invalid, "parameter_invalid", "dryRun %q is neither true nor false", cut(dryRun)).WithField("dryRun")
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	used, unused := customization.Split(sent)
	if len(used) == 0 && len(unused) > 0 {
		a.fail(c, fault.New(fault.Invalid, "customizations_none", "none of the %d keys is a resource customization: %s: %s", len(unused), cut(unused[0].Key), unused[0].Why).
			WithFix(`to have no customizations any more send {"customizations": {}}`))
		return
	}
	if err = customization.Check(used); err == nil {
		err = customization.CheckScripts(used)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	old, err := a.opts.Settings.Customizations(ctx)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := changedCustomizations{Version: old.Version, Result: resultUnchanged, Changes: fleet.DiffCustomizations(old.Customizations, used), Unused: unused}
	if dryRun == "true" {
		out.DryRun = true
		if old.Version == 0 || len(out.Changes) > 0 {
			out.Result = resultConfigured
		}
		c.JSON(http.StatusOK, out)
		return
	}
	stored, changed, err := a.opts.Settings.PutCustomizations(ctx, used, identity(c).Name, expected)
	if err != nil {
		a.fail(c, err)
		return
	}
	for i := range out.Changes { // who sent the texts has them
		out.Changes[i].Before, out.Changes[i].After = "", ""
	}
	if out.Version = stored.Version; changed {
		out.Result = resultConfigured
		a.log.InfoContext(ctx, "the resource customizations changed", "version", stored.Version, "by", stored.ChangedBy, "keys", len(out.Changes))
		if a.opts.SettingsChanged != nil {
			a.opts.SettingsChanged()
		}
		a.opts.Publisher.Publish("settings", "customizations", fleet.SettingsVersion{Version: stored.Version, ChangedBy: stored.ChangedBy, ChangedAt: stored.ChangedAt})
	}
	c.Header("ETag", etag(stored.Version))
	c.JSON(http.StatusOK, out)
}

// readCustomizations takes the manifest of a ConfigMap such as argocd-cm, an
// object with the field customizations as getCustomizations answers it, or the
// keys and their texts alone.
func readCustomizations(b []byte) (map[string]string, error) {
	var shape map[string]json.RawMessage
	if err := decode.Into(b, &shape); err != nil {
		return nil, err
	}
	if kind, ok := shape["kind"]; ok {
		return configMapData(b, kind, "argocd-cm", "customizations")
	}
	if _, ok := shape["customizations"]; ok {
		var own struct {
			Customizations map[string]string `json:"customizations"`
			// The rest of what getCustomizations answers is read over.
			Version   json.RawMessage `json:"version"`
			ChangedBy json.RawMessage `json:"changedBy"`
			ChangedAt json.RawMessage `json:"changedAt"`
			Clusters  json.RawMessage `json:"clusters"`
			Versions  json.RawMessage `json:"versions"`
		}
		if err := decode.Into(b, &own); err != nil {
			return nil, err
		}
		return own.Customizations, nil
	}
	if len(shape) == 0 {
		return nil, fault.New(fault.Invalid, "body_missing", "there are no keys").
			WithFix(`to have no customizations any more send {"customizations": {}}`)
	}
	var plain map[string]string
	err := decode.Into(b, &plain)
	return plain, err
}

// configMapData is what the manifest of a ConfigMap has; format and member name
// the format that is needed and what it becomes here.
func configMapData(b []byte, kind json.RawMessage, format, member string) (map[string]string, error) {
	var is string
	if err := json.Unmarshal(kind, &is); err != nil || is != "ConfigMap" {
		return nil, fault.New(fault.Invalid, "kind_unexpected", "kind is %.60s; a ConfigMap in the format of %s is needed", kind, format).WithField("kind")
	}
	var cm struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   json.RawMessage   `json:"metadata"`
		Immutable  bool              `json:"immutable"`
		BinaryData map[string]string `json:"binaryData"`
		Data       map[string]string `json:"data"`
	}
	if err := decode.Into(b, &cm); err != nil {
		return nil, err
	}
	if cm.Data == nil {
		return nil, fault.New(fault.Invalid, "field_missing", "the ConfigMap has no data").WithField("data").
			WithFix(`to have none any more send {"%s": {}}`, member)
	}
	return cm.Data, nil
}
