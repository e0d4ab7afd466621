package sync

import (
	"context"
	"net/http"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// updateManager is the field manager of objects that are created or replaced as
// a whole. It is another than that of applies and patches, so that an object
// which is applied later on loses what only a replacement has set (see
// NeedsMigration), and keeps what an action has.
const updateManager = model.FieldManager + "-update"

// Create implements Applier.
func (k *Kube) Create(ctx context.Context, w Write) ([]byte, error) {
	return k.do(ctx, request{method: http.MethodPost, kind: w.Kind, version: w.Version, key: w.Key, query: writeQuery(w, updateManager),
		contentType: "application/json", body: w.Body, operation: w.Operation})
}

// replace puts the whole object in the place of the one that was seen, or
// creates it. What is known of the object may be old, by our own request whose
// answer was lost too; as a replacement is not a change of something, one look
// and one more try are right. The uid stays a precondition.
func (k *Kube) replace(ctx context.Context, w Write) ([]byte, error) {
	if w.UID == "" {
		answer, err := k.Create(ctx, w)
		if !fault.HasCode(err, "already_exists") || w.DryRun {
			return answer, err
		}
		body, err := k.Get(ctx, w.Kind, w.Version, w.Key)
		if err != nil {
			return nil, err
		}
		w.UID, w.ResourceVersion = identity(body)
		return k.put(ctx, w)
	}
	answer, err := k.put(ctx, w)
	switch {
	case fault.HasCode(err, "not_found"):
		return k.Create(ctx, w)
	case fault.HasCode(err, "version_conflict"):
		body, getErr := k.Get(ctx, w.Kind, w.Version, w.Key)
		if getErr != nil {
			return nil, getErr
		}
		uid, rv := identity(body)
		if uid != w.UID {
			return nil, err
		}
		w.ResourceVersion = rv
		return k.put(ctx, w)
	}
	return answer, err
}

func (k *Kube) put(ctx context.Context, w Write) ([]byte, error) {
	body, err := edit(w.Body, map[string]any{"uid": w.UID, "resourceVersion": w.ResourceVersion})
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "body_invalid", "%s: the object to write is no JSON object", w.Key)
	}
	return k.do(ctx, request{method: http.MethodPut, kind: w.Kind, version: w.Version, key: w.Key, query: writeQuery(w, updateManager),
		contentType: "application/json", body: body, operation: w.Operation})
}

// Ours reports whether a field manager is this program's: of an apply, or of what
// it has created or replaced whole.
func Ours(m live.FieldManager) bool {
	return m.Manager == model.FieldManager && m.Operation == "Apply" || m.Manager == updateManager
}
