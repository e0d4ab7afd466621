package source

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestSymbolicLinks(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, _ := createRepo(t, server, "app", map[string]string{"shared/base.yaml": "base\n", "ok/own.yaml": "own\n"})
	head := change(t, repo, testbed.Change{
		Files: content(map[string]string{"absolute/x.yaml": "x", "relative/x.yaml": "x", "chain/x.yaml": "x", "broken/x.yaml": "x", "loop/x.yaml": "x"}),
		Links: map[string]string{
			"ok/base.yaml": "../shared/base.yaml", "ok/twice.yaml": "base.yaml", "alias": "ok", "ok/dir": "../shared",
			"absolute/a.yaml": "/etc/passwd", "relative/a.yaml": "../../../etc/passwd", "chain/a.yaml": "b.yaml", "chain/b.yaml": "../../outside",
			"broken/a.yaml": "nothing.yaml", "loop/a.yaml": "b.yaml", "loop/b.yaml": "a.yaml", "out": "../",
		},
	})
	s := newSources(t, Options{})
	snap := snapshot(t, s, repo.URL(), head)
	files, err := listFiles(t.Context(), snap, "alias", true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%s>%d>%v", f.path, f.size, f.broken))
	}
	want := "alias/base.yaml>5>false, alias/dir>0>true, alias/own.yaml>4>false, alias/twice.yaml>5>false"
	if g := strings.Join(got, ", "); g != want {
		t.Errorf("got %s\nwant %s", g, want)
	}
	if text := fileText(t, snap, "alias/twice.yaml"); text != "base\n" {
		t.Errorf("content %q", text)
	}
	if text := fileText(t, snap, "ok/dir/base.yaml"); text != "base\n" {
		t.Errorf("content %q", text)
	}
	for _, dir := range []string{"absolute", "relative", "chain"} {
		_, err := listFiles(t.Context(), snap, dir, true)
		if e := fault.As(err); e.Code != "symlink_out_of_bounds" || e.Kind != fault.Unprocessable || !strings.Contains(e.Message, dir+"/") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := listFiles(t.Context(), snap, "out", true); !fault.HasCode(err, "symlink_out_of_bounds") {
		t.Errorf("got %v", err)
	}
	for _, dir := range []string{"broken", "loop"} {
		files, err := listFiles(t.Context(), snap, dir, true)
		if err != nil || !files[0].broken {
			t.Errorf("%s: %v %v", dir, files, err)
		}
	}
}

func TestPathsThatAreMissing(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"deploy/stage/a.yaml": "a", "deploy/dev/a.yaml": "a", "README": "x"})
	snap := snapshot(t, newSources(t, Options{}), repo.URL(), head)
	for path, text := range map[string]string{
		"deploy/prod":       "that revision has: deploy/dev, deploy/stage",
		"deploy/stagee":     "closest: deploy/stage",
		"deploy/dev/a/b/c":  "has no subdirectory",
		"nothing/of/that":   "that revision has: deploy",
		"README":            "is a file",
		"README/x":          "does not exist",
		"deploy/dev/a.yaml": "is a file",
	} {
		_, err := listFiles(t.Context(), snap, path, true)
		if e := fault.As(err); e.Code != "path_not_found" || !strings.Contains(e.Message, text) || e.Field != "spec.source.path" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if h := dirHash(t, snap, "deploy/prod"); h != "" {
		t.Errorf("got %q", h)
	}
	if _, size, mode, err := snap.Stat(t.Context(), "README"); err != nil || size != 1 || Mode(mode) != ModeRegular {
		t.Errorf("got %d %o %v", size, mode, err)
	}
	if h, _, mode, err := snap.Stat(t.Context(), "x"); err != nil || h != "" || mode != 0 {
		t.Errorf("got %q %v", h, err)
	}
}
