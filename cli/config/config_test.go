package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "hawser")
	path := filepath.Join(dir, "config.yaml")
	t.Setenv("HAWSER_CONFIG", path)
	if f, err := Load(); err != nil || !reflect.DeepEqual(f, File{}) {
		t.Fatalf("without a file: %+v, %v", f, err)
	}
	var f File
	f.Set(Context{Name: "one", URL: "https://one:1", CAHash: "sha256:aa", Token: "hwt_1", User: "ana"})
	f.Set(Context{Name: "two", URL: "https://two:1"})
	f.Set(Context{Name: "one", URL: "https://one:2", Token: "hwt_2"})
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := Load()
	if err != nil || !reflect.DeepEqual(got, f) {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(got.Contexts) != 2 || got.Current != "one" {
		t.Errorf("%+v", got)
	}
	if c, ok := got.Context(""); !ok || c.Token != "hwt_2" {
		t.Errorf("current: %+v, %v", c, ok)
	}
	if c, ok := got.Context("two"); !ok || c.URL != "https://two:1" {
		t.Errorf("two: %+v, %v", c, ok)
	}
	if _, ok := got.Context("three"); ok {
		t.Error("found a context that does not exist")
	}
	for p, want := range map[string]os.FileMode{path: 0o600, dir: 0o700} {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %v", p, info.Mode())
		}
	}
}

func TestSaveReplacesAndLeavesNothingBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	t.Setenv("HAWSER_CONFIG", path)
	// A file that others may read becomes one that they may not.
	if err := os.WriteFile(path, []byte("current: old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := (File{Current: "new"}).Save(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, _ := old.Read(b); string(b[:n]) != "current: old\n" {
		t.Errorf("a reader of the old file saw %q", b[:n])
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestSaveThatFailsKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	// The place is taken by a directory: the rename fails.
	path := filepath.Join(dir, "config.yaml")
	if err := os.MkdirAll(filepath.Join(path, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HAWSER_CONFIG", path)
	if err := (File{Current: "new"}).Save(); err == nil {
		t.Fatal("saved over a directory")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := Load(); err == nil {
		t.Error("a directory was loaded")
	}
}

func TestAFileWithMistakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	t.Setenv("HAWSER_CONFIG", path)
	for _, text := range []string{"curent: x\n", "contexts: {}\n", "a: [\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPathWithoutTheVariable(t *testing.T) {
	t.Setenv("HAWSER_CONFIG", "")
	t.Setenv("XDG_CONFIG_HOME", "/x")
	t.Setenv("HOME", "/home/x")
	if p, err := Path(); err != nil || !strings.HasSuffix(p, filepath.Join("hawser", "config.yaml")) {
		t.Errorf("%q, %v", p, err)
	}
}
