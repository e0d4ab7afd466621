package model

import "testing"

func TestManifestSourcesLeaveOutReferences(t *testing.T) {
	spec := ApplicationSpec{Sources: []Source{
		{RepoURL: "a", Path: "deploy"},
		{RepoURL: "b", Ref: "values"},
		{RepoURL: "c", Ref: "both", Path: "deploy"},
		{RepoURL: "d"},
	}}
	var got string
	for _, s := range spec.ManifestSources() {
		got += s.RepoURL
	}
	if got != "acd" {
		t.Errorf("manifests come from %q, want acd", got)
	}
}
