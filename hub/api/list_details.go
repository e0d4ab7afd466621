package api

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// detailFields are fields of rows of applications that the inventory does not
// have. Each but the document takes the whole of what is known of an application.
var detailFields = []string{"application", "resources", "healthCauses", "history"}

// maxDetailed is how many rows have such fields besides the document, whatever
// limit was asked for: one can be of some hundred objects.
const maxDetailed = 100

// identified is what a row is completed by.
type identified struct {
	UID     model.AppUID `json:"uid"`
	Name    string       `json:"name"`
	Project string       `json:"project"`
}

// askDetails has the rows of a list completed from the database, when fields were
// asked for that only it has.
func (a *api) askDetails(l *listing, q *fleet.ListQuery) {
	fields := q.Fields
	q.Fields = slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return slices.Contains(detailFields, f) })
	details := len(fields) - len(q.Fields)
	if details == 0 {
		q.Fields = fields
		return
	}
	if details == 1 && slices.Contains(fields, "application") {
		q.Fields = append(q.Fields, "uid", "project")
		l.complete = func(ctx context.Context, rows []json.RawMessage) ([]json.RawMessage, error) {
			return a.withDocuments(ctx, rows, fields)
		}
		return
	}
	q.Fields, q.Limit = append(q.Fields, "uid", "name", "project"), min(q.Limit, maxDetailed)
	l.complete = func(ctx context.Context, rows []json.RawMessage) ([]json.RawMessage, error) {
		return a.detailed(ctx, rows, fields)
	}
}

// withDocuments adds what was written of each application to its row. One that is
// gone meanwhile, or is now of another project, which the caller may not see, has
// no row any more.
func (a *api) withDocuments(ctx context.Context, rows []json.RawMessage, fields []string) ([]json.RawMessage, error) {
	ids, err := idsOf(rows)
	if err != nil {
		return nil, err
	}
	uids := make([]model.AppUID, len(ids))
	for i, x := range ids {
		uids[i] = x.UID
	}
	documents, err := a.store.AppDocuments(ctx, uids)
	if err != nil {
		return nil, err
	}
	out := rows[:0]
	for i, x := range ids {
		d := documents[x.UID]
		if d == nil || cmp.Or(d.Spec.Project, model.DefaultProject) != x.Project {
			continue
		}
		row, err := completed(rows[i], fields, map[string]any{"application": d})
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

// detailed makes the rows of what the database has of each application.
func (a *api) detailed(ctx context.Context, rows []json.RawMessage, fields []string) ([]json.RawMessage, error) {
	ids, err := idsOf(rows)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(ids))
	for i, x := range ids {
		names[i] = x.Name
	}
	views, err := a.store.AppDetails(ctx, names)
	if err != nil {
		return nil, err
	}
	found := make(map[identified]model.AppView, len(views))
	for _, v := range views {
		found[identified{v.UID, v.Name, v.Project}] = v
	}
	out := rows[:0]
	for _, x := range ids {
		v, ok := found[x]
		if !ok {
			continue
		}
		b, err := json.Marshal(v)
		if err == nil {
			b, err = completed(b, fields, nil)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func idsOf(rows []json.RawMessage) ([]identified, error) {
	out := make([]identified, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal(row, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// completed is a row with more, and with nothing that was not asked for.
func completed(row json.RawMessage, fields []string, more map[string]any) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(row, &all); err != nil {
		return nil, err
	}
	for k, v := range more {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		all[k] = b
	}
	for k := range all {
		if !slices.Contains(fields, k) {
			delete(all, k)
		}
	}
	return json.Marshal(all)
}
