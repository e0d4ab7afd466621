package workspace

import (
	"strings"
	"testing"
)

func TestExpandAsksForWhatIsNamed(t *testing.T) {
	m := &Memory{Values: map[string]string{AppName: "web", AppProject: "shop", DestinationNamespace: "secret"}}
	w := &Workspace{Host: m, Refs: []string{"values"}}
	for in, want := range map[string]string{
		"plain":                         "plain",
		"$ARGOCD_APP_NAME-x":            "web-x",
		"${ARGOCD_APP_NAME}_y":          "web_y",
		"$$ARGOCD_APP_NAME":             "$ARGOCD_APP_NAME",
		"a$NOPE/b":                      "a/b",
		"$HOME$PATH":                    "",
		"$HAWSER_DESTINATION_NAMESPACE": "",
		"${ARGOCD_APP_NAME}$ARGOCD_APP_NAME.yaml": "webweb.yaml",
	} {
		if got, err := w.Expand(in); got != want || err != nil {
			t.Errorf("%q became %q, want %q (%v)", in, got, want, err)
		}
	}
	if got := strings.Join(m.Asked, ", "); got != "fact ARGOCD_APP_NAME" {
		t.Errorf("asked %s", got)
	}
}

func TestRefPath(t *testing.T) {
	w := &Workspace{Refs: []string{"values"}}
	if tree, p, ok := w.RefPath("$values/a/b.yaml"); tree != "ref:values" || p != "a/b.yaml" || !ok {
		t.Errorf("%q %q %v", tree, p, ok)
	}
	for _, p := range []string{"values/a", "$other/a", "$ARGOCD_APP_NAME/a", "", "$"} {
		if _, _, ok := w.RefPath(p); ok {
			t.Errorf("%q was taken", p)
		}
	}
}
