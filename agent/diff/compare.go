package diff

import (
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// MaxDifferences is how many differences of one object are listed.
const MaxDifferences = 20

// Input is one comparison. Nothing in it is modified.
type Input struct {
	// Desired is the object as it would be applied, tracking annotation
	// included.
	Desired map[string]any
	// Live is the live object as JSON. managedFields in it are only read when
	// Managers is nil.
	Live []byte
	// Managers are the live object's field managers.
	Managers []live.FieldManager
	// Schema knows the kinds that are not built in, as custom resources; nil
	// knows none. What it does not know is compared by what managedFields show.
	Schema Schema
	// Ignore are the application's rules, SystemRules those of the fleet; those
	// for other objects are skipped.
	Ignore      []model.IgnoreDifferences
	SystemRules *SystemRules
	// RedactionKey masks values of Secrets consistently within one agent. Without
	// one, values are only consistent within this process.
	RedactionKey []byte
	// SensitiveAnnotations are annotations of Secrets whose values are masked,
	// too.
	SensitiveAnnotations []string
	// SensitiveFields are fields of objects whose values are masked.
	SensitiveFields []model.SensitiveFields
	// FieldManager is this agent's name as a field manager; empty:
	// model.FieldManager.
	FieldManager string
	// TakenOver are managers whose fields count as this agent's own, because
	// applying takes them over, as it migrates from client-side apply.
	TakenOver []string
	// IncludeMutationWebhook counts what admission webhooks change, as Argo CD's
	// compare option of that name. Only CompareAnswer can see that.
	IncludeMutationWebhook bool
}

// Result is what a comparison found.
type Result struct {
	// Differences are at most MaxDifferences, by path.
	Differences []model.FieldDifference
	// Total counts all differences.
	Total int
	// OtherVersion is set when the live object is in another API version than
	// the desired one: the fields were not compared and only the API server
	// can decide.
	OtherVersion bool
	// Doubts are the paths, at most MaxDifferences, where only the API server
	// could tell whether applying changes something: nothing is known of how a
	// list merges, or of what is filled in. They are no differences.
	Doubts []string
	// Presumed counts those of Total that are none where the server fills in, or
	// merges, what is live: nothing is known of the field, and who applied it
	// before, or what is desired, says that it changes.
	Presumed int
	// RuleFailed is set when a rule to ignore differences could not be
	// evaluated: then differences may be ones that it would ignore.
	RuleFailed bool
	// Problems are rules that could not be evaluated, for people.
	Problems []string

	findings []finding
	mask     *mask
}

// Same reports whether no difference was found. Doubts are none; what is presumed
// is one.
func (r Result) Same() bool { return r.Total == 0 && !r.OtherVersion }

// Certain reports whether the API server would say the same as far as can be
// known without asking it. Without certainty a dry run should decide, and when
// that is not possible the state is unknown after a failed rule, and as Same says
// otherwise.
func (r Result) Certain() bool {
	sure := r.Total > r.Presumed || r.Total == 0 && len(r.Doubts) == 0
	return !r.OtherVersion && sure && !(r.RuleFailed && r.Total > 0)
}

// Compare says where applying the desired object would change the live one. An
// error means that the live body is not a JSON object.
func Compare(in Input) (Result, error) {
	liveObj, err := Decode(in.Live)
	if err != nil {
		return Result{}, err
	}
	if in.Managers == nil {
		in.Managers = managersOf(liveObj)
	}
	last := takeLastApplied(liveObj)
	desired := Normalise(in.Desired)
	if status, ok := in.Desired["status"]; ok && in.SystemRules.comparesStatus(desired) {
		desired["status"] = status
	}
	if dv, lv := text(desired["apiVersion"]), text(liveObj["apiVersion"]); dv != lv && lv != "" {
		return Result{OtherVersion: true}, nil
	}
	rules := selectRules(in.Ignore, in.SystemRules, desired)
	desired, liveObj, problems := rules.remove(desired, liveObj, in.hides(in.Desired))
	c := newComparer(&in, desired)
	c.owners = in.ownership(in.Managers)
	if len(in.Managers) == 0 && last != "" {
		if applied, err := Decode([]byte(last)); err == nil {
			c.owners.applied(c.kind, Normalise(applied))
		}
	}
	c.owners.ignored = rules.managers(c.owners.managers)
	c.run(func() { c.object(desired, liveObj) })
	return c.result(problems), nil
}

// typeOf is the type of objects of the kind, unknownObject when nobody knows it.
func (in *Input) typeOf(obj map[string]any) *Type {
	apiVersion, kind := text(obj["apiVersion"]), text(obj["kind"])
	if t := builtin.Type(apiVersion, kind); t != nil {
		return t
	}
	t := unknownObject()
	if group := groupOf(apiVersion); !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io") {
		t = looseObject()
	}
	if in.Schema != nil {
		if known := in.Schema.Type(apiVersion, kind); known != nil {
			t = known
		}
	}
	return in.SystemRules.knowing(t, apiVersion, kind)
}

