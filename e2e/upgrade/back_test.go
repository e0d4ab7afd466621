package upgrade

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/model"
)

// A command that the old hub took is carried out under the new one, and then all goes
// back: the hub to the backup that was made before, as docs/operate.md says, and the
// agent to the program that it was.
func TestGoingBack(t *testing.T) {
	w := start(t)
	c := w.enrol("returner", w.before)
	c.works("before")
	backup := filepath.Join(w.Dir, "before.zip")
	if out, err := w.hubCommand("backup", "--file", backup); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c.Stop()
	var op, end model.OperationInfo
	w.check(w.api.Do(w.ctx, http.MethodPost, "/applications/"+c.app+"/sync", model.OperationSpec{}, &op))

	w.hubOf(w.now)
	c.Bin = w.now
	w.check(c.Start("returner-upgraded.log"))
	w.await("the command of before the upgrade has ended", func() (ended bool) {
		end, ended = w.eye.Ended(w.ctx, op.App, op.ID)
		return ended
	})
	if end.Phase != model.PhaseSucceeded {
		t.Errorf("it ended as %s: %s", end.Phase, end.Message)
	}
	ours := w.version(c)
	c.works("after")

	// The older hub does not touch a database that it does not know.
	w.check(w.Hub.Stop())
	w.Bin = w.before
	if newest := newestBefore(t); newest < migrations.Newest() {
		err := w.Hub.Start(w.ctx)
		if err == nil || !strings.Contains(testbed.Tail(w.Hub.LogPath(), 3), "run the newer hub, or restore the backup") {
			t.Fatalf("the older hub on the newer database: %v\n%s", err, testbed.Tail(w.Hub.LogPath(), 3))
		}
	}
	w.goBack(backup)
	w.untouched("the hub goes back", func() {
		w.check(w.Hub.Start(w.ctx))
		c.upgraded(ours)
	})
	c.works("back")
	w.untouched("the agent goes back", func() {
		c.Stop()
		c.Bin = w.before
		w.check(c.Start("returner-back.log"))
		c.upgraded(previousVersion())
	})
	c.works("all-back")
	w.writes()
	for _, e := range w.written {
		if strings.HasPrefix(e.Verb, "delete") {
			t.Errorf("an agent deleted: %s", e)
		}
	}
}

// goBack puts a backup, which the older hub made, in the place of the database.
func (w *world) goBack(backup string) {
	w.t.Helper()
	if out, err := w.hubCommand("devdb-stop"); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
	w.check(os.Rename(filepath.Join(w.Hub.Data, "postgres"), filepath.Join(w.Hub.Data, "left")))
	if out, err := w.hubCommand("restore", backup); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
}

// newestBefore is the schema that the previous release makes.
func newestBefore(t *testing.T) (newest int64) {
	t.Helper()
	root, err := testbed.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	names, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-tree", "--name-only", commit(), "migrations/").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(names)) {
		var n int64
		for _, r := range strings.TrimPrefix(name, "migrations/") {
			if r < '0' || r > '9' {
				break
			}
			n = 10*n + int64(r-'0')
		}
		newest = max(newest, n)
	}
	if newest == 0 {
		t.Fatal("the previous release has no migrations")
	}
	return newest
}
