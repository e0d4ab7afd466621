package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatARunSays runs go test on a module of its own.
func TestWhatARunSays(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":           "module example.com/m\n\ngo 1.24\n",
		"good/a_test.go":   "package good\nimport \"testing\"\nfunc TestGood(t *testing.T) { t.Log(\"a secret of success\") }\nfunc TestLate(t *testing.T) { t.Skip(\"no moon tonight\") }\nfunc TestMute(t *testing.T) { t.SkipNow() }\n",
		"bad/a_test.go":    "package bad\nimport \"testing\"\nfunc TestBad(t *testing.T) { t.Run(\"inner\", func(t *testing.T) { t.Error(\"it is wrong\") }) }\n",
		"dead/a_test.go":   "package dead\nimport \"testing\"\nfunc TestDead(t *testing.T) { panic(\"last words\") }\n",
		"broken/a_test.go": "package broken\nfunc x() { y() }\n",
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-json", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	events, err := cmd.Output()
	if err == nil {
		t.Fatal("the tests pass")
	}
	var out bytes.Buffer
	if err := report(bytes.NewReader(append([]byte("not an event\n"), events...)), &out); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	for _, want := range []string{
		"not an event\n", "ok  \texample.com/m/good", "it is wrong", "--- FAIL: TestBad", "FAIL\texample.com/m/bad", "last words", "undefined: y",
		"2 test(s) skipped themselves\n", "example.com/m/good TestLate: a_test.go:4: no moon tonight\n", "example.com/m/good TestMute: no reason was given\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "a secret of success") {
		t.Errorf("it says too much:\n%s", got)
	}
}
