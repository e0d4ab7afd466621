package versions

import (
	"slices"
	"testing"
)

func TestPick(t *testing.T) {
	have := []string{"1.0.0", "1.2.0", "1.10.0", "v2.0.0", "2.1.0-rc.1", "2.1.0-rc.10", "latest", "3.0.0-beta", "0.9.1", "1.2.3+b.1", "1.2.3+b.2"}
	for want, expected := range map[string]string{
		"":                 "v2.0.0",
		"*":                "v2.0.0",
		"latest":           "latest",
		"1.2.0":            "1.2.0",
		"v1.2.0":           "1.2.0",
		"2.0.0":            "v2.0.0",
		"^1.2":             "1.10.0",
		"~1.2":             "1.2.3+b.2",
		"1.x":              "1.10.0",
		"1":                "1.10.0",
		"1.2.3+b.1":        "1.2.3+b.1",
		"1.2.3":            "1.2.3+b.2",
		">=1.0.0 <2.0.0":   "1.10.0",
		">=1.0.0, <1.10.0": "1.2.3+b.2",
		"0.9 || 1.0":       "1.0.0",
		"1.0.0 - 1.5.0":    "1.2.3+b.2",
		">0-0":             "3.0.0-beta",
		"~2.1.0-0":         "2.1.0-rc.10",
		"2.1.0-rc.1":       "2.1.0-rc.1",
		"^99":              "",
		"~2.1":             "",
		"main":             "",
		"^":                "",
	} {
		got, ok := Pick(have, want)
		if got != expected || ok != (expected != "") {
			t.Errorf("%q: got %q, %v", want, got, ok)
		}
		turned := slices.Clone(have)
		slices.Reverse(turned)
		if again, _ := Pick(turned, want); again != got {
			t.Errorf("%q: %q or %q, as the order is", want, got, again)
		}
	}
	if v, ok := Pick(nil, ""); ok {
		t.Errorf("picked %q of nothing", v)
	}
}

func TestNewest(t *testing.T) {
	for expected, have := range map[string][]string{
		"1.2.0":      {"1.0.0", "1.2.0", "2.0.0-rc.1", "x"},
		"2.0.0-rc.1": {"2.0.0-rc.1", "1.0.0-a", "x"},
		"":           {"x", "latest"},
	} {
		if got := Newest(have); got != expected {
			t.Errorf("%v: got %q", have, got)
		}
	}
}
