package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// What a write did.
const (
	resultCreated    = "created"
	resultConfigured = "configured"
	resultUnchanged  = "unchanged"
	resultFailed     = "failed"
)

func statusOf(result string) int {
	if result == resultCreated {
		return http.StatusCreated
	}
	return http.StatusOK
}

// deleted is the event that something is gone.
type deleted struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Deleted bool   `json:"deleted"`
}

func (a *api) getProject(c *gin.Context) {
	p, err := a.store.Project(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	if v := p.Metadata.ResourceVersion; v != "" {
		c.Header("ETag", `"`+v+`"`)
		if unchanged(c, `"`+v+`"`) {
			c.Status(http.StatusNotModified)
			return
		}
	}
	c.JSON(http.StatusOK, p)
}

func (a *api) putProject(c *gin.Context) {
	p, err := a.projectBody(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	if err := a.mayWriteProject(c.Request.Context(), a.caller(c), p.Metadata.Name); err != nil {
		a.fail(c, err)
		return
	}
	if dry, err := onlyPreview(c); err != nil || dry {
		var out projectPreview
		if err == nil {
			out, err = a.previewOf(c.Request.Context(), a.caller(c), p)
		}
		if err != nil {
			a.fail(c, err)
			return
		}
		c.JSON(http.StatusOK, out)
		return
	}
	version, err := ifMatch(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	preview, invalid := a.invalidatedByProject(c.Request.Context(), a.caller(c), p, nil)
	if preview != nil {
		invalid = preview.sentence()
	}
	stored, result, err := a.writeProject(c.Request.Context(), p, identity(c).Name, onlyNew(c), version)
	if err != nil {
		a.fail(c, err)
		return
	}
	if v := stored.Metadata.ResourceVersion; v != "" {
		c.Header("ETag", `"`+v+`"`)
	}
	warn(c, append([]string{invalid}, policy.Warnings(stored.Spec)...)...)
	c.JSON(statusOf(result), stored)
}

// invalidatedByProject is what a project would change when applications become
// invalid by it, else nil; or a sentence that it could not be found out. skip
// leaves out applications. One that is new, or as it was, makes none invalid, but
// for those of projects that inherit from it.
func (a *api) invalidatedByProject(ctx context.Context, set *permission.Set, p model.AppProject, skip func(fleet.App) bool) (*projectPreview, string) {
	old, err := a.store.Project(ctx, p.Metadata.Name)
	if fault.Is(err, fault.NotFound) && p.Spec.InheritedBy == nil || err == nil && sameProject(old, p) {
		return nil, ""
	}
	return soon(ctx, a, func(ctx context.Context) (*projectPreview, error) {
		preview, err := a.previewAmong(ctx, set, p, nil, skip)
		if err != nil || preview.InvalidCount == 0 {
			return nil, err
		}
		return &preview, nil
	})
}

// writeProject creates or changes a project and tells who needs to know.
func (a *api) writeProject(ctx context.Context, p model.AppProject, by string, mustBeNew bool, version int64) (model.AppProject, string, error) {
	clearServerSet(&p.Metadata)
	old, err := a.store.Project(ctx, p.Metadata.Name)
	exists := err == nil
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return model.AppProject{}, "", err
	case exists && mustBeNew:
		return model.AppProject{}, "", fault.New(fault.Conflict, "already_exists", "project %q already exists", p.Metadata.Name)
	case version != 0 && (!exists || old.Metadata.ResourceVersion != strconv.FormatInt(version, 10)):
		return model.AppProject{}, "", fault.New(fault.Conflict, "version_conflict", "project %q was changed meanwhile", p.Metadata.Name).
			WithFix("read it again and repeat the change")
	case exists && sameProject(old, p):
		return old, resultUnchanged, nil
	}
	p.Status = nil
	// The version is asked for once more, against a change between here and there.
	stored, err := a.store.UpsertProjectOver(ctx, p, by, version)
	if err != nil {
		return model.AppProject{}, "", err
	}
	a.opts.Auth.RolesChanged(p.Metadata.Name)
	a.opts.Delivery.ProjectWritten(p.Metadata.Name)
	if p.Spec.InheritedBy != nil || old.Spec.InheritedBy != nil {
		all, err := a.store.Projects(ctx)
		if err != nil {
			return model.AppProject{}, "", err
		}
		for _, heir := range all {
			if policy.Inherits(heir, p) || policy.Inherits(heir, old) {
				a.opts.Delivery.ProjectWritten(heir.Metadata.Name)
			}
		}
	}
	a.opts.Publisher.Publish("project", p.Metadata.Name, stored)
	if exists {
		return stored, resultConfigured, nil
	}
	return stored, resultCreated, nil
}

func (a *api) deleteProject(c *gin.Context) {
	name := c.Param("name")
	if name == model.DefaultProject {
		a.fail(c, fault.New(fault.Precondition, "project_default", "the project %q cannot be deleted", name).
			WithFix("limit what it allows instead"))
		return
	}
	expected, err := ifMatch(c)
	if err == nil {
		err = a.store.DeleteProject(c.Request.Context(), name, expected)
	}
	if set := a.caller(c); fault.HasCode(err, "project_in_use") && !set.Admin() {
		err = a.projectInUse(c.Request.Context(), set, name)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Auth.RolesChanged(name)
	a.opts.Publisher.Publish("project", name, deleted{Name: name, Deleted: true})
	c.Status(http.StatusNoContent)
}

// projectInUse refuses to delete a project to somebody who may not see all of what is
// in it: it names the applications that he sees, and counts nothing else.
func (a *api) projectInUse(ctx context.Context, set *permission.Set, name string) error {
	apps, err := a.store.Applications(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, app := range apps {
		if app.Project == name && set.Sees(permission.Applications, app.Project, app.Name) {
			names = append(names, app.Name)
		}
	}
	slices.Sort(names)
	what := "of what you see no application"
	if len(names) > 0 {
		what = strings.Join(names[:min(len(names), namedUsers)], ", ")
	}
	if len(names) > namedUsers {
		what += ", …"
	}
	return fault.New(fault.Precondition, "project_in_use", "the project %q is in use: %s", name, what).
		WithFix("delete or move its applications, repositories, credential templates and application sets first, and remove spec.inheritedBy; ask an administrator of this hub about those that you do not see")
}

// sameName checks that a body is about the thing that the URL names.
func sameName(c *gin.Context, name string) error {
	if inPath := c.Param("name"); inPath != "" && inPath != name {
		return fault.New(fault.Invalid, "name_mismatch", "metadata.name is %q and the URL names %q", cut(name), cut(inPath)).
			WithField("metadata.name").WithFound(cut(name), cut(inPath))
	}
	return nil
}

// clearServerSet removes what only the hub sets.
func clearServerSet(m *model.ObjectMeta) {
	m.UID, m.ResourceVersion, m.Generation, m.CreationTimestamp, m.DeletionTimestamp = "", "", 0, nil, nil
}

func sameProject(stored, p model.AppProject) bool {
	clearServerSet(&stored.Metadata)
	stored.Status = nil
	return sameJSON(stored, p)
}

// sameJSON compares what two values say, whatever the order of keys in the raw
// JSON inside them.
func sameJSON(x, y any) bool {
	return reflect.DeepEqual(generic(x), generic(y))
}

func generic(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		return err
	}
	return out
}
