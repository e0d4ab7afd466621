package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Actions runs resource actions, action.Set by way of agent/app. What it answers
// depends on its arguments alone, so that an action that was interrupted has the
// same effects when it is run again.
type Actions interface {
	Run(gk model.GroupKind, name string, params map[string]string, obj map[string]any, op string, now time.Time) ([]ActionEffect, error)
}

// ActionEffect is one thing that an action does: the object as it is to be, or a
// new one.
type ActionEffect struct {
	Create      bool
	Object      map[string]any
	Subresource string
}

// act runs a resource action, which ends exactly once.
func (e *Engine) act(ctx context.Context, a *app, s snapshot) {
	op := s.op
	ctx, end := e.begin(ctx, a, s, runOperation)
	defer end()
	e.o.Journal.Update(journal.Lazy, func(book *journal.Book) journal.Change {
		c, err := book.StartOperation(a.uid, op.ID, e.now())
		if err != nil {
			e.log.Debug("the start of an operation was not recorded", "reason", err)
		}
		return c
	})
	results, err := e.effects(ctx, s, op)
	if cause := context.Cause(ctx); cause != nil && cause != errTerminated {
		e.afterInterruption(a, cause)
		return
	}
	if fenced := e.fence(); fenced != nil {
		e.afterInterruption(a, fenced)
		return
	}
	result := &model.OperationResult{Revision: s.desired.Revision.Commit, Resources: results}
	switch {
	case context.Cause(ctx) == errTerminated:
		e.finish(a, op, model.PhaseTerminated, "ended on request", result, nil)
	case err != nil:
		e.finish(a, op, model.PhaseFailed, advised(fault.As(err)), result, nil)
	default:
		e.finish(a, op, model.PhaseSucceeded, actionMessage(op.Spec.Action, results), result, nil)
	}
}

// advised is an error's message with what to do about it.
func advised(f *fault.Error) string {
	if f.Fix == "" {
		return f.Message
	}
	return f.Message + "; " + f.Fix
}

func actionMessage(spec *model.ActionSpec, results []model.ResourceResult) string {
	if len(results) == 0 {
		return fmt.Sprintf("%s of %s: nothing to change", spec.Name, spec.Resource)
	}
	return fmt.Sprintf("%s of %s: done", spec.Name, spec.Resource)
}

// actionTries bounds how often an action is tried again because the object was
// changed at the same moment.
const actionTries = 5

func (e *Engine) effects(ctx context.Context, s snapshot, op *journal.Operation) ([]model.ResourceResult, error) {
	spec := op.Spec.Action
	if spec == nil || spec.Name == "" {
		return nil, fault.New(fault.Invalid, "action_invalid", "the operation names no action")
	}
	if spec.Delete != nil {
		return e.deleteOne(ctx, s, op)
	}
	if e.o.Actions == nil {
		return nil, fault.New(fault.NotFound, "action_unknown", "this agent has no resource actions")
	}
	key := spec.Resource
	if err := e.mayAct(s, key); err != nil {
		return nil, err
	}
	kind, err := e.o.Observer.Kind(key.GroupKind())
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		results, err := e.actOnce(ctx, s, op, kind)
		if !fault.HasCode(err, "version_conflict") || try == actionTries {
			return results, err
		}
	}
}

// mayAct: an action is for objects of the application: the desired ones and what
// they own.
func (e *Engine) mayAct(s snapshot, key model.ObjectKey) error {
	name := s.desired.Name
	if !slices.Contains(e.o.Observer.AppsOf(key), name) {
		return fault.New(fault.NotFound, "resource_unknown", "application %q has no object %s in the cluster", name, key)
	}
	return e.permitted(s, key)
}

// permitted asks the application's project about one object.
func (e *Engine) permitted(s snapshot, key model.ObjectKey) error {
	if key.Namespace != "" && key.Namespace == e.o.OwnNamespace {
		return fault.New(fault.Denied, codeOwnNamespace, "%s is in the agent's own namespace", key)
	}
	k, err := e.o.Observer.Kind(key.GroupKind())
	d := s.desired
	if _, err := AccountOf(d); err != nil {
		return err
	}
	dest := policy.Destination{Name: d.Spec.ClusterName, Server: d.Spec.Destination.Server, Aliases: d.Spec.ServerAliases, Namespace: d.Spec.Namespace}
	dec := policy.CheckObjects(policy.Project{Name: d.Project, Spec: d.ProjectSpec}, dest,
		[]policy.ObjectFacts{{Key: key, Namespaced: k.Namespaced, ScopeUnknown: err != nil}})
	if !dec.Allowed {
		r := dec.Refusals[0]
		return fault.New(fault.Denied, r.Code, "%s", r.Message)
	}
	return nil
}

func (e *Engine) actOnce(ctx context.Context, s snapshot, op *journal.Operation, kind live.Kind) ([]model.ResourceResult, error) {
	spec := op.Spec.Action
	var present []byte
	err := e.exec.Governor.Do(ctx, func() (err error) {
		present, err = e.o.Applier.Get(ctx, kind, kind.Version, spec.Resource)
		return err
	})
	if err != nil {
		return nil, err
	}
	obj, err := manifest.DecodeObject(present)
	if err != nil {
		return nil, err
	}
	if meta, ok := obj.Body["metadata"].(map[string]any); ok {
		delete(meta, "managedFields")
	}
	before := manifest.AppendJSON(nil, obj.Body)
	effects, err := e.o.Actions.Run(spec.Resource.GroupKind(), spec.Name, spec.Params, obj.Body, string(op.ID), op.AcceptedAt)
	if err != nil {
		return nil, err
	}
	var results []model.ResourceResult
	for _, f := range effects {
		r, err := e.effect(ctx, s, op, kind, before, f)
		if err != nil {
			return append(results, model.ResourceResult{ObjectKey: r.ObjectKey, Status: sync.StatusFailed, Message: fault.As(err).Message}), err
		}
		if r.Status != "" {
			results = append(results, r)
		}
	}
	return results, nil
}

