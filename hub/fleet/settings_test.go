package fleet

import (
	"reflect"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestWhoIsOwedSettings(t *testing.T) {
	c := model.Customizations{"resource.customizations.health.X": "return {}"}
	able := []string{"other", model.CapabilitySettings}
	for name, x := range map[string]struct {
		capabilities []string
		held         model.Digest
		s            model.Settings
		owed         bool
	}{
		"has none":                     {able, "", model.Settings{Version: 1, Customizations: c}, true},
		"has others":                   {able, model.Customizations{}.Digest(), model.Settings{Version: 1, Customizations: c}, true},
		"has them":                     {able, c.Digest(), model.Settings{Version: 1, Customizations: c}, false},
		"has them by another version":  {able, c.Digest(), model.Settings{Version: 7, Customizations: c}, false},
		"an agent from before":         {[]string{"other"}, "", model.Settings{Version: 1, Customizations: c}, false},
		"set to nothing":               {able, c.Digest(), model.Settings{Version: 2, Customizations: model.Customizations{}}, true},
		"set to nothing, has nothing":  {able, model.Customizations{}.Digest(), model.Settings{Version: 2}, false},
		"never set: absence is silent": {able, c.Digest(), model.Settings{}, false},
		"never set, has none":          {able, "", model.Settings{}, false},
	} {
		if got := SettingsOwed(x.capabilities, x.held, x.s); got != x.owed {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDiffOfCustomizations(t *testing.T) {
	got := DiffCustomizations(model.Customizations{"a": "1", "b": "2", "c": "3"}, model.Customizations{"b": "2", "c": "4", "d": ""})
	want := []KeyChange{{"a", KeyRemoved, "1", ""}, {"c", KeyChanged, "3", "4"}, {"d", KeyAdded, "", ""}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := DiffCustomizations(nil, nil); got == nil || len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
