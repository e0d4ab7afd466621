package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// What answers are made of has no place for a secret, so that none can be
// forgotten there: not the type of a credential, and no text of such a name.
func TestAnswersHaveNoPlaceForASecret(t *testing.T) {
	// Names that sound like one and are what people may see.
	harmless := []string{"model.CredentialInfo", "model.RepositoryTest.Credential", "model.RepositoryView.Credential"}
	sounds := []string{"password", "secret", "token", "privatekey", "sshkey", "clientkey", "credential", "sealed"}
	seen := map[reflect.Type]bool{}
	var walk func(at reflect.Type, path string)
	walk = func(at reflect.Type, path string) {
		for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map}, at.Kind()) {
			at = at.Elem()
		}
		if at == reflect.TypeFor[fleet.Credential]() {
			t.Errorf("%s is a credential", path)
		}
		if at.Kind() != reflect.Struct || seen[at] || at == reflect.TypeFor[json.RawMessage]() || slices.Contains(harmless, at.String()) {
			return
		}
		seen[at] = true
		for i := range at.NumField() {
			f := at.Field(i)
			name := at.String() + "." + f.Name
			for _, s := range sounds {
				if f.Type.Kind() == reflect.String && strings.Contains(strings.ToLower(f.Name), s) && !slices.Contains(harmless, name) {
					t.Errorf("%s (%s) sounds like a secret", name, path)
				}
			}
			walk(f.Type, path+"."+f.Name)
		}
	}
	for _, answer := range []any{
		model.Repository{}, model.RepositoryTemplate{}, model.RepositoryTest{}, model.RepositoryTestLine{},
		model.Application{}, model.AppView{}, model.Cluster{}, model.AppProject{},
	} {
		walk(reflect.TypeOf(answer), reflect.TypeOf(answer).String())
	}
	if len(seen) < 20 {
		t.Errorf("%d types were looked at", len(seen))
	}
}
