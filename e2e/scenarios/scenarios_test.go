package scenarios

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"
)

// TestSteady runs the scripts that disturb nobody, side by side.
func TestSteady(t *testing.T) {
	testscript.RunT(scriptT{t, true}, params(t, "testdata/steady"))
}

// TestFaults runs the scripts that take something away from all, one by one.
func TestFaults(t *testing.T) {
	testscript.RunT(scriptT{t, false}, params(t, "testdata/faults"))
}

func params(t *testing.T, dir string) testscript.Params {
	return testscript.Params{Dir: dir, WorkdirRoot: t.TempDir(), Setup: setup, Cmds: commands, RequireUniqueNames: true}
}

var commands = map[string]func(*testscript.TestScript, bool, []string){
	"hawser":    cmdHawser,
	"argocd":    cmdArgocd,
	"exitcode":  cmdExitCode,
	"deploy":    cmdDeploy,
	"source":    cmdSource,
	"commit":    cmdCommit,
	"push":      cmdPush,
	"tag":       cmdTag,
	"app":       cmdApp,
	"cluster":   cmdCluster,
	"kube":      cmdKube,
	"kubelet":   cmdKubelet,
	"audit":     cmdAudit,
	"enrol":     cmdEnrol,
	"refused":   cmdRefused,
	"agent":     cmdAgent,
	"hub":       cmdHub,
	"git":       cmdGit,
	"postgres":  cmdPostgres,
	"writes":    cmdWrites,
	"roletoken": cmdRoleToken,
	"token":     cmdToken,
}

// scriptT is a testing.T as testscript wants it; scripts run side by side only
// when parallel is set.
type scriptT struct {
	*testing.T
	parallel bool
}

func (t scriptT) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(inner *testing.T) { f(scriptT{inner, t.parallel}) })
}

func (t scriptT) Parallel() {
	if t.parallel {
		t.T.Parallel()
	}
}

func (t scriptT) Verbose() bool { return testing.Verbose() }

// builtin are the commands of testscript that scripts use.
var builtin = map[string]bool{
	"cmp": true, "cp": true, "env": true, "exec": true, "exists": true, "grep": true, "mkdir": true,
	"mv": true, "rm": true, "stderr": true, "stdin": true, "stdout": true, "wait": true,
}

// TestScriptsAreShort holds the scripts to what a person reads at a glance: at
// most 40 lines with their files, a comment that begins with what is shown, and
// only commands that exist.
func TestScriptsAreShort(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte("\n")); n > 40 {
			t.Errorf("%s has %d lines", file, n)
		}
		script := txtar.Parse(b).Comment
		if !bytes.HasPrefix(script, []byte("# ")) {
			t.Errorf("%s does not begin with what it shows", file)
		}
		for lines := bufio.NewScanner(bytes.NewReader(script)); lines.Scan(); {
			words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "!"))
			if len(words) == 0 || strings.HasPrefix(words[0], "#") {
				continue
			}
			if commands[words[0]] == nil && !builtin[words[0]] {
				t.Errorf("%s: there is no command %q", file, words[0])
			}
		}
	}
}
