package sync

import (
	"fmt"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestHooksOfHelmArePhasesAndWaves(t *testing.T) {
	for _, c := range []struct {
		annotations string
		hook        string
		wave        int
	}{
		{`helm.sh/hook: pre-install`, "PreSync", 0},
		{`helm.sh/hook: "pre-install, Pre-Upgrade", helm.sh/hook-weight: "-5"`, "PreSync", -5},
		{`helm.sh/hook: "post-install,pre-delete", helm.sh/hook-weight: "2"`, "PostSync,PreDelete", 2},
		{`helm.sh/hook: test, helm.sh/hook-weight: x`, "test", 0},
		{`helm.sh/hook: crd-install`, "", 0},
		{`helm.sh/hook: pre-install, helm.sh/hook-weight: "3", argocd.argoproj.io/sync-wave: "7"`, "PreSync", 7},
		{`helm.sh/hook: pre-install, helm.sh/hook-weight: "3", argocd.argoproj.io/hook: PostSync`, "PostSync", 0},
		{`helm.sh/hook-weight: "3"`, "", 0},
	} {
		text := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {%s}}\n", c.annotations)
		p := Prepare(Target{App: "app", Namespace: "ns"}, parse(t, text), func(model.GroupKind) (bool, bool) { return true, true })
		if len(p) != 1 || p[0].Hook != c.hook || p[0].Wave != c.wave {
			t.Errorf("%s: %+v", c.annotations, p)
		}
	}
}
