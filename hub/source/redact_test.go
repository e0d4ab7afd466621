package source

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Whatever a server repeats, what it was told is in no error, its cause included,
// which is for the log.
func TestWhatAServerRepeatsIsNotPassedOn(t *testing.T) {
	const user, password = "robot", "CANARY-s3cret"
	basic := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	for name, words := range map[string]string{
		"plain": "no access for " + password, "in a URL": "see https://" + user + ":" + password + "@h/x", "encoded": "got Basic " + basic,
	} {
		url, pair := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/info/refs") {
				w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
				fmt.Fprintf(w, "%04xERR %s", len(words)+8, words)
				return
			}
			w.Header().Set("Content-Type", words)
			w.Header().Set("WWW-Authenticate", "Bearer realm=\""+words+"\"")
			http.Error(w, words, http.StatusUnauthorized)
		}), "")
		for kind, target := range map[string]fleet.Target{
			"git": {RepoURL: url + "/x", Revision: "main"}, "helm": {RepoURL: url, Chart: "web"}, "oci": {RepoURL: "oci://" + strings.TrimPrefix(url, "https://"), Chart: "web"},
		} {
			cred := fleet.Credential{Username: user, Password: password, CABundle: pair.authority}
			s := newSources(t, always(cred))
			out, err := s.Resolve(t.Context(), target.RepoURL, []fleet.Target{target})
			if err == nil {
				err = out[target].Err
			}
			if err == nil {
				t.Fatalf("%s: that was a repository", kind)
			}
			known := fault.As(err)
			if text := fmt.Sprintf("%+v %v", known, known.Cause); strings.Contains(text, "CANARY") || strings.Contains(text, basic) {
				t.Errorf("%s %s: %s", name, kind, text)
			}
			cred.Type = target.Type()
			steps, err := probe(t, s, target.RepoURL, &cred)
			for _, st := range steps {
				if text := fmt.Sprintf("%+v", st); st.Err != nil {
					if text += fmt.Sprint(fault.As(st.Err).Cause); strings.Contains(text, "CANARY") || strings.Contains(text, basic) {
						t.Errorf("probe %s %s: %s", name, kind, text)
					}
				}
			}
			if err != nil || len(steps) == 0 {
				t.Errorf("%s %s: %v", name, kind, err)
			}
		}
	}
}
