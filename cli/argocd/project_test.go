package argocd

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A change of a project that somebody else has changed meanwhile is done again on
// what is there then, a few times; a change that is made is of the version read.
func TestProjectsAreWrittenOverTheVersionRead(t *testing.T) {
	for _, c := range []struct {
		conflicts, writes, code int
	}{{0, 1, 0}, {1, 2, 0}, {4, 5, 0}, {99, 5, ExitError}} {
		hub := newFake(t)
		reads, writes := 0, 0
		last := ""
		hub.first = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/api/v1/projects/shop" {
				return false
			}
			if r.Method == http.MethodGet {
				reads++
				version := strings.Repeat("x", reads)
				w.Header().Set("ETag", `"`+version+`"`)
				_, _ = io.WriteString(w, strings.Replace(project, `"description":"the shop"`, `"description":"`+version+`"`, 1))
				return true
			}
			writes++
			body, _ := io.ReadAll(r.Body)
			last = string(body)
			if want := `"` + strings.Repeat("x", reads) + `"`; r.Header.Get("If-Match") != want {
				t.Errorf("If-Match is %s, want %s", r.Header.Get("If-Match"), want)
			}
			if writes <= c.conflicts {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusPreconditionFailed)
				_, _ = io.WriteString(w, `{"kind":"conflict","code":"version_conflict","detail":"changed meanwhile"}`)
				return true
			}
			_, _ = io.WriteString(w, project)
			return true
		}
		code, _, errs := run(t, "proj", "add-source", "shop", "c")
		if code != c.code || writes != c.writes || reads != c.writes {
			t.Errorf("%d conflicts: exit status %d, %d reads, %d writes; %s", c.conflicts, code, reads, writes, errs)
		}
		if want := `"description":"` + strings.Repeat("x", reads) + `"`; !strings.Contains(last, want) || !strings.Contains(last, `"sourceRepos":["a","b","c"]`) {
			t.Errorf("%d conflicts: written was %s", c.conflicts, last)
		}
		if c.code != 0 && !strings.Contains(errs, "changed meanwhile") {
			t.Errorf("the error is %s", errs)
		}
	}
}
