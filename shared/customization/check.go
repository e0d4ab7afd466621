package customization

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// Bounds beside model.MaxCustomizationsBytes.
const (
	maxKeys = 2000
	// maxKey is the length of a key in a ConfigMap.
	maxKey = 253
)

// Check reports what is wrong with the texts of keys that Hawser uses: each
// fault has the code customization_invalid and the key as its field. Scripts are
// not compiled (CheckScripts). It returns a fault.List, or nil.
func Check(c model.Customizations) error {
	if len(c) > maxKeys {
		return fault.List{fault.New(fault.TooLarge, "customizations_too_large", "there are %d keys; at most %d are taken", len(c), maxKeys)}
	}
	if n := len(c.JSON()); n > model.MaxCustomizationsBytes {
		return fault.List{fault.New(fault.TooLarge, "customizations_too_large", "the customizations are %d bytes long; at most %d are taken", n, model.MaxCustomizationsBytes)}
	}
	return CheckTexts(c)
}

// CheckTexts is Check of what does not travel, however large.
func CheckTexts(c model.Customizations) error {
	var problems fault.List
	add := func(key, format string, args ...any) {
		if len(problems) < 20 {
			problems = append(problems, fault.New(fault.Invalid, "customization_invalid", "%s", cut(short(key)+": "+fmt.Sprintf(format, args...), 297)).WithField(short(key)))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c)) {
		text := c[key]
		switch {
		case len(key) > maxKey:
			add(key, "the key is %d characters long; at most %d are taken", len(key), maxKey)
		case !utf8.ValidString(key) || !utf8.ValidString(text):
			add(key, "it is not UTF-8")
		case strings.ContainsRune(text, 0):
			add(key, "it contains a NUL character")
		default:
			if err := checkText(key, text); err != nil {
				for _, e := range all(err) {
					place := ""
					if e.Field != "" && !strings.Contains(e.Message, e.Field) {
						place = e.Field + ": "
					}
					add(key, "%s%s", place, cut(e.Message, 200))
				}
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

func all(err error) []*fault.Error {
	var list fault.List
	if errors.As(err, &list) {
		return list
	}
	return []*fault.Error{fault.As(err)}
}

func invalid(format string, args ...any) error {
	return fault.New(fault.Invalid, "customization_invalid", format, args...)
}

func checkText(key, text string) error {
	k, ok := ParseKey(key)
	if !ok {
		return invalid("it is not a key that Hawser uses")
	}
	if k.Part != "" {
		if err := checkKind(k); err != nil {
			return err
		}
	}
	// A cluster takes a customization of the fleet back with an empty text.
	if strings.TrimSpace(text) == "" {
		return nil
	}
	switch {
	case key == All:
		return checkAll(text)
	case key == CompareOptions:
		var o struct {
			IgnoreAggregatedRoles      bool    `json:"ignoreAggregatedRoles"`
			IgnoreResourceStatusField  *string `json:"ignoreResourceStatusField"`
			IgnoreDifferencesOnUpdates bool    `json:"ignoreDifferencesOnResourceUpdates"`
		}
		if err := decode.Into([]byte(text), &o); err != nil {
			return err
		}
		if s := o.IgnoreResourceStatusField; s != nil && !slices.Contains([]string{"crd", "all", "none", "off", "false"}, *s) {
			return invalid("ignoreResourceStatusField is %.40q; use crd, all or none", *s)
		}
		return nil
	case key == SensitiveAnnotations:
		for name := range strings.SplitSeq(text, ",") {
			if name = strings.TrimSpace(name); strings.ContainsAny(name, " \t\n:=") {
				return invalid("%.80q is not the name of an annotation; they are separated by commas", name)
			}
		}
		return nil
	}
	return checkPart(k.Part, text)
}

// checkKind checks group_Kind. The group has no "_" in it.
func checkKind(k Key) error {
	if k.Kind == "all" {
		if k.Part == IgnoreDifferences {
			return nil
		}
		return invalid(`"all" has a meaning for %s only`, IgnoreDifferences)
	}
	if strings.Count(k.Kind, "_") > 1 || strings.ContainsAny(k.Kind, "/ \t") || strings.HasSuffix(k.Kind, "_") || strings.HasPrefix(k.Kind, "_") {
		return invalid("%.80q is not a kind; write <group>_<Kind>, or <Kind> for the core group", k.Kind)
	}
	return nil
}

func checkPart(part, text string) error {
	switch part {
	case UseOpenLibs:
		if s := strings.TrimSpace(text); s != "true" && s != "false" {
			return invalid("it must be true or false, got %.40q", s)
		}
		return nil
	case IgnoreDifferences:
		var o struct {
			JSONPointers          []string `json:"jsonPointers"`
			JQPathExpressions     []string `json:"jqPathExpressions"`
			ManagedFieldsManagers []string `json:"managedFieldsManagers"`
		}
		return decode.Into([]byte(text), &o)
	case Actions:
		var o actionScripts
		if err := decode.Into([]byte(text), &o); err != nil {
			return err
		}
		if strings.TrimSpace(o.Discovery) == "" {
			return invalid("it has no discovery.lua")
		}
		seen := map[string]bool{}
		for i, d := range o.Definitions {
			switch {
			case d.Name == "":
				return invalid("definitions[%d] has no name", i)
			case seen[d.Name]:
				return invalid("definitions[%d]: there are two actions with the name %.60q", i, d.Name)
			case strings.TrimSpace(d.Action) == "":
				return invalid("definitions[%d] (%.60q) has no action.lua", i, d.Name)
			}
			seen[d.Name] = true
		}
		return nil
	case KnownTypeFields:
		return checkTypeFields(text)
	}
	return nil // a script
}

// checkTypeFields wraps the list, because a document is an object.
func checkTypeFields(text string) error {
	var o struct {
		Fields []typeField `json:"knownTypeFields"`
	}
	indented := "knownTypeFields:\n  " + strings.ReplaceAll(text, "\n", "\n  ")
	if err := decode.Into([]byte(indented), &o); err != nil {
		return err
	}
	return fieldsNamed(o.Fields)
}

type typeField struct {
	Field string `json:"field"`
	Type  string `json:"type"`
}

func fieldsNamed(fields []typeField) error {
	for i, f := range fields {
		if f.Field == "" || f.Type == "" {
			return invalid("entry %d has no field or no type", i)
		}
	}
	return nil
}

// checkAll checks the older form: kinds by "group/Kind", and their parts.
func checkAll(text string) error {
	var o map[string]kindTexts
	if err := decode.Into([]byte(text), &o); err != nil {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(o)) {
		c := o[kind]
		for part, text := range map[string]string{Actions: c.Actions, IgnoreDifferences: c.IgnoreDifferences} {
			if strings.TrimSpace(text) == "" {
				continue
			}
			if err := checkPart(part, text); err != nil {
				e := all(err)[0]
				return invalid("%s of %.80q: %s", part, kind, cut(e.Message, 160))
			}
		}
		if err := fieldsNamed(c.KnownTypeFields); err != nil {
			return invalid("knownTypeFields of %.80q: %s", kind, fault.As(err).Message)
		}
	}
	return nil
}

func short(key string) string { return cut(strings.ToValidUTF8(key, "\uFFFD"), 120) }

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
