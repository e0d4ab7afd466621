package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/shared/model"
)

func cmdHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		usage(ts, "hub kill|stop|start|save|load|backup|restore")
	}
	s := of(ts)
	ctx, cancel := within()
	defer cancel()
	switch args[0] {
	case "kill":
		s.Hub.Kill()
		ts.Defer(s.hubAgain)
	case "stop":
		ts.Check(s.Hub.Stop())
		ts.Defer(s.hubAgain)
	case "start":
		ts.Check(s.Hub.Start(ctx))
	case "save":
		ts.Check(s.copyData(ctx, s.Hub.Data, ts.MkAbs("hub-data")))
	case "load":
		ts.Check(s.copyData(ctx, ts.MkAbs("hub-data"), s.Hub.Data))
	case "backup":
		ts.Check(s.backup(ctx, ts.MkAbs("hub.zip")))
	case "restore":
		ts.Check(s.restore(ctx, ts.MkAbs("hub.zip"), ts.MkAbs("lost-database")))
	default:
		usage(ts, "hub kill|stop|start|save|load|backup|restore")
	}
}

// cmdToken issues an API token with one grant and puts it into a variable of the
// script.
func cmdToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		usage(ts, "token VARIABLE ROLE PROJECT")
	}
	role, project := args[1], args[2]
	cmdHawser(ts, false, []string{"token", "create", of(ts).name + "-" + strings.ToLower(args[0]), "--grant", role + ":" + project})
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// cmdRoleToken issues a token of a project's role, which is called as the role, and
// puts it into a variable of the script.
func cmdRoleToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		usage(ts, "roletoken VARIABLE PROJECT ROLE")
	}
	cmdHawser(ts, false, []string{"project", "role", "create-token", args[1], args[2], "--name", args[2], "--ttl", "1h"})
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// hubAgain leaves a running hub to the scripts that follow one that failed.
func (s *script) hubAgain() {
	if s.Hub.Running() {
		return
	}
	ctx, cancel := within()
	defer cancel()
	if err := s.Hub.Start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "scenarios: the hub does not start again:", err)
	}
}

// backup makes a backup while the hub works.
func (s *script) backup(ctx context.Context, file string) error {
	out, err := s.hubCommand(ctx, "backup", "--file", file)
	if err == nil && !s.Hub.Running() {
		err = errors.New("the hub has ended meanwhile")
	}
	s.incarnation = numberAfter(out, "incarnation ")
	return err
}

// restore is what an operator does who has lost the database: of the hub there is the
// backup and the vault key.
func (s *script) restore(ctx context.Context, file, lost string) error {
	if s.Hub.Running() {
		return errors.New("the hub runs; stop it first")
	}
	if _, err := s.hubCommand(ctx, "devdb-stop"); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(s.Hub.Data, "postgres"), lost); err != nil {
		return err
	}
	out, err := s.hubCommand(ctx, "restore", file)
	if now := numberAfter(out, "it is incarnation "); err == nil && (s.incarnation == 0 || now != s.incarnation+1) {
		err = fmt.Errorf("incarnation %d was backed up, and became %d:\n%s", s.incarnation, now, out)
	}
	return err
}

func (s *script) hubCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "hawser-hub"), append(args, "--data", s.Hub.Data, "--listen", s.Hub.Addr)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("hawser-hub %s: %w\n%s", args[0], err, out)
	}
	return string(out), err
}

// numberAfter finds the number behind a text; 0 for none.
func numberAfter(text, before string) (n int) {
	if _, rest, ok := strings.Cut(text, before); ok {
		_, _ = fmt.Sscanf(rest, "%d", &n) // 0 when it is none
	}
	return n
}

// copyData copies a hub's data with owners and modes: the private Postgres may
// run as another user.
func (s *script) copyData(ctx context.Context, from, to string) error {
	if s.Hub.Running() {
		return errors.New("the hub runs; stop it first")
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func cmdPostgres(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "kill" {
		usage(ts, "postgres kill")
	}
	pid, err := of(ts).Hub.PostgresPID()
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
}

// writes are projects that are created without pause, and those of them that the
// hub has confirmed.
type writes struct {
	stop      context.CancelFunc
	ended     sync.WaitGroup
	mu        sync.Mutex
	confirmed map[string]bool
	refused   int
}

const writers = 4

func cmdWrites(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		usage(ts, "writes begin|end")
	}
	s := of(ts)
	switch args[0] {
	case "begin":
		ctx, cancel := context.WithCancel(context.Background())
		s.writes = &writes{stop: cancel, confirmed: map[string]bool{}}
		ts.Defer(cancel)
		for i := range writers {
			s.writes.ended.Go(func() { s.writes.run(ctx, s.api, fmt.Sprintf("%s-%d", s.name, i)) })
		}
		ts.Check(s.writes.awaitMore())
	case "end":
		ts.Check(s.writes.awaitMore()) // the hub takes writes again
		s.writes.stop()
		s.writes.ended.Wait()
		ctx, cancel := within()
		defer cancel()
		ts.Check(s.writes.verify(ctx, s.api))
		ts.Logf("%d writes were confirmed, %d were not", len(s.writes.confirmed), s.writes.refused)
	default:
		usage(ts, "writes begin|end")
	}
}

func (w *writes) run(ctx context.Context, api *client.Client, prefix string) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("%s-%d", prefix, i)
		body := fmt.Sprintf("apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: %s}\nspec: {description: under load}\n", name)
		attempt, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := api.Do(attempt, "PUT", "/projects/"+name, []byte(body), nil)
		cancel()
		w.mu.Lock()
		if err == nil {
			w.confirmed[name] = true
		} else {
			w.refused++
		}
		w.mu.Unlock()
		if err != nil { // a client that is told to come later does
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

// awaitMore returns when 20 more writes were confirmed.
func (w *writes) awaitMore() error {
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.confirmed)
	}
	begin, deadline := count(), time.Now().Add(patience)
	for count() < begin+20 {
		if time.Now().After(deadline) {
			return fmt.Errorf("the hub confirmed %d writes in %v", count()-begin, patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func (w *writes) verify(ctx context.Context, api *client.Client) error {
	var got struct {
		Items []model.AppProject `json:"items"`
	}
	if err := api.Get(ctx, "/projects", &got); err != nil {
		return err
	}
	there := map[string]bool{}
	for _, p := range got.Items {
		there[p.Metadata.Name] = true
	}
	for name := range w.confirmed {
		if !there[name] {
			return fmt.Errorf("project %s was confirmed and is lost (%d confirmed in all)", name, len(w.confirmed))
		}
	}
	return nil
}
