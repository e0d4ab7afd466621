package customization

import (
	"maps"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/luacode"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// actionScripts is the text of a customization of actions.
type actionScripts struct {
	Discovery   string `json:"discovery.lua"`
	Definitions []struct {
		Name   string `json:"name"`
		Action string `json:"action.lua"`
	} `json:"definitions"`
	MergeBuiltin bool `json:"mergeBuiltinActions"`
}

// kindTexts is what the older form says about one kind.
type kindTexts struct {
	Health                string      `json:"health.lua"`
	UseOpenLibs           bool        `json:"health.lua.useOpenLibs"`
	Actions               string      `json:"actions"`
	IgnoreDifferences     string      `json:"ignoreDifferences"`
	IgnoreResourceUpdates string      `json:"ignoreResourceUpdates"`
	KnownTypeFields       []typeField `json:"knownTypeFields"`
}

// CheckScripts reports the scripts that do not compile, for those who can still
// refuse them: the hub and an import. An agent takes the others and reports these.
// Each fault has the code customization_invalid and the key as its field. Of texts
// that CheckTexts refuses nothing is said.
func CheckScripts(c model.Customizations) error {
	var problems fault.List
	for _, key := range slices.Sorted(maps.Keys(c)) {
		k, _ := ParseKey(key)
		add := func(place, source string) {
			if strings.TrimSpace(source) == "" || len(problems) == 20 {
				return
			}
			if _, err := luacode.Compile(cut(place, 120), source); err != nil {
				problems = append(problems, fault.New(fault.Invalid, "customization_invalid", "%s", cut(fault.As(err).Message, 297)).WithField(short(key)))
			}
		}
		switch {
		case key == All:
			var kinds map[string]kindTexts
			if decode.Into([]byte(c[key]), &kinds) != nil {
				continue // CheckTexts says so
			}
			for _, kind := range slices.Sorted(maps.Keys(kinds)) {
				add(short(key)+": "+kind+": health.lua", kinds[kind].Health)
				actions(short(key)+": "+kind+": actions", kinds[kind].Actions, add)
			}
		case k.Part == Health:
			add(short(key), c[key])
		case k.Part == Actions:
			actions(short(key), c[key], add)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

// actions calls add for each script of a text of actions.
func actions(place, text string, add func(place, source string)) {
	var a actionScripts
	if decode.Into([]byte(text), &a) != nil {
		return // CheckTexts says so
	}
	add(place+": discovery.lua", a.Discovery)
	for _, d := range a.Definitions {
		add(place+": "+d.Name+": action.lua", d.Action)
	}
}
