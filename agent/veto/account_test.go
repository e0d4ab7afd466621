package veto

import (
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestAccountsThatMayBeImpersonated(t *testing.T) {
	for name, c := range map[string]struct {
		policy, user, code string
	}{
		"no policy":             {"", "system:serviceaccount:shop:deployer", ""},
		"no list":               {"exec: false", "system:serviceaccount:shop:deployer", ""},
		"listed":                {"impersonate: [shop/deployer]", "system:serviceaccount:shop:deployer", ""},
		"by glob":               {"impersonate: ['team-*/*']", "system:serviceaccount:team-a:x", ""},
		"not listed":            {"impersonate: [shop/deployer]", "system:serviceaccount:shop:admin", "vetoed"},
		"another namespace":     {"impersonate: [shop/deployer]", "system:serviceaccount:bank:deployer", "vetoed"},
		"an empty list":         {"impersonate: []", "system:serviceaccount:shop:deployer", "vetoed"},
		"the agent's namespace": {"", "system:serviceaccount:hawser-system:hawser-agent", "vetoed"},
		"no service account":    {"", "system:admin", "caller_invalid"},
		"a broken policy":       {"impersonate: [shop]", "system:serviceaccount:shop:deployer", "veto_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			k := NewKeeper(Options{Namespace: "hawser-system"})
			k.Set(map[string]string{PolicyKey: c.policy}, c.policy != "")
			err := k.MayImpersonate(c.user)
			if c.code == "" && err != nil || c.code != "" && !fault.HasCode(err, c.code) {
				t.Errorf("%v", err)
			}
		})
	}
}
