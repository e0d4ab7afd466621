package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	kjson "sigs.k8s.io/json"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// MaxDifferences is how many differences of one object are listed.
const MaxDifferences = 20

// Input is one comparison.
type Input struct {
	// Desired is the object as it would be applied, tracking annotation
	// included. It is not modified.
	Desired map[string]any
	// Live is the live object as JSON; managedFields in it are ignored.
	Live []byte
	// Managers are the live object's field managers.
	Managers []live.FieldManager
	// Ignore are the application's rules; those for other objects are skipped.
	Ignore []model.IgnoreDifferences
	// RedactionKey masks values of Secrets consistently within one agent.
	RedactionKey []byte
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
	// Problems are rules that could not be evaluated, for people.
	Problems []string
}

// Same reports whether nothing differs.
func (r Result) Same() bool { return r.Total == 0 && !r.OtherVersion }

// Compare compares. An error means that the live body is not a JSON object.
func Compare(in Input) (Result, error) {
	liveObj, err := Decode(in.Live)
	if err != nil {
		return Result{}, err
	}
	desired := Normalise(in.Desired)
	if dv, lv := text(desired["apiVersion"]), text(liveObj["apiVersion"]); dv != lv && lv != "" {
		return Result{OtherVersion: true}, nil
	}
	c := &comparer{
		kind:     text(desired["kind"]),
		builtIn:  builtInGroup(text(desired["apiVersion"])),
		managers: in.Managers,
		mask:     newMask(desired, in.RedactionKey),
	}
	tree, own := parseManagers(in.Managers)
	c.own = own

	rules := rulesFor(in.Ignore, desired)
	desired, liveObj, problems := removeIgnored(rules, desired, liveObj)
	c.ignoredManagers = managerBits(in.Managers, rules)

	c.object(desired, liveObj, tree)
	sort.SliceStable(c.found, func(i, j int) bool { return c.found[i].Path < c.found[j].Path })
	res := Result{Total: len(c.found), Problems: problems}
	res.Differences = c.found[:min(len(c.found), MaxDifferences)]
	return res, nil
}

// Decode reads a live body; integers stay int64.
func Decode(body []byte) (map[string]any, error) {
	var obj map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &obj); err != nil || obj == nil {
		return nil, fault.Wrap(err, fault.Internal, "live_body_invalid", "a live object is not a JSON object")
	}
	return obj, nil
}

type comparer struct {
	kind            string
	builtIn         bool
	managers        []live.FieldManager
	own             bits
	ignoredManagers bits
	mask            *mask
	found           []model.FieldDifference
}

// comparedMetadata are the fields of metadata that people set.
var comparedMetadata = map[string]bool{"labels": true, "annotations": true, "finalizers": true, "ownerReferences": true}

func (c *comparer) object(desired, liveObj map[string]any, tree *fieldNode) {
	for _, k := range unionKeys(desired, tree) {
		switch k {
		case "apiVersion", "kind", "status":
			continue
		case "metadata":
			dm, _ := desired[k].(map[string]any)
			lm, _ := liveObj[k].(map[string]any)
			mt := tree.child("f:" + k)
			for _, mk := range unionKeys(dm, mt) {
				if comparedMetadata[mk] {
					c.field(path{{field: k}, {field: mk}}, mk, dm, lm, mt)
				}
			}
			continue
		}
		c.field(path{{field: k}}, k, desired, liveObj, tree)
	}
}

// field compares one field of a map; parent is the map's node.
func (c *comparer) field(p path, name string, desired, liveMap map[string]any, parent *fieldNode) {
	node := parent.child("f:" + name)
	dv, set := desired[name]
	lv, has := liveMap[name]
	if !set || isEmpty(dv) {
		if has {
			c.removed(p, lv, node)
		}
		return
	}
	c.value(p, dv, lv, has, node)
}

func (c *comparer) value(p path, dv, lv any, has bool, node *fieldNode) {
	if node != nil && node.owners&c.ignoredManagers != 0 && len(node.children) == 0 {
		return
	}
	if !has || lv == nil {
		if c.builtIn && isZero(dv) {
			return // the server leaves out zero values of its own kinds
		}
		if !containsOnlyEmpty(dv) {
			c.report(p, dv, nil, true, false, node)
		}
		return
	}
	switch d := dv.(type) {
	case map[string]any:
		l, ok := lv.(map[string]any)
		if !ok {
			c.report(p, dv, lv, true, true, node)
			return
		}
		c.mapping(p, d, l, node)
	case []any:
		l, ok := lv.([]any)
		if !ok {
			c.report(p, dv, lv, true, true, node)
			return
		}
		c.list(p, d, l, node)
	default:
		if !equalScalar(p, dv, lv) {
			c.report(p, dv, lv, true, true, node)
		}
	}
}

func (c *comparer) mapping(p path, d, l map[string]any, node *fieldNode) {
	for _, k := range unionKeys(d, node) {
		c.field(p.with(step{field: k}), k, d, l, node)
	}
	if isLabelSelector(p) {
		// Label selectors are replaced as a whole, and never defaulted: a key
		// that is only live was added by somebody.
		for _, k := range sortedKeys(l) {
			if _, ok := d[k]; !ok && node.child("f:"+k) == nil {
				c.report(p.with(step{field: k}), nil, l[k], false, true, node)
			}
		}
	}
}

