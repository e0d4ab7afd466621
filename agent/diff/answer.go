package diff

import (
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// CompareAnswer says what applying would change, by the answer of a dry run of
// applying in.Desired: the object as it would be. What somebody else than this
// agent changed on the way, as mutating webhooks do, does not count unless
// in.IncludeMutationWebhook, as with Argo CD's server-side diff. Rules to ignore
// differences apply as in Compare. in.Live must be in the answer's API version;
// answer is read with its managedFields. An error means that one of the two is no
// JSON object.
func CompareAnswer(in Input, answer []byte) (Result, error) {
	liveObj, err := Decode(in.Live)
	if err != nil {
		return Result{}, err
	}
	would, err := Decode(answer)
	if err != nil {
		return Result{}, err
	}
	if dv, lv := text(would["apiVersion"]), text(liveObj["apiVersion"]); dv != lv {
		return Result{OtherVersion: true}, nil
	}
	if in.Managers == nil {
		in.Managers = managersOf(liveObj)
	}
	takeLastApplied(liveObj)
	takeLastApplied(would)
	before := in.ownership(in.Managers)
	after := in.ownership(managersOf(would))
	rules := selectRules(in.Ignore, in.SystemRules, would)
	would, liveObj, problems := rules.remove(would, liveObj, in.hides(in.Desired))
	c := newComparer(&in, would)
	c.owners = before
	c.owners.ignored = rules.managers(before.managers)
	c.answers = true
	if !in.IncludeMutationWebhook && after.own != 0 {
		desired := Normalise(in.Desired)
		c.counts = func(p *place) bool { return after.owns(p) || before.owns(p) || sets(desired, p) }
	}
	c.run(func() { c.answered(would, liveObj) })
	return c.result(problems), nil
}

// answered compares two whole answers of the server.
func (c *comparer) answered(a, b map[string]any) {
	skip := func(k string) bool { return k == "apiVersion" || k == "kind" || k == "status" || k == "metadata" }
	c.wholeFields(nil, c.kind, a, b, skip)
	am, _ := a["metadata"].(map[string]any)
	bm, _ := b["metadata"].(map[string]any)
	meta := &place{step: step{field: "metadata"}}
	c.wholeFields(meta, c.metadataType(), am, bm, func(k string) bool { return !comparedMetadata[k] })
}

// owns reports whether this agent owns the place, something below it, or what
// holds it as a whole.
func (o *ownership) owns(p *place) bool {
	n := o.ours
	for _, s := range p.path() {
		if n.owners != 0 && n.leaf() {
			return true
		}
		if s.isIndex && len(n.items) > 0 {
			return n.below() != 0 // an element of a list whose keys are not usable
		}
		if n = n.step(s); n == nil {
			return false
		}
	}
	return n.below() != 0
}

// sets reports whether the object has something at the place, if only an empty
// list, which managers do not own.
func sets(v any, p *place) bool {
	for _, s := range p.path() {
		switch {
		case s.isIndex:
			l, ok := v.([]any)
			if !ok || s.index >= len(l) {
				return false
			}
			v = l[s.index]
		case s.keys != nil || s.inSet:
			return false // elements are owned
		default:
			m, ok := v.(map[string]any)
			if !ok {
				return false
			}
			if v, ok = m[s.field]; !ok {
				return false
			}
		}
	}
	return true
}

// Equal compares two answers of the server but for what it keeps by itself:
// status and all metadata except labels, annotations, finalizers and owners.
// Values that differ only in spelling are equal.
func Equal(a, b []byte) (bool, error) {
	ao, err := Decode(a)
	if err != nil {
		return false, err
	}
	bo, err := Decode(b)
	if err != nil {
		return false, err
	}
	if ao["apiVersion"] != bo["apiVersion"] || ao["kind"] != bo["kind"] || !sameObject(ao, bo) {
		return false, nil
	}
	c := newComparer(&Input{}, ao)
	c.answers, c.muted = true, 1
	c.answered(ao, bo)
	return c.total == 0 && c.doubted == 0, nil
}

// sameObject compares what names an object.
func sameObject(a, b map[string]any) bool {
	am, _ := a["metadata"].(map[string]any)
	bm, _ := b["metadata"].(map[string]any)
	for _, k := range []string{"name", "namespace", "uid"} {
		if x, y := text(am[k]), text(bm[k]); x != y && x != "" && y != "" {
			return false
		}
	}
	return true
}

// Managers reads the managedFields of an object, as the API server answers it.
// An error means that it is not a JSON object.
func Managers(body []byte) ([]live.FieldManager, error) {
	obj, err := Decode(body)
	if err != nil {
		return nil, err
	}
	return managersOf(obj), nil
}

func managersOf(obj map[string]any) []live.FieldManager {
	meta, _ := obj["metadata"].(map[string]any)
	entries, _ := meta["managedFields"].([]any)
	var out []live.FieldManager
	for _, e := range entries {
		m, ok := e.(map[string]any)
		if !ok {
			continue
		}
		fm := live.FieldManager{Manager: text(m["manager"]), Operation: text(m["operation"]), Subresource: text(m["subresource"])}
		if at, err := time.Parse(time.RFC3339, text(m["time"])); err == nil {
			fm.Time = at
		}
		if fields, ok := m["fieldsV1"].(map[string]any); ok {
			fm.FieldsV1 = manifest.AppendJSON(nil, fields)
		}
		out = append(out, fm)
	}
	return out
}

// groupOf is the group of an apiVersion.
func groupOf(apiVersion string) string {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return ""
	}
	return group
}
