package api

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/policy"
)

// applyWorkers write applications of one text side by side, so that their
// commits share the database's flushes.
const applyWorkers = 8

// applied is what became of one object of a text.
type applied struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Result string `json:"result"`
	// Message says what the result does not: that nothing follows from a set.
	Message string `json:"message,omitempty"`
	// Warnings say what is dangerous about a project though it was written.
	Warnings []string `json:"warnings,omitempty"`
	// Preview is what a project would change, of a dry run; else it is there when
	// applications became invalid.
	Preview *projectPreview `json:"preview,omitempty"`
	Error   *problem        `json:"error,omitempty"`
}

// appliedAnswer is what became of each, in the order of the text.
type appliedAnswer struct {
	Items []applied `json:"items"`
}

// apply takes a text of projects, application sets and applications, projects
// first. What is wrong with one object does not stop the others. With dryRun=true
// nothing is stored.
func (a *api) apply(c *gin.Context) {
	ctx := c.Request.Context()
	dry, err := onlyPreview(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	b, err := a.body(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	docs, err := decode.Documents(b)
	if err == nil && len(docs) == 0 {
		err = fault.New(fault.Invalid, "body_missing", "the text is empty; send Application, AppProject and ApplicationSet objects")
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	if !dry && slices.ContainsFunc(docs, func(d decode.Document) bool { return d.Project != nil }) {
		if err := a.fresh(c); err != nil {
			a.fail(c, err)
			return
		}
	}
	markDuplicates(docs)
	items := make([]applied, len(docs))
	w := a.newWriter(c)
	w.dry = dry
	done := func(i int, result string, err error) {
		items[i] = applied{Kind: docs[i].Kind, Name: docs[i].Name, Result: result}
		if err != nil {
			p := newProblem(err, requestID(c))
			items[i].Result, items[i].Error = resultFailed, &p
			a.log.InfoContext(ctx, "an object was not applied", "kind", docs[i].Kind, "name", docs[i].Name, "error", fleet.MaskURLs(err.Error()))
		}
	}
	var apps, sets []int
	for i, d := range docs {
		switch {
		case d.Err != nil:
			done(i, "", d.Err)
		case d.Project != nil:
			var warnings []string
			var preview *projectPreview
			result, err := a.survive(ctx, func() (string, error) {
				if err := a.mayWriteProject(ctx, w.set, d.Name); err != nil {
					return "", err
				}
				if dry {
					p, err := a.previewAmong(ctx, w.set, *d.Project, w.pending, writtenBy(docs))
					if err != nil {
						return "", err
					}
					w.pending = append(w.pending, *d.Project)
					preview = &p
					return p.Result, nil
				}
				var unknown string
				if preview, unknown = a.invalidatedByProject(ctx, w.set, *d.Project, writtenBy(docs)); unknown != "" {
					warnings = append(warnings, unknown)
				}
				_, result, err := a.writeProject(ctx, *d.Project, w.by, false, 0)
				return result, err
			})
			if done(i, result, err); err == nil {
				items[i].Preview = preview
				items[i].Warnings = append(warnings, policy.Warnings(d.Project.Spec)...)
			}
		case d.Set != nil:
			sets = append(sets, i)
		default:
			apps = append(apps, i)
		}
	}
	for _, i := range sets { // after the projects that they name
		result, err := a.survive(ctx, func() (string, error) {
			if err := a.mayWriteSet(ctx, w.set, docs[i].Set); err != nil {
				return "", err
			}
			if dry {
				return a.wouldWriteSet(ctx, *docs[i].Set)
			}
			_, result, err := a.writeSet(ctx, *docs[i].Set, 0, false)
			return result, err
		})
		if done(i, result, err); err == nil {
			items[i].Message = model.SetNotExpanded
		}
	}
	a.applyApplications(ctx, w, docs, apps, done)
	w.tell()
	appliedTo(c, items, docs)

	status := http.StatusOK
	for _, item := range items {
		if item.Result == resultFailed {
			status = http.StatusMultiStatus
		}
	}
	c.JSON(status, appliedAnswer{items})
}

func (a *api) applyApplications(ctx context.Context, w *writer, docs []decode.Document, apps []int, done func(int, string, error)) {
	if len(apps) > 1 {
		if err := w.readAll(ctx); err != nil {
			for _, i := range apps {
				done(i, "", err)
			}
			return
		}
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(applyWorkers, len(apps)) {
		wg.Go(func() {
			for i := range next {
				result, err := a.survive(ctx, func() (string, error) {
					_, result, err := w.application(ctx, *docs[i].Application)
					return result, err
				})
				done(i, result, err) // each i is written by one goroutine
			}
		})
	}
	for _, i := range apps {
		next <- i
	}
	close(next)
	wg.Wait()
}

// survive makes an error of a panic in write. The applications are written in
// goroutines of their own, where nobody else would catch it, and a bug that one
// object meets must not end the hub.
func (a *api) survive(ctx context.Context, write func() (string, error)) (result string, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.ErrorContext(ctx, "panic while an object was applied", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			result, err = "", fault.New(fault.Internal, "internal", "internal error")
		}
	}()
	return write()
}

// markDuplicates refuses an object that is in the text twice: which of both is
// meant cannot be known.
func markDuplicates(docs []decode.Document) {
	first := map[[2]string]int{}
	for i := range docs {
		d := &docs[i]
		if d.Err != nil || d.Name == "" {
			continue
		}
		key := [2]string{d.Kind, d.Name}
		if at, dup := first[key]; dup {
			d.Err = fault.New(fault.Invalid, "duplicate_object", "%s %q is defined twice: lines %d and %d", d.Kind, d.Name, docs[at].Line, d.Line)
			d.Application, d.Project, d.Set = nil, nil, nil
			continue
		}
		first[key] = i
	}
}

// writtenBy says which stored applications a text changes: what becomes of those is
// what is said of them there, and nothing about their former selves.
func writtenBy(docs []decode.Document) func(fleet.App) bool {
	by := map[string]model.Application{}
	for _, d := range docs {
		if d.Err == nil && d.Application != nil {
			by[d.Name] = *d.Application
		}
	}
	return func(stored fleet.App) bool {
		app, ok := by[stored.Name]
		return ok && !sameJSON(stored.Application.Spec, app.Spec)
	}
}
