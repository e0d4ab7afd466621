package reconcile

import (
	"testing"

	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// An agent that looks only into some namespaces deploys nothing elsewhere: it would
// never see what became of it.
func TestObjectsElsewhereAreRefused(t *testing.T) {
	for _, row := range []struct {
		key  model.ObjectKey
		only []string
		code string
	}{
		{model.ObjectKey{Kind: "ConfigMap", Namespace: "shop"}, nil, ""},
		{model.ObjectKey{Kind: "Namespace", Name: "shop"}, nil, ""},
		{model.ObjectKey{Kind: "ConfigMap", Namespace: "shop"}, []string{"till", "shop"}, ""},
		{model.ObjectKey{Kind: "ConfigMap", Namespace: "other"}, []string{"till", "shop"}, codeNotWatched},
		{model.ObjectKey{Kind: "Namespace", Name: "shop"}, []string{"till", "shop"}, codeNotWatched},
		{model.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "x"}, []string{"shop"}, codeNotWatched},
		{model.ObjectKey{Kind: "ConfigMap", Namespace: "hawser-system"}, []string{"shop"}, codeOwnNamespace},
	} {
		e := &Engine{o: Options{OwnNamespace: "hawser-system", Namespaces: row.only}}
		code := ""
		if err := e.refuseOwn([]sync.Prepared{{Key: row.key}})[0].Err; err != nil {
			code = fault.As(err).Code
		}
		if code != row.code {
			t.Errorf("%s with %v: %q, want %q", row.key, row.only, code, row.code)
		}
	}
}
