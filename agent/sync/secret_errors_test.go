package sync

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// What an API server says of a Secret that it refuses quotes its values in many ways;
// none of them is passed on.
func TestA41_ErrorsAboutSecretsHoldNoValue(t *testing.T) {
	const value = `SECRET"VAL<1>`
	escaped, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	forms := []string{value, base64.StdEncoding.EncodeToString([]byte(value)), strings.Trim(string(escaped), `"`), "SECRET"}
	for _, kind := range []model.ObjectKey{{Kind: "Secret", Name: "s"}, {Kind: "secret", Name: "s"}, {Group: "example.com", Kind: "Secret", Name: "s"}} {
		for _, form := range forms {
			for _, code := range []int{400, 403, 404, 409, 413, 422, 500, 503} {
				for _, message := range []string{
					"cannot unmarshal number " + form + " into Go struct field Secret.data", "Invalid value: " + form + ": must be base64",
					`admission webhook "w" denied the request: ` + form, "Operation cannot be fulfilled: " + form, form,
				} {
					body, err := json.Marshal(map[string]any{"kind": "Status", "message": message, "reason": "Invalid",
						"details": map[string]any{"causes": []any{map[string]any{"field": "data[k]", "message": message}}}})
					if err != nil {
						t.Fatal(err)
					}
					if text := Classify(code, 0, body, kind, "v1").Error(); strings.Contains(text, form) {
						t.Errorf("%d %v: %q quotes %q", code, kind, text, form)
					}
				}
			}
		}
	}
}
