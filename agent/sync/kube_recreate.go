package sync

import (
	"context"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// holdsOthers are the kinds whose objects take others, or data, with them when
// they are deleted. Force alone does not recreate them, because it is often said
// once for a whole application; Replace and Force together do.
var holdsOthers = map[model.GroupKind]string{
	{Kind: "Namespace"}:             "everything in it",
	{Kind: "PersistentVolume"}:      "its data",
	{Kind: "PersistentVolumeClaim"}: "its data",
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: "all objects of its kind",
}

// force recreates an object because an apply was refused for a reason that only
// this removes.
func (k *Kube) force(ctx context.Context, w Write, refused error) ([]byte, error) {
	if lost, ok := holdsOthers[w.Key.GroupKind()]; ok {
		f := fault.As(refused)
		return nil, f.WithFix("Force=true does not recreate a %s, because %s would be lost; Replace=true,Force=true on the object does", w.Key.Kind, lost)
	}
	if w.UID == "" {
		return nil, refused // nobody has decided about the object that is there
	}
	return k.recreate(ctx, w)
}

// recreate deletes the object with the uid w.UID, without waiting for what it
// owns, and applies it again. It is begun again as a whole after any error: an
// object with another uid is not deleted.
func (k *Kube) recreate(ctx context.Context, w Write) ([]byte, error) {
	if err := k.wouldBeCreated(ctx, w); err != nil {
		return nil, err
	}
	if w.DryRun {
		return w.Body, nil
	}
	if err := k.remove(ctx, w); err != nil {
		return nil, err
	}
	return k.apply(ctx, w)
}

// wouldBeCreated asks by a dry run whether the object could be created if it did
// not exist: one that is not valid is not deleted for its sake. The server
// validates before it looks whether the name is free.
func (k *Kube) wouldBeCreated(ctx context.Context, w Write) error {
	w.DryRun = true
	_, err := k.Create(ctx, w)
	switch f := fault.As(err); {
	case err == nil:
	case f.Code == "already_exists", f.Code == "still_deleting":
	case f.Code == "dry_run_unsupported": // nobody can tell
	case f.Code == "quota_exceeded": // the present one counts
	case f.Code == "schema_invalid" && strings.Contains(f.Message, "already allocated"): // ports and addresses of the present one
	default:
		return err
	}
	return nil
}

// goneSoon is how long a deletion is waited for within a request of the
// governor; most objects are gone at once.
const goneSoon = time.Second

// remove makes room for a new object of the same name.
func (k *Kube) remove(ctx context.Context, w Write) error {
	if err := k.Delete(ctx, Removal{Kind: w.Kind, Key: w.Key, UID: w.UID, Propagation: "background", Operation: w.Operation}); err != nil {
		return err
	}
	began := k.now()
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		body, err := k.Get(ctx, w.Kind, w.Version, w.Key)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		uid, _ := identity(body)
		if uid != w.UID {
			return nil
		}
		if waited := k.now().Sub(began); waited+pause > goneSoon || !wait(ctx, pause) {
			return &Pending{Err: StillDeleting(w.Key, body, k.deletingFor(body, waited))}
		}
	}
}

// deletingFor is how long an object has been deleted already.
func (k *Kube) deletingFor(body []byte, waited time.Duration) time.Duration {
	if at := deletionTime(body); !at.IsZero() {
		return max(waited, k.now().Sub(at))
	}
	return waited
}
