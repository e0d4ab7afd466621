package access

import (
	"context"

	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// chunk is how much of an object travels in one piece.
const chunk = 256 << 10

// maxReads is how many objects are in memory at once; the others wait. An object
// of 1.5 MB takes many times that while it is decoded.
const maxReads = 4

// reading waits for a place among those who hold an object, which done gives
// back.
func (s *Server) reading(ctx context.Context) (done func(), err error) {
	select {
	case s.reads <- struct{}{}:
		return func() { <-s.reads }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// redactedJSON reads an object and answers it encoded, without what may not
// leave. Only while it does is a place taken: the hub may take its time.
func (s *Server) redactedJSON(ctx context.Context, app model.AppUID, r reached, managedFields bool) ([]byte, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	body, err := s.read(ctx, r)
	if err != nil {
		return nil, err
	}
	if !managedFields {
		if meta, ok := body["metadata"].(map[string]any); ok {
			delete(meta, "managedFields")
		}
	}
	var annotations []string
	if s.o.SensitiveAnnotations != nil {
		annotations = s.o.SensitiveAnnotations()
	}
	var fields manifest.Fields
	if s.o.SensitiveFields != nil {
		rules, err := s.o.SensitiveFields(app)
		if err != nil {
			return nil, err
		}
		fields = manifest.FieldsIn(rules, body)
	}
	return manifest.AppendJSON(nil, manifest.RedactFields(body, manifest.KeyFor(s.o.RedactionKey, app), fields, annotations...)), nil
}

// object answers one live object, redacted.
func (s *Server) object(a *answer, objects []reached, q model.ObjectQuery) error {
	r, err := pickOne(objects, q.ObjectSelector)
	if err != nil {
		return err
	}
	body, err := s.redactedJSON(a.ctx, a.app, r, q.ManagedFields)
	if err != nil {
		return err
	}
	for rest := body; len(rest) > 0; {
		n := min(len(rest), chunk)
		if err := a.send(model.AccessAnswer{Object: rest[:n]}); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// actions answers what can be done with one object.
func (s *Server) actions(a *answer, objects []reached, selector model.ObjectSelector) error {
	r, err := pickOne(objects, selector)
	if err != nil {
		return err
	}
	list, err := s.actionsOf(a.ctx, r)
	if err != nil {
		return err
	}
	if list == nil {
		list = []model.ResourceAction{}
	}
	return a.send(model.AccessAnswer{Actions: list})
}

func (s *Server) actionsOf(ctx context.Context, r reached) ([]model.ResourceAction, error) {
	done, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	body, err := s.read(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.o.Actions.Actions(r.Key.GroupKind(), body)
}

// read asks the API server for an object as it is now. It holds the values of
// Secrets: nothing of it may leave without redaction.
func (s *Server) read(ctx context.Context, r reached) (map[string]any, error) {
	if err := s.o.Veto.Allow("get", r.Key); err != nil {
		return nil, err
	}
	raw, err := s.get(ctx, pathOf(r.kind, versionOf(r), r.Key), nil)
	if err != nil {
		return nil, err
	}
	o, err := manifest.DecodeObject(raw)
	if err != nil {
		return nil, err
	}
	meta, _ := o.Body["metadata"].(map[string]any)
	if uid, _ := meta["uid"].(string); uid != r.UID {
		return nil, errGone(r.Key)
	}
	return o.Body, nil
}

// versionOf is the version in which an object is asked for: the one in which it
// is observed.
func versionOf(r reached) string {
	if r.Version != "" {
		return r.Version
	}
	return r.kind.Version
}
