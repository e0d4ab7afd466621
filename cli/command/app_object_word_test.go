package command

import "testing"

func TestObjectWord(t *testing.T) {
	for in, want := range map[string][3]string{
		"deployment/web":                   {"", "deployment", "web"},
		"certificates.cert-manager.io/tls": {"cert-manager.io", "certificates", "tls"},
		"apps/Deployment/web":              {"apps", "Deployment", "web"},
		"web":                              {},
		"a/b/c/d":                          {},
		"":                                 {},
	} {
		group, kind, name, grouped := objectWord(in)
		if [3]string{group, kind, name} != want || grouped != (want[0] != "") {
			t.Errorf("%q: %q %q %q %v", in, group, kind, name, grouped)
		}
	}
}