// unknownObject and looseObject are objects of which only metadata is known; those
// of groups of Kubernetes may be the server's own, of another release.
var (
	unknownObject = sync.OnceValue(func() *Type { return onlyMetadata(unknownType) })
	looseObject   = sync.OnceValue(func() *Type { return onlyMetadata(looseType) })
)

func onlyMetadata(others *Type) *Type {
	return &Type{shape: shapeStruct, verbatim: others.verbatim, elem: others, fields: map[string]*fieldType{"metadata": {typ: builtin.named(objectMeta)}}}
}

// comparer is one comparison on its way.
type comparer struct {
	kind   *Type
	owners *ownership
	mask   *mask
	found  []finding
	total  int
	// presumed are those of total that are only most likely.
	presumed int
	doubts   []string
	muted    int // while greater than 0 nothing is recorded, only counted
	doubted  int
	sorted   bool // visit fields in order
	// answers: both sides are answers of the server, in which everything is
	// filled in.
	answers bool
	places  []*place // to be used again
	// counts decides whether a difference at a place counts; nil: all do.
	counts func(*place) bool
}

// finding is a difference that is not rendered yet.
type finding struct {
	path path // as it may be shown
	// covered: the path leads to a sensitive field with all that differs in it; the
	// values are then maps, by the paths of these places. at is the first of them.
	covered           bool
	at                string
	desired, live     any
	inDesired, inLive bool
	difference        model.FieldDifference // Path, Manager, ChangedAt
}

// with is a finding about a sensitive field, and another one in it. The order in
// which they were found does not show.
func (f finding) with(other finding) finding {
	if other.at < f.at {
		f, other = other, f
	}
	for _, v := range []struct{ to, from any }{{f.desired, other.desired}, {f.live, other.live}} {
		maps.Copy(v.to.(map[string]any), v.from.(map[string]any))
	}
	f.inDesired, f.inLive = f.inDesired || other.inDesired, f.inLive || other.inLive
	return f
}

// Field is a difference with its values. Those of Secrets are masked.
type Field struct {
	Path string
	// Desired and Live are JSON values; nil also where there is none, as
	// InDesired and InLive tell.
	Desired, Live     any
	InDesired, InLive bool
	// Manager and ChangedAt say who set the live value and when, where known.
	Manager   string
	ChangedAt *time.Time
}

// Fields are the differences by path with whole values, at most MaxFields.
func (r Result) Fields() []Field {
	out := make([]Field, len(r.findings))
	for i, f := range r.findings {
		out[i] = Field{Path: f.difference.Path, InDesired: f.inDesired, InLive: f.inLive, Manager: f.difference.Manager, ChangedAt: f.difference.ChangedAt}
		if f.inDesired {
			out[i].Desired = r.mask.hideAt(f, f.desired)
		}
		if f.inLive {
			out[i].Live = r.mask.hideAt(f, f.live)
		}
	}
	return out
}

// MaxFields bounds what is kept of one comparison. When there are more, the
// first ones by path are found by comparing again in order.
const MaxFields = 512

