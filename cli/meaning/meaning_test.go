package meaning

import (
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestEveryNumberHasAMeaning(t *testing.T) {
	for _, r := range fault.Registry() {
		m, ok := Of(r.ID())
		if !ok || m.Code != r.Code || m.About == "" {
			t.Errorf("%s %s: %+v", r.ID(), r.Code, m)
		}
		if len(m.Kinds) > 0 && len(m.Fixes) == 0 {
			t.Errorf("%s %s is an error and nothing says what to do", r.ID(), r.Code)
		}
	}
}

func TestWhatIsFound(t *testing.T) {
	for text, want := range map[string]string{
		"HW-4103": "destination_not_permitted", "hw-4103": "destination_not_permitted", "destination_not_permitted": "destination_not_permitted",
		"HW-0001": "", "web": "", "": "",
	} {
		if m, _ := Of(text); m.Code != want {
			t.Errorf("%q is %q, want %q", text, m.Code, want)
		}
	}
	for text, want := range map[string]bool{"HW-4103": true, "hw-1": true, "HW-x": false, "a_b": true, "web": false, "shop/a_b": false, "app/web": false} {
		if Looks(text) != want {
			t.Errorf("%q looks like a code: %v", text, !want)
		}
	}
}