func isLabelSelector(p path) bool {
	last := p[len(p)-1].field
	if last == "matchLabels" || last == "nodeSelector" {
		return true
	}
	return last == "selector" && len(p) == 2 && p[0].field == "spec" // Service, ReplicationController
}

// removed reports the fields below p that this agent set and that are desired
// no longer.
func (c *comparer) removed(p path, lv any, node *fieldNode) {
	if node == nil || lv == nil || !node.ownedBelow(c.own) {
		return
	}
	if node.owners&c.own != 0 && (len(node.children) == 0 || !node.othersBelow(c.own)) {
		if !isEmpty(lv) {
			c.report(p, nil, lv, false, true, node)
		}
		return
	}
	for _, k := range sortedNodeKeys(node.children) {
		child := node.children[k]
		if strings.HasPrefix(k, "f:") {
			if m, ok := lv.(map[string]any); ok {
				name := k[2:]
				if v, has := m[name]; has {
					c.removed(p.with(step{field: name}), v, child)
				}
			}
			continue
		}
		if l, ok := lv.([]any); ok {
			if v, s, ok := findElement(l, k); ok {
				c.removed(p.with(s), v, child)
			}
		}
	}
}

func (c *comparer) report(p path, dv, lv any, set, has bool, node *fieldNode) {
	d := model.FieldDifference{Path: p.String()}
	if set {
		d.Desired = c.mask.render(p, dv)
	}
	if has {
		d.Live = c.mask.render(p, lv)
	}
	if m := c.lastManager(node); m != nil {
		d.Manager = m.Manager
		if !m.Time.IsZero() {
			at := m.Time
			d.ChangedAt = &at
		}
	}
	c.found = append(c.found, d)
}

// lastManager is who wrote the field last, this agent only when nobody else did.
func (c *comparer) lastManager(node *fieldNode) *live.FieldManager {
	if node == nil {
		return nil
	}
	owners := node.owners
	if owners == 0 {
		owners = node.below()
	}
	if rest := owners &^ c.own; rest != 0 {
		owners = rest
	}
	var best *live.FieldManager
	for i := range c.managers {
		if i < maxManagers && owners&(1<<i) != 0 && (best == nil || c.managers[i].Time.After(best.Time)) {
			best = &c.managers[i]
		}
	}
	return best
}

// unionKeys are the keys of m and the fields of node, sorted.
func unionKeys(m map[string]any, node *fieldNode) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	if node != nil {
		for k := range node.children {
			if name, ok := strings.CutPrefix(k, "f:"); ok {
				if _, dup := m[name]; !dup {
					keys = append(keys, name)
				}
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func text(v any) string { s, _ := v.(string); return s }

func isEmpty(v any) bool {
	switch t := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(t) == 0
	case []any:
		return len(t) == 0
	}
	return false
}

// containsOnlyEmpty reports whether nothing but empty maps and lists and nulls
// is in v.
func containsOnlyEmpty(v any) bool {
	switch t := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, e := range t {
			if !containsOnlyEmpty(e) {
				return false
			}
		}
		return true
	case []any:
		return len(t) == 0
	}
	return false
}

func isZero(v any) bool {
	switch t := v.(type) {
	case string:
		return t == ""
	case bool:
		return !t
	case int64:
		return t == 0
	case float64:
		return t == 0
	case map[string]any:
		for _, e := range t {
			if !isZero(e) && !containsOnlyEmpty(e) {
				return false
			}
		}
		return true
	}
	return containsOnlyEmpty(v)
}

// builtInGroup reports whether the API server itself defines the kinds of the
// group, whose zero values it leaves out.
func builtInGroup(apiVersion string) bool {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return true // the core group
	}
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}

// path is the way to a field.
type path []step

type step struct {
	field string
	key   string // "name=web" of a list element that is found by key
	index int    // of an element of an atomic list, when isIndex
	isIdx bool
}

// with returns a longer path that shares nothing with p's spare capacity.
func (p path) with(s step) path { return append(p[:len(p):len(p)], s) }

func (p path) String() string {
	var b strings.Builder
	for _, s := range p {
		switch {
		case s.isIdx:
			fmt.Fprintf(&b, "[%d]", s.index)
		case s.key != "":
			b.WriteString("[" + s.key + "]")
		case plainField(s.field):
			b.WriteString("." + s.field)
		default:
			q, _ := json.Marshal(s.field)
			b.WriteString("[" + string(q) + "]")
		}
	}
	return b.String()
}

func plainField(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c == '_' || c == '-' || c == '$' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return s != ""
}

// Equal compares two whole bodies but for what the server keeps by itself:
// status, resourceVersion, generation and managedFields. It is how the answer
// of a dry run is held against the live object.
func Equal(a, b []byte) (bool, error) {
	ca, err := bare(a)
	if err != nil {
		return false, err
	}
	cb, err := bare(b)
	if err != nil {
		return false, err
	}
	return bytes.Equal(ca, cb), nil
}

func bare(body []byte) ([]byte, error) {
	obj, err := Decode(body)
	if err != nil {
		return nil, err
	}
	delete(obj, "status")
	if m, ok := obj["metadata"].(map[string]any); ok {
		for _, k := range []string{"resourceVersion", "generation", "managedFields", "selfLink"} {
			delete(m, k)
		}
	}
	return json.Marshal(obj)
}
