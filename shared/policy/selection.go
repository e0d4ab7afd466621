package policy

import (
	"fmt"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Limits of a selection. Argo CD has none; these keep one that a program made
// from costing more than the sync that it limits.
const (
	maxSelected     = 10_000
	maxSelectedText = 1024
)

// selectionForm is how one entry of a selection is written.
const selectionForm = "group:kind:name or group:kind:namespace/name, as in apps:Deployment:shop/web or :ConfigMap:settings; * stands for any text, and ! before an entry leaves out what it matches"

// Selection says which objects of an application a sync is about. It is written
// as in Argo CD (argocd app sync --resource): "group:kind:name" or
// "group:kind:namespace/name", with an empty group for the core kinds. Each part
// is a glob. Without a namespace an entry matches in all of them. An entry that
// begins with "!" leaves out; it beats the others, and where there are only such
// entries everything else is selected.
//
// A nil Selection selects everything.
type Selection struct {
	include, exclude []selector
	// exact are the entries without a wildcard, so that a list of thousands of
	// objects costs two look-ups. Those without a namespace have none.
	exactIn, exactOut map[model.ObjectKey]bool
}

type selector struct{ group, kind, namespace, name glob }

func (s selector) match(k model.ObjectKey) bool {
	return s.kind.match(k.Kind) && s.name.match(k.Name) && s.group.match(k.Group) && s.namespace.match(k.Namespace)
}

// ParseSelection reads a selection. None at all answers nil, which selects
// everything. Errors are Invalid faults with the code selection_invalid and the
// field resources[i].
func ParseSelection(entries []string) (*Selection, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	if len(entries) > maxSelected {
		return nil, fault.New(fault.Invalid, "selection_invalid", "%d resources are selected; at most %d can be named, and globs select more", len(entries), maxSelected).
			WithField("resources").WithFound(fmt.Sprint(len(entries)), fmt.Sprintf("at most %d", maxSelected))
	}
	s := &Selection{}
	for i, text := range entries {
		if err := s.add(text); err != nil {
			return nil, fault.New(fault.Invalid, "selection_invalid", "%s: %s", quote(cutTo(text, 80)), err).
				WithField(fmt.Sprintf("resources[%d]", i)).WithFound(quote(cutTo(text, 80)), selectionForm)
		}
	}
	return s, nil
}

func (s *Selection) add(text string) error {
	if len(text) > maxSelectedText {
		return fmt.Errorf("it has %d characters; at most %d are allowed", len(text), maxSelectedText)
	}
	rest, leaveOut := strings.CutPrefix(strings.TrimSpace(text), "!")
	if rest == "" {
		return fmt.Errorf("it is empty; write %s", selectionForm)
	}
	// Names of RBAC objects have colons: what is left after two is the name.
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) < 3 {
		hint := "write group:kind:name or group:kind:namespace/name"
		if len(parts) == 2 && !strings.Contains(parts[0], ".") && parts[0] != "" && parts[0][0] >= 'A' && parts[0][0] <= 'Z' {
			hint = fmt.Sprintf("write :%s for a kind of the core group", rest)
		}
		return fmt.Errorf("it has %d of the 3 parts; %s", len(parts), hint)
	}
	group, kind, name := parts[0], parts[1], parts[2]
	namespace, short, hasNamespace := strings.Cut(name, "/")
	if hasNamespace {
		name = short
	} else {
		namespace = ""
	}
	switch {
	case strings.Contains(name, "/"):
		return fmt.Errorf("there is more than one %q in %s; write namespace/name", "/", quote(parts[2]))
	case kind == "":
		return fmt.Errorf("the kind is missing; write %q for any", "*")
	case name == "":
		return fmt.Errorf("the name is missing; write %q for any", "*")
	}
	if !strings.ContainsAny(group+kind+namespace+name, `*?[]{}\`) {
		m := &s.exactIn
		if leaveOut {
			m = &s.exactOut
		}
		if *m == nil {
			*m = map[model.ObjectKey]bool{}
		}
		(*m)[model.ObjectKey{Group: group, Kind: kind, Namespace: namespace, Name: name}] = true
		return nil
	}
	if namespace == "" {
		namespace = "*"
	}
	var sel selector
	for _, p := range []struct {
		what, text string
		to         *glob
	}{{"group", group, &sel.group}, {"kind", kind, &sel.kind}, {"namespace", namespace, &sel.namespace}, {"name", name, &sel.name}} {
		var err error
		if *p.to, err = compileGlob(p.text, ""); err != nil {
			return fmt.Errorf("the %s cannot be used: %w", p.what, err)
		}
	}
	if leaveOut {
		s.exclude = append(s.exclude, sel)
	} else {
		s.include = append(s.include, sel)
	}
	return nil
}

// Matches reports whether the object is selected.
func (s *Selection) Matches(k model.ObjectKey) bool {
	if s == nil {
		return true
	}
	if len(s.include)+len(s.exactIn) > 0 && !hit(s.exactIn, s.include, k) {
		return false
	}
	return !hit(s.exactOut, s.exclude, k)
}

func hit(exact map[model.ObjectKey]bool, globs []selector, k model.ObjectKey) bool {
	if len(exact) > 0 {
		if exact[k] {
			return true
		}
		k := k
		k.Namespace = ""
		if exact[k] {
			return true
		}
	}
	for _, g := range globs {
		if g.match(k) {
			return true
		}
	}
	return false
}

// FormatKey writes an object as an entry of a selection that matches it and no
// other of the cluster.
func FormatKey(k model.ObjectKey) string {
	name := k.Name
	if k.Namespace != "" {
		name = k.Namespace + "/" + k.Name
	}
	return literally.Replace(k.Group + ":" + k.Kind + ":" + name)
}

// literally takes away what characters mean in a glob: names of RBAC objects
// may have them.
var literally = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`, `\`, `\\`)

// cutTo is the beginning of s, in at most n characters.
func cutTo(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
