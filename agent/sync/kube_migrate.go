package sync

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// migrationTries bounds how often an object that others write at the same time
// is looked at again: a controller reports its status several times in a moment.
const migrationTries = 6

// migrate gives our field manager the fields of those in w.Migrate, with the
// object as it is now. The apply that follows takes away what w.Body does not
// have. Two requests, and none once it is done.
func (k *Kube) migrate(ctx context.Context, w Write) error {
	manager := cmp.Or(w.Manager, model.FieldManager)
	for try := 0; ; try++ {
		body, err := k.Get(ctx, w.Kind, w.Version, w.Key)
		if fault.Is(err, fault.NotFound) {
			return nil // it is created, and then has no past
		}
		if fault.HasCode(err, "forbidden") {
			return fault.As(err).WithFix("grant the agent's service account get and patch of this kind, or set ClientSideApplyMigration=false, which leaves fields to %s", w.Migrate[0])
		}
		if err != nil {
			return err
		}
		patch, err := migrationPatch(body, w.Migrate, manager)
		if err != nil {
			return fault.Wrap(err, fault.Internal, "managers_unreadable", "%s: who set which field cannot be read", w.Key)
		}
		if patch == nil {
			return nil
		}
		_, err = k.do(ctx, request{method: http.MethodPatch, kind: w.Kind, version: w.Version, key: w.Key, query: url.Values{"fieldManager": {manager}},
			contentType: "application/json-patch+json", body: patch, operation: w.Operation})
		if !fault.HasCode(err, "version_conflict") || try+1 == migrationTries || !wait(ctx, 20*time.Millisecond<<try) {
			return err
		}
	}
}

// asMigrated is the answer to a dry run as it would be after a migration, which
// cannot be tried: fields that only the former managers own are taken out of it,
// and the server fills in what is missing then. It asks again when the object
// changes between the two.
func (k *Kube) asMigrated(ctx context.Context, w Write, answer []byte) ([]byte, error) {
	for try := 0; ; try++ {
		obj, err := withoutMigrated(answer, w.Migrate, cmp.Or(w.Manager, model.FieldManager))
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "managers_unreadable", "%s: who set which field cannot be read", w.Key)
		}
		uid, rv := identity(answer)
		if obj == nil || uid == "" || rv == "" { // nothing goes, or it does not exist yet
			return answer, nil
		}
		put := w
		put.UID, put.ResourceVersion = uid, rv
		if put.Body, err = json.Marshal(obj); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "body_invalid", "%s: the object to write cannot be encoded", w.Key)
		}
		changed, err := k.put(ctx, put)
		if fault.HasCode(err, "forbidden") {
			return answer, nil // the account may apply, and not replace
		}
		if !fault.HasCode(err, "version_conflict") || try+1 == migrationTries || !wait(ctx, 20*time.Millisecond<<try) {
			return changed, err
		}
		if answer, err = k.apply(ctx, w); err != nil {
			return nil, err
		}
	}
}

func deletionTime(body []byte) time.Time {
	var o managedObject
	if json.Unmarshal(body, &o) != nil || o.Metadata.DeletionTimestamp == nil {
		return time.Time{}
	}
	return *o.Metadata.DeletionTimestamp
}