// effect writes one effect of an action. The result has no status when there is
// nothing to write.
func (e *Engine) effect(ctx context.Context, s snapshot, op *journal.Operation, kind live.Kind, before []byte, f ActionEffect) (model.ResourceResult, error) {
	if f.Create {
		f.Object = marked(f.Object, string(op.ID))
	}
	after, err := manifest.DecodeObject(manifest.AppendJSON(nil, f.Object))
	r := model.ResourceResult{ObjectKey: op.Spec.Action.Resource}
	if err != nil {
		return r, err
	}
	if f.Create {
		r.ObjectKey = after.Key
		err := e.permitted(s, after.Key)
		if err == nil {
			err = e.create(ctx, op, after)
		}
		if err == nil {
			r.Status = sync.StatusCreated
		}
		return r, err
	}
	if after.Key != op.Spec.Action.Resource {
		return r, fault.New(fault.Denied, "action_invalid", "the action %q changes %s, and may change only %s", op.Spec.Action.Name, after.Key, op.Spec.Action.Resource)
	}
	patch, err := jsonpatch.CreateMergePatch(before, after.JSON())
	if err != nil {
		return r, fault.Wrap(err, fault.Internal, "action_invalid", "%s: what the action changes cannot be told", r.ObjectKey)
	}
	if string(patch) == "{}" {
		return r, nil
	}
	uid, rv := identityOf(before)
	write := sync.PatchRequest{Kind: kind, Key: r.ObjectKey, Version: after.Version, Patch: patch, UID: uid, ResourceVersion: rv,
		Subresource: f.Subresource, Operation: string(op.ID)}
	answer, err := e.patch(ctx, write)
	if write.Subresource != "" && (fault.Is(err, fault.NotFound) || isKindUnknown(err)) {
		write.Subresource = "" // a kind without it has the field in the object itself
		answer, err = e.patch(ctx, write)
	}
	if err != nil {
		return r, err
	}
	failpoint.Hit("reconcile.action.after")
	r.Status = sync.StatusConfigured
	if f.Subresource == "" {
		_ = e.o.Observer.Saw(answer) // the watch brings it otherwise
	}
	return r, nil
}

func (e *Engine) patch(ctx context.Context, p sync.PatchRequest) (answer []byte, err error) {
	err = e.exec.Governor.Do(ctx, func() (err error) {
		if err = e.allowed(ctx); err != nil {
			return err
		}
		failpoint.Hit("reconcile.action.before")
		answer, err = e.o.Applier.Patch(ctx, p)
		return err
	})
	return answer, err
}

// marked is an object that an action makes, with the operation's mark and with a
// name that is made of it where the action leaves the name open.
func marked(obj map[string]any, op string) map[string]any {
	obj = maps.Clone(obj)
	meta, _ := obj["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	if meta == nil {
		return obj
	}
	annotations, _ := meta["annotations"].(map[string]any)
	annotations = maps.Clone(annotations)
	if annotations == nil {
		annotations = map[string]any{}
	}
	annotations[model.AnnotationRun] = op
	meta["annotations"] = annotations
	if prefix, _ := meta["generateName"].(string); prefix != "" && meta["name"] == nil {
		sum := sha256.Sum256([]byte(op))
		meta["name"] = prefix + hex.EncodeToString(sum[:5])
		delete(meta, "generateName")
	}
	obj["metadata"] = meta
	return obj
}

// create makes an object once: one that carries the operation's mark was made by
// a run that was interrupted.
func (e *Engine) create(ctx context.Context, op *journal.Operation, o manifest.Object) error {
	kind, err := e.o.Observer.Kind(o.Key.GroupKind())
	if err != nil {
		return err
	}
	if o.Key.Namespace != op.Spec.Action.Resource.Namespace {
		return fault.New(fault.Denied, "action_invalid", "the action %q makes %s, which is in another namespace than %s", op.Spec.Action.Name, o.Key, op.Spec.Action.Resource)
	}
	err = e.exec.Governor.Do(ctx, func() error {
		if err := e.allowed(ctx); err != nil {
			return err
		}
		_, err := e.o.Applier.Create(ctx, sync.Write{Kind: kind, Key: o.Key, Version: o.Version, Body: o.JSON(), Validate: true, Operation: string(op.ID)})
		return err
	})
	if !fault.HasCode(err, "already_exists") {
		return err
	}
	present, getErr := e.o.Applier.Get(ctx, kind, o.Version, o.Key)
	if getErr != nil {
		return getErr
	}
	if annotation(present, model.AnnotationRun) == string(op.ID) {
		return nil
	}
	return err
}

// allowed asks before an effect.
func (e *Engine) allowed(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return e.fence()
}

func identityOf(body []byte) (uid, resourceVersion string) {
	var o struct {
		Metadata struct {
			UID             string `json:"uid"`
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if json.Unmarshal(body, &o) != nil {
		return "", ""
	}
	return o.Metadata.UID, o.Metadata.ResourceVersion
}