func newComparer(in *Input, desired map[string]any) *comparer {
	return &comparer{
		kind: in.typeOf(desired),
		mask: newMask(in), // by the whole object: a rule may have taken its kind out
	}
}

// run compares, and once more in order when there is too much to keep.
func (c *comparer) run(compare func()) {
	compare()
	if c.total > MaxFields {
		c.found, c.total, c.presumed, c.doubts, c.doubted, c.sorted = nil, 0, 0, nil, 0, true
		compare()
	}
}

func (c *comparer) result(problems []string) Result {
	sort.SliceStable(c.found, func(i, j int) bool { return c.found[i].difference.Path < c.found[j].difference.Path })
	sort.Strings(c.doubts)
	r := Result{Total: c.total, Presumed: c.presumed, Doubts: c.doubts[:min(len(c.doubts), MaxDifferences)], RuleFailed: len(problems) > 0, Problems: problems, findings: c.found, mask: c.mask}
	for _, f := range c.found[:min(len(c.found), MaxDifferences)] {
		d := f.difference
		if f.inDesired {
			d.Desired = c.mask.render(f, f.desired)
		}
		if f.inLive {
			d.Live = c.mask.render(f, f.live)
		}
		r.Differences = append(r.Differences, d)
	}
	return r
}

// report records a difference, unless the place belongs to a manager whose
// fields are ignored.
func (c *comparer) report(p *place, d, l any, inDesired, inLive bool) {
	if c.owners != nil && c.owners.ignores(p) || c.counts != nil && !c.counts(p) {
		return
	}
	c.total++
	if c.muted > 0 || len(c.found) >= MaxFields {
		return
	}
	place := p.path()
	shown, covered := c.mask.visible(place)
	f := finding{path: shown, covered: covered, desired: d, live: l, inDesired: inDesired, inLive: inLive}
	f.difference.Path = f.path.String()
	if covered {
		f.at = place.String()
		f.desired, f.live = map[string]any{}, map[string]any{}
		if inDesired {
			f.desired = map[string]any{f.at: d}
		}
		if inLive {
			f.live = map[string]any{f.at: l}
		}
	}
	if c.owners != nil {
		manager, at := c.owners.lastWriter(p)
		f.difference.Manager = manager
		if !at.IsZero() {
			f.difference.ChangedAt = &at
		}
	}
	if covered {
		if i := slices.IndexFunc(c.found, func(x finding) bool { return x.covered && x.difference.Path == f.difference.Path }); i >= 0 {
			c.found[i] = c.found[i].with(f)
			return
		}
	}
	c.found = append(c.found, f)
}

// presume reports a difference that is none only where the server fills in, or
// merges, what is live, of which nothing is known.
func (c *comparer) presume(p *place, d, l any, inDesired, inLive bool) {
	total := c.total
	c.report(p, d, l, inDesired, inLive)
	c.presumed += c.total - total
}

// enter makes a place below another; leave gives it back when nothing looks at it
// any more.
func (c *comparer) enter(up *place, s step) *place {
	if n := len(c.places); n > 0 {
		p := c.places[n-1]
		c.places = c.places[:n-1]
		p.up, p.step = up, s
		return p
	}
	return &place{up: up, step: s}
}

func (c *comparer) leave(p *place) { c.places = append(c.places, p) }

// doubt records that only the server knows.
func (c *comparer) doubt(p *place) {
	c.doubted++
	if c.muted == 0 && len(c.doubts) < MaxFields {
		c.doubts = append(c.doubts, c.mask.shown(p.path()).String())
	}
}

// quiet tries a comparison and reports whether it certainly found nothing.
func (c *comparer) quiet(compare func()) bool {
	same, doubts := c.try(compare)
	return same && !doubts
}

func (c *comparer) try(compare func()) (same, doubts bool) {
	total, presumed, doubted := c.total, c.presumed, c.doubted
	c.muted++
	compare()
	c.muted--
	same, doubts = c.total == total, c.doubted != doubted
	c.total, c.presumed, c.doubted = total, presumed, doubted
	return same, doubts
}

func text(v any) string { s, _ := v.(string); return s }
