package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// applicationSetRoutes are permitted as the applications that would come of a set.
var applicationSetRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/applicationsets", ID: "listApplicationSets", Tag: "applicationsets", Summary: "Application sets",
		Verb: VerbGet, Resource: ResourceSets, Answer: list[model.ApplicationSet]{}, Status: http.StatusOK, handler: (*api).listApplicationSets,
	},
	{
		Method: http.MethodPost, Path: "/applicationsets", ID: "createApplicationSet", Tag: "applicationsets", Summary: "Store an application set",
		Detail: "It is kept and checked; this release generates no applications from it. With If-None-Match: * it must be new.",
		Verb:   VerbCreate, Resource: ResourceSets, Body: manifestOf[model.ApplicationSet]{}, Answer: model.ApplicationSet{}, Status: http.StatusOK, Others: []int{http.StatusCreated},
		Tagged: true, Matched: true, handler: (*api).putApplicationSet,
	},
	{
		Method: http.MethodGet, Path: "/applicationsets/:name", ID: "getApplicationSet", Tag: "applicationsets", Summary: "One application set",
		Verb: VerbGet, Resource: ResourceSets, Answer: model.ApplicationSet{}, Status: http.StatusOK, Tagged: true, handler: (*api).getApplicationSet,
	},
	{
		Method: http.MethodPut, Path: "/applicationsets/:name", ID: "putApplicationSet", Tag: "applicationsets", Summary: "Store an application set",
		Detail: "It is kept and checked; this release generates no applications from it. With If-None-Match: * it must be new.",
		Verb:   VerbUpdate, Resource: ResourceSets, Body: manifestOf[model.ApplicationSet]{}, Answer: model.ApplicationSet{}, Status: http.StatusOK, Others: []int{http.StatusCreated},
		Tagged: true, Matched: true, handler: (*api).putApplicationSet,
	},
	{
		Method: http.MethodDelete, Path: "/applicationsets/:name", ID: "deleteApplicationSet", Tag: "applicationsets", Summary: "Forget an application set; no application is touched",
		Verb: VerbDelete, Resource: ResourceSets, Status: http.StatusNoContent, Matched: true, handler: (*api).deleteApplicationSet,
	},
}

// notExpanded is the status of every set, in the shape of Argo CD's conditions:
// nobody who reads one may think that applications follow from it.
var notExpanded = json.RawMessage(`{"conditions":[{"type":"NotExpanded","status":"True","reason":"Unsupported","message":"` + model.SetNotExpanded + `"}]}`)

// answeredSet is a set as callers see it.
func answeredSet(set model.ApplicationSet) model.ApplicationSet {
	set.Status = notExpanded
	return set
}

// projectOf is the project that decides who may do what with a set: none, and so
// administrators alone, when an expression decides.
func projectOf(set *model.ApplicationSet) string {
	project, _ := set.Project()
	return project
}

// mayWriteSet decides about a set that is written: old is what there is, set
// what it becomes. Both projects count.
func (a *api) mayWriteSet(ctx context.Context, caller *permission.Set, set *model.ApplicationSet) error {
	if caller.Admin() {
		return nil
	}
	name, verb := set.Metadata.Name, permission.Create
	old, err := a.store.ApplicationSet(ctx, name)
	switch {
	case err == nil && !caller.Sees(permission.ApplicationSets, projectOf(&old), name):
		// Names are the hub's: that this one is taken has to be said, and no more.
		return fault.New(fault.Conflict, "name_taken", "the name %q is taken", name).WithField("metadata.name").WithFix("choose another name")
	case err == nil:
		verb = permission.Update
		if d := caller.Decide(verb, permission.ApplicationSets, projectOf(&old), name); !d.Allowed {
			return denied(d, right{verb, permission.ApplicationSets}, projectOf(&old), name)
		}
	case !fault.Is(err, fault.NotFound):
		return err
	}
	if d := caller.Decide(verb, permission.ApplicationSets, projectOf(set), name); !d.Allowed {
		return denied(d, right{verb, permission.ApplicationSets}, projectOf(set), name)
	}
	return nil
}

