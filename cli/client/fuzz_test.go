package client

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Whatever answers in the place of a hub: it is an error with a code and words, whose
// kind is one that commands know the exit status of.
func FuzzProblem(f *testing.F) {
	for _, s := range []string{
		`{"title":"Not Found","status":404,"kind":"not_found","code":"app_not_found","detail":"there is none","field":"a","fix":"b","requestId":"r","explain":{"a":1}}`,
		`{"detail":"several","errors":[{"code":"a","detail":"x"},{"code":"b","detail":"y"}],"explain":[]}`, `{"detail":"one","errors":[{}]}`, `{"detail":"d","kind":"no_such_kind"}`,
		`{"detail":"d","errors":[{"detail":"e","errors":[{"detail":"f"},{}]},{}]}`, `{"detail":""}`, `{"detail":{}}`, `null`, `<html>`, ``,
	} {
		for _, status := range []int{400, 404, 500, 503, 302, 0} {
			f.Add(status, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		err := Problem(body, status)
		if err == nil {
			t.Fatalf("%d %q is no error", status, body)
		}
		each := []*fault.Error{fault.As(err)}
		if list, ok := err.(fault.List); ok { //nolint:errorlint // it is what Problem returns
			each = list
		}
		for _, e := range each {
			if e.Kind.ExitCode() == 0 || e.Code == "" || e.Message == "" {
				t.Fatalf("%d %q is the error %+v", status, body, e)
			}
			if _, err := json.Marshal(e); err != nil {
				t.Fatalf("%d %q: %v", status, body, err)
			}
		}
		_ = answered(&http.Response{StatusCode: status}, body)
	})
}
