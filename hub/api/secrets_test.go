package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// secretTypes hold secrets, or what is stored of one: no answer may hold them, under
// whatever name.
var secretTypes = []reflect.Type{
	reflect.TypeFor[fleet.Credential](), reflect.TypeFor[fleet.Repository](), reflect.TypeFor[fleet.RepositoryTemplate](),
	reflect.TypeFor[fleet.APIToken](), reflect.TypeFor[fleet.EnrolmentToken](), reflect.TypeFor[fleet.User](), reflect.TypeFor[fleet.LoginSession](),
	reflect.TypeFor[fleet.FirstLogin](), reflect.TypeFor[fleet.Bundle](),
}

// secretSounds are in the names of fields that hold secrets.
var secretSounds = []string{"password", "secret", "token", "privatekey", "sshkey", "clientkey", "credential", "sealed", "hash", "cookie", "bearer", "passphrase", "apikey", "signingkey"}

// soundsOnly are fields of answers that sound like a secret, each with the reason
// why it may be there.
var soundsOnly = map[string]string{
	"model.RepositoryTest.Credential": "the words where a credential is from",
	"api.issuedToken.Token":           "a new token, shown once to who made it",
	"api.issuedEnrolmentToken.Token":  "a new token, shown once to who made it",
	"api.clusterToken.Token":          "a new token for one cluster, shown once to who asked for it",
	"api.issuedRoleToken.Token":       "a new token, shown once to who made it",
	"api.loginAnswer.Token":           "the session of who logs in, for a command line; a browser gets a cookie",
	"api.issuedEnrolmentToken.CAHash": "the digest of a public certificate",
	"audit.Record.ThroughHash":        "the digest of an audit record",
	"api.auditLine.Hash":              "the digest of an audit record",
}

// places finds the fields of a type that may hold a secret.
func places(root reflect.Type, told func(field, path, why string)) (types int) {
	seen := map[reflect.Type]bool{}
	var walk func(at reflect.Type, path string)
	walk = func(at reflect.Type, path string) {
		for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map}, at.Kind()) {
			at = at.Elem()
		}
		if slices.Contains(secretTypes, at) {
			told(at.String(), path, "is a secret")
			return
		}
		if at.Kind() != reflect.Struct || seen[at] || at == reflect.TypeFor[json.RawMessage]() {
			return
		}
		seen[at] = true
		for i := range at.NumField() {
			f := at.Field(i)
			if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
				continue // not written
			}
			holds := f.Type
			for holds.Kind() == reflect.Pointer || holds.Kind() == reflect.Slice && holds != reflect.TypeFor[[]byte]() || holds.Kind() == reflect.Map {
				holds = holds.Elem()
			}
			text := holds.Kind() == reflect.String || holds == reflect.TypeFor[[]byte]() || holds.Kind() == reflect.Interface
			for _, s := range secretSounds {
				if text && strings.Contains(strings.ToLower(f.Name), s) {
					told(at.String()+"."+f.Name, path, "sounds like "+s)
				}
			}
			walk(f.Type, path+"."+f.Name)
		}
	}
	walk(root, root.String())
	return len(seen)
}

// answers are all types that a handler may write: those of the table of routes,
// problems, and the bodies of events.
func answers() map[string]any {
	out := map[string]any{"problem": problem{}, "fault": fault.Error{},
		"event application": model.AppView{}, "event cluster": model.Cluster{}, "event operation": model.OperationInfo{},
		"event project": model.AppProject{}, "event repository": model.Repository{}}
	for _, r := range Routes() {
		if r.Answer != nil {
			out[r.Method+" "+r.Path] = r.Answer
		}
	}
	return out
}

// What answers are made of has no place for a secret, so that none can be
// forgotten there: not the type of a credential, and no text of such a name.
func TestA42_AnswersHaveNoPlaceForASecret(t *testing.T) {
	used := map[string]bool{}
	types := 0
	for route, answer := range answers() {
		types += places(reflect.TypeOf(answer), func(field, path, why string) {
			if soundsOnly[field] != "" {
				used[field] = true
				return
			}
			t.Errorf("%s: %s %s (%s)", route, field, why, path)
		})
	}
	for field := range soundsOnly {
		if !used[field] {
			t.Errorf("%s is in no answer; the exception is to go", field)
		}
	}
	if types < 100 {
		t.Errorf("%d types were looked at", types)
	}
}

// The walk finds what it is for.
func TestA42_TheWalkFindsSecrets(t *testing.T) {
	type deep struct {
		Inner []map[string]*fleet.Credential
	}
	for _, bad := range []any{
		fleet.Credential{}, list[fleet.Repository]{}, struct{ X deep }{}, struct{ Password string }{}, struct{ ClientSecret *string }{},
		struct{ Tokens []string }{}, struct{ Sealed []byte }{}, struct{ SSHKeys map[string]string }{},
	} {
		found := 0
		places(reflect.TypeOf(bad), func(string, string, string) { found++ })
		if found == 0 {
			t.Errorf("%T passes", bad)
		}
	}
}

// Answers that are kept for a repeated request lie in the database in the clear.
func TestNoKeyedAnswerHoldsASecret(t *testing.T) {
	keyed := 0
	for _, r := range Routes() {
		if !r.Keyed || r.Answer == nil {
			continue
		}
		keyed++
		places(reflect.TypeOf(r.Answer), func(field, path, why string) {
			t.Errorf("%s %s: %s %s (%s)", r.Method, r.Path, field, why, path)
		})
	}
	if keyed < 5 {
		t.Errorf("%d routes keep answers", keyed)
	}
}