func (a *api) listApplicationSets(c *gin.Context) {
	sets, err := a.store.ApplicationSets(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	caller := a.caller(c)
	sets = slices.DeleteFunc(sets, func(s model.ApplicationSet) bool {
		return !caller.Decide(permission.Get, permission.ApplicationSets, projectOf(&s), s.Metadata.Name).Allowed
	})
	for i := range sets {
		sets[i] = answeredSet(sets[i])
	}
	c.JSON(http.StatusOK, newList(a, sets))
}

func (a *api) getApplicationSet(c *gin.Context) {
	set, err := a.store.ApplicationSet(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Header("ETag", setETag(set))
	if unchanged(c, setETag(set)) {
		c.Status(http.StatusNotModified)
		return
	}
	c.JSON(http.StatusOK, answeredSet(set))
}

func setETag(set model.ApplicationSet) string { return etag(set.Metadata.Generation) }

func (a *api) putApplicationSet(c *gin.Context) {
	b, err := a.body(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	set, err := decode.ApplicationSet(b)
	if err == nil {
		err = sameName(c, set.Metadata.Name)
	}
	var expected int64
	if err == nil {
		expected, err = ifMatch(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	concerns(c, projectOf(&set), set.Metadata.Name)
	if err := a.mayWriteSet(c.Request.Context(), a.caller(c), &set); err != nil {
		a.fail(c, err)
		return
	}
	stored, result, err := a.writeSet(c.Request.Context(), set, expected, onlyNew(c))
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Header("ETag", setETag(stored))
	c.JSON(statusOf(result), answeredSet(stored))
}

// writeSet creates or changes a set; nothing follows from it.
func (a *api) writeSet(ctx context.Context, set model.ApplicationSet, expected int64, mustBeNew bool) (stored model.ApplicationSet, result string, err error) {
	clearServerSet(&set.Metadata)
	old, err := a.store.ApplicationSet(ctx, set.Metadata.Name)
	exists := err == nil
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return stored, "", err
	case exists && mustBeNew:
		return stored, "", fault.New(fault.Conflict, "already_exists", "application set %q already exists", set.Metadata.Name).WithField("metadata.name")
	case exists && expected == 0 && sameSet(old, set):
		return old, resultUnchanged, nil
	}
	stored, created, err := a.store.UpsertApplicationSet(ctx, set, expected)
	if err != nil {
		return stored, "", err
	}
	a.opts.Publisher.Publish("applicationset", stored.Metadata.Name, answeredSet(stored))
	if created {
		return stored, resultCreated, nil
	}
	return stored, resultConfigured, nil
}

// wouldWriteSet is what writeSet would do.
func (a *api) wouldWriteSet(ctx context.Context, set model.ApplicationSet) (result string, err error) {
	clearServerSet(&set.Metadata)
	old, err := a.store.ApplicationSet(ctx, set.Metadata.Name)
	switch {
	case fault.Is(err, fault.NotFound):
		return resultCreated, nil
	case err == nil && sameSet(old, set):
		return resultUnchanged, nil
	}
	return resultConfigured, err
}

func sameSet(stored, set model.ApplicationSet) bool {
	clearServerSet(&stored.Metadata)
	stored.Status = nil
	return sameJSON(stored, set)
}

func (a *api) deleteApplicationSet(c *gin.Context) {
	set, err := a.store.ApplicationSet(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	expected, err := ifMatch(c)
	if err == nil {
		err = a.store.DeleteApplicationSet(c.Request.Context(), set.Metadata.Name, expected)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Publisher.Publish("applicationset", set.Metadata.Name, gin.H{"name": set.Metadata.Name, "deleted": true})
	c.Status(http.StatusNoContent)
}
