package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

// SavedViews keeps views of lists. Its methods block for a round trip; errors are
// faults.
type SavedViews interface {
	// SavedViews are those of an owner, of all projects and of fleet.Everyone.
	SavedViews(ctx context.Context, owner string) ([]fleet.SavedView, error)
	// SavedView is NotFound (saved_view_unknown) for one that there is not.
	SavedView(ctx context.Context, id string) (fleet.SavedView, error)
	// PutSavedView replaces one of the same name, which keeps its id.
	PutSavedView(ctx context.Context, v fleet.SavedView) (fleet.SavedView, error)
	DeleteSavedView(ctx context.Context, id string) error
}

// savedView is a view as it is shown.
type savedView struct {
	ID string `json:"id"`
	// Things is the list that it is of, such as applications.
	Things string `json:"things"`
	Name   string `json:"name"`
	// Project whose view it is; left out: the caller's own, or everyone's.
	Project string `json:"project,omitempty"`
	// Everyone: it is the installation's, and all see it.
	Everyone bool `json:"everyone,omitempty"`
	// Default: the list opens with it, unless its address says otherwise. The caller's
	// own comes first, then the project's, then everyone's.
	Default bool `json:"default,omitempty"`
	// Search are the parameters of the list's page by name, such as q for its filter.
	Search    map[string]string `json:"search"`
	ChangedBy string            `json:"changedBy"`
	ChangedAt time.Time         `json:"changedAt"`
	// MayChange: the caller may replace and delete it.
	MayChange bool `json:"mayChange"`
}

// savedViewRequest keeps a view; one of the same name is replaced.
type savedViewRequest struct {
	// Things is the list: applications, clusters, jobs, projects or repositories.
	Things string `json:"things"`
	Name   string `json:"name"`
	// Project whose view it is to be; left out: the caller's own.
	Project string `json:"project,omitempty"`
	// Everyone makes it the installation's, which takes an administrator.
	Everyone bool `json:"everyone,omitempty"`
	// Default has the list open with it, in place of the default that there was.
	Default bool              `json:"default,omitempty"`
	Search  map[string]string `json:"search"`
}

var savedViewRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/saved-views", ID: "listSavedViews", Tag: "views", Summary: "Saved views of lists: the own, those of the projects that one sees, and those of everyone",
		Answer: list[savedView]{}, Status: http.StatusOK, handler: (*api).listSavedViews, when: hasSavedViews,
	},
	{
		Method: http.MethodPost, Path: "/saved-views", ID: "putSavedView", Tag: "views", Summary: "Keep a view of a list; one of the same name is replaced",
		Detail: "One of a project takes the right to update the project, one of everyone an administrator. A default one takes the place of the default that there was.",
		Body:   savedViewRequest{}, Answer: savedView{}, Status: http.StatusOK, handler: (*api).putSavedView, when: hasSavedViews,
	},
	{
		Method: http.MethodDelete, Path: "/saved-views/:id", ID: "deleteSavedView", Tag: "views", Summary: "Forget a saved view",
		Status: http.StatusNoContent, handler: (*api).deleteSavedView, when: hasSavedViews,
	},
}

func hasSavedViews(o Options) bool { return o.SavedViews != nil }

func shownView(set *permission.Set, v fleet.SavedView) savedView {
	return savedView{
		ID: v.ID, Things: v.Things, Name: v.Name, Project: v.Project, Search: v.Search, ChangedBy: v.ChangedBy, ChangedAt: v.ChangedAt,
		Everyone: v.Owner == fleet.Everyone, Default: v.Default,
		MayChange: mayChangeView(set, v),
	}
}

func mayChangeView(set *permission.Set, v fleet.SavedView) bool {
	switch {
	case v.Project != "":
		return set.Decide(permission.Update, permission.Projects, v.Project, v.Project).Allowed
	case v.Owner == fleet.Everyone:
		return set.Admin()
	}
	return true
}

// everyonesViews refuses those who may not change the views of an installation.
func everyonesViews(set *permission.Set) error {
	if set.Admin() {
		return nil
	}
	return fault.New(fault.Denied, policy.CodePermission, "only administrators may change the saved views of everyone").WithField("everyone").
		WithFix("keep it as your own, or as a project's; or ask an administrator")
}

func (a *api) listSavedViews(c *gin.Context) {
	set := a.caller(c)
	views, err := a.opts.SavedViews.SavedViews(c.Request.Context(), fleet.Holder(identity(c)))
	if err != nil {
		a.fail(c, err)
		return
	}
	views = slices.DeleteFunc(views, func(v fleet.SavedView) bool { return v.Project != "" && !seesProject(set, v.Project) })
	out := make([]savedView, len(views))
	for i, v := range views {
		out[i] = shownView(set, v)
	}
	c.JSON(http.StatusOK, newList(a, out))
}

func (a *api) putSavedView(c *gin.Context) {
	ctx, set, by := c.Request.Context(), a.caller(c), identity(c)
	var in savedViewRequest
	err := a.into(c, &in, false)
	v := fleet.SavedView{Things: in.Things, Name: in.Name, Project: in.Project, Search: in.Search, ChangedBy: by.Name, Default: in.Default}
	if v.Search == nil {
		v.Search = map[string]string{}
	}
	switch {
	case in.Everyone:
		v.Owner = fleet.Everyone
	case in.Project == "":
		v.Owner = fleet.Holder(by)
	}
	if err == nil && in.Everyone && in.Project != "" {
		err = fault.New(fault.Invalid, "parameter_invalid", "a view is of a project or of everyone, not of both").WithField("everyone")
	}
	if err == nil {
		err = fleet.CheckSavedView(v)
	}
	if err == nil && in.Everyone {
		err = everyonesViews(set)
	}
	if err == nil && in.Project != "" {
		err = a.mayChangeViews(ctx, set, in.Project)
	}
	var id uuid.UUID
	if err == nil {
		if id, err = uuid.NewV7(); err != nil {
			err = fault.Wrap(err, fault.Internal, "internal", "no id could be made")
		}
	}
	if err == nil {
		v.ID = id.String()
		v, err = a.opts.SavedViews.PutSavedView(ctx, v)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, shownView(set, v))
}

// mayChangeViews decides about the views of a project. One that is not seen is
// answered as one that there is not.
func (a *api) mayChangeViews(ctx context.Context, set *permission.Set, project string) error {
	switch _, err := a.store.Project(ctx, project); {
	case fault.Is(err, fault.NotFound):
		return fleet.ProjectUnknown(project)
	case err != nil || set.Admin():
		return err
	}
	return verdictOn(set, right{permission.Update, permission.Projects}, project, project, project, fleet.ProjectUnknown)
}

func (a *api) deleteSavedView(c *gin.Context) {
	ctx, set, id := c.Request.Context(), a.caller(c), c.Param("id")
	v, err := a.opts.SavedViews.SavedView(ctx, id)
	switch {
	case err != nil:
	case v.Project == "" && v.Owner != fleet.Everyone && v.Owner != fleet.Holder(identity(c)), v.Project != "" && !seesProject(set, v.Project):
		err = fleet.SavedViewUnknown(id)
	case v.Project != "":
		err = a.mayChangeViews(ctx, set, v.Project)
	case v.Owner == fleet.Everyone:
		err = everyonesViews(set)
	}
	if err == nil {
		err = a.opts.SavedViews.DeleteSavedView(ctx, id)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}
