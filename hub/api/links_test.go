package api

import (
	"encoding/json"
	"testing"
)

// A19: whatever the API answers as an address that somebody could follow was refused
// unless it is one of a web or Git server. Links of annotations it does not answer.
func TestA19_NoAddressIsAScript(t *testing.T) {
	w := newWorld(t)
	with := func(address string) (repository, app answer) {
		quoted, err := json.Marshal(address)
		if err != nil {
			t.Fatal(err)
		}
		return w.call("POST", "/api/v1/repositories", `{"url":`+string(quoted)+`}`),
			w.call("PUT", "/api/v1/applications/web", `{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"web"},"spec":{"project":"default","source":{"repoURL":`+string(quoted)+
				`,"path":"x"},"destination":{"name":"eu","namespace":"shop"}}}`)
	}
	for _, bad := range []string{"javascript:alert(1)", "JaVaScRiPt:alert(1)", "javascript://h/%0aalert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)", "data:text/html,x", "vbscript:x", "title|javascript:alert(1)", "//evil/x", "https:evil", ""} {
		if repository, app := with(bad); repository.status != 400 || app.status != 400 {
			t.Errorf("%q: as a repository %d %s, as a source %d %s", bad, repository.status, repository.body, app.status, app.body)
		}
	}
	// It was the address.
	if repository, app := with("https://github.com/shop/web"); repository.status >= 300 || app.status >= 300 {
		t.Errorf("a good address: %d %s, %d %s", repository.status, repository.body, app.status, app.body)
	}
}
