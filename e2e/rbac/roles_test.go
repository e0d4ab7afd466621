package rbac

import (
	"slices"
	"testing"

	"github.com/hawser-dev/hawser/cli/command"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
)

// What the command line says of roles (auth can-i --list) is what the hub permits.
func TestRolesAreAsTheCommandLineSays(t *testing.T) {
	for _, role := range permission.Roles() {
		set := permission.Compile(false, []fleet.Grant{{Project: "shop", Role: role}})
		said := command.RoleVerbs(role)
		for _, verb := range permission.Verbs() {
			may := set.Decide(verb, permission.Applications, "shop", "web").Allowed
			if may != slices.Contains(said, string(verb)) {
				t.Errorf("%s may %s: %v, and the command line says otherwise", role, verb, may)
			}
		}
		for _, verb := range said {
			if !slices.Contains(permission.Verbs(), permission.Verb(verb)) {
				t.Errorf("%s is no verb of the hub", verb)
			}
		}
	}
}
