package manifest

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/model"
)

// hiddenWords stand for what is taken out of a text.
const hiddenWords = "(hidden)"

var (
	// wholeSecret is where a text begins to quote an object that is a Secret, or the
	// copy of one that kubectl keeps, as JSON (escaped or not) or YAML.
	wholeSecret = regexp.MustCompile(`(?i)\\*"?kind\\*"?[ \t]*:[ \t]*\\*["']?secret(list)?\b|last-applied-configuration`)
	// quotedValue is what an API server says of a value that it refuses, in a field of
	// a Secret's data.
	quotedValue = regexp.MustCompile(`(?i)((?:string)?data(?:\[[^\]]*\]|\.[^ :]+)?: (?:invalid|unsupported|duplicate|too long|required|forbidden)[^:"]*:? *)"(?:\\.|[^"\\])*"?`)
	// plainWord is a word that says nothing of a value: of letters, as sentences have
	// them, and codes of errors.
	plainWord = regexp.MustCompile(`^[("]?(?:[A-Z]?[a-z]{1,14}|[a-z]{1,14}(?:_[a-z]{1,14})+|[0-9]{1,4})['".,:;)!?]*$`)
	// beforeName come before a name that is in quotes and no value.
	beforeName = regexp.MustCompile(`(?i)^\(?(?:application|project|namespace|cluster|account|manager|secret)$`)
	quotedName = regexp.MustCompile(`^"[a-z0-9]([a-z0-9.@:/-]{0,61}[a-z0-9])?"[.,:;)]*$`)
)

// GuardText takes values of Secrets out of a text about an object; the zero key is of
// a text about nothing in particular. Of a text about a Secret the plain words are
// left, and the Secret's own names: whoever wrote it may have quoted a value. Out of
// any other text are taken whole Secrets that it quotes, and what an API server says
// of values in their data. A value that stands among other words of a text that is
// about no Secret is not recognised.
func GuardText(key model.ObjectKey, text string) string {
	if text == "" {
		return text
	}
	whole, quoted := suspect(text)
	if whole {
		if at := wholeSecret.FindStringIndex(text); at != nil {
			from := at[0]
			if brace := strings.IndexByte(text[:from], '{'); brace >= 0 {
				from = brace
			} else if strings.Contains(text, "\n") {
				from = 0 // YAML: its fields are in any order
			}
			text = text[:from] + hiddenWords
		}
	}
	if quoted {
		text = quotedValue.ReplaceAllString(text, "${1}"+hiddenWords)
	}
	text = HideKnown(text, unsaid)
	if !IsSecret(key.GroupKind()) {
		return text
	}
	words := strings.Fields(text)
	for i, w := range words {
		bare := strings.Trim(w, `"'().,:;!?`)
		switch {
		case w == hiddenWords, plainWord.MatchString(w), bare != "" && (bare == key.Name || bare == key.Namespace || bare == key.Namespace+"/"+key.Name || bare == "Secret/"+key.Name), bare == "":
		case i > 0 && beforeName.MatchString(words[i-1]) && quotedName.MatchString(w):
		case openPlace.MatchString(bare):
		default:
			words[i] = hiddenWords
		}
	}
	return strings.Join(words, " ")
}

// suspect says which of the expressions could match at all: most texts have none of
// the words that these begin with, and looking for words is much cheaper. Any text
// with letters outside ASCII is suspect: some of them are other spellings of ASCII
// ones to an expression that ignores case.
func suspect(text string) (whole, quoted bool) {
	has := func(i int, word string) bool {
		return len(text)-i >= len(word) && strings.EqualFold(text[i:i+len(word)], word)
	}
	for i := 0; i < len(text) && !(whole && quoted); i++ {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			return true, true
		case c|0x20 == 's':
			whole = whole || has(i, "secret")
		case c|0x20 == 'l':
			whole = whole || has(i, "last-applied")
		case c|0x20 == 'd':
			quoted = quoted || has(i, "data")
		}
	}
	return whole, quoted && strings.Contains(text, `"`)
}

// openPlace is the place of a field, which is no value.
var openPlace = regexp.MustCompile(`^(?:metadata|type|immutable|data|stringData)(?:[.\[][A-Za-z0-9._\-\]]{1,100})?$`)

// GuardStatus makes sure that a status shows nothing of a Secret. s is modified, not
// what it shares with others.
func GuardStatus(s *model.AppStatus) {
	s.Health.Message = GuardText(model.ObjectKey{}, s.Health.Message)
	s.HealthCauses = slices.Clone(s.HealthCauses)
	for i := range s.HealthCauses {
		h := &s.HealthCauses[i]
		h.Message = GuardText(h.ObjectKey, h.Message)
	}
	s.Conditions = slices.Clone(s.Conditions)
	for i := range s.Conditions {
		s.Conditions[i].Message = GuardText(model.ObjectKey{}, s.Conditions[i].Message)
	}
	s.Resources = slices.Clone(s.Resources)
	for i := range s.Resources {
		r := &s.Resources[i]
		r.Health.Message = GuardText(r.ObjectKey, r.Health.Message)
		r.Differences = slices.Clone(r.Differences)
		for j := range r.Differences {
			GuardDifference(r.ObjectKey, &r.Differences[j])
		}
	}
	if s.Operation != nil {
		op := *s.Operation
		op.Message, op.Result = GuardText(model.ObjectKey{}, op.Message), guardResult(op.Result)
		s.Operation = &op
	}
}

// GuardTree makes sure that a tree shows nothing of a Secret: of one in it there are
// no facts and images. It returns a copy; nil stays nil.
func GuardTree(t *model.ResourceTree) *model.ResourceTree {
	if t == nil {
		return nil
	}
	out := *t
	for _, nodes := range []*[]model.TreeNode{&out.Nodes, &out.Orphaned} {
		*nodes = slices.Clone(*nodes)
		for i := range *nodes {
			n := &(*nodes)[i]
			n.Health.Message = GuardText(n.ObjectKey, n.Health.Message)
			if IsSecret(n.GroupKind()) {
				n.Info, n.Images = nil, nil
				continue
			}
			n.Info = slices.Clone(n.Info)
			for j := range n.Info {
				n.Info[j].Value = GuardText(n.ObjectKey, n.Info[j].Value)
			}
		}
	}
	return &out
}

// GuardUpdate makes sure that what is said of an operation shows nothing of a Secret.
func GuardUpdate(u *model.OperationUpdate) {
	u.Message, u.Result = GuardText(model.ObjectKey{}, u.Message), guardResult(u.Result)
}

func guardResult(r *model.OperationResult) *model.OperationResult {
	if r == nil {
		return nil
	}
	out := *r
	out.Resources = slices.Clone(out.Resources)
	for i := range out.Resources {
		out.Resources[i].Message = GuardText(out.Resources[i].ObjectKey, out.Resources[i].Message)
	}
	return &out
}

// GuardEvent makes sure that an event shows nothing of a Secret.
func GuardEvent(e *model.ObjectEvent) {
	e.Message = GuardText(e.Object, e.Message)
	if IsSecret(e.Object.GroupKind()) {
		e.Reason = GuardText(e.Object, e.Reason)
	}
}
