package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

func cmdHawser(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(filepath.Join(of(ts).Bin, "hawser"), args...)
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		ts.Fatalf("hawser: %v", err)
	case err != nil && !neg:
		ts.Fatalf("hawser %s: %v", strings.Join(args, " "), err)
	case err == nil && neg:
		ts.Fatalf("hawser %s should have failed", strings.Join(args, " "))
	}
}

// cmdArgocd runs the command line by its other name, which a link gives it.
func cmdArgocd(ts *testscript.TestScript, neg bool, args []string) {
	link := ts.MkAbs("argocd")
	if _, err := os.Lstat(link); err != nil {
		ts.Check(os.Symlink(filepath.Join(of(ts).Bin, "hawser"), link))
	}
	err := ts.Exec(link, args...)
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		ts.Fatalf("argocd: %v", err)
	case err != nil && !neg:
		ts.Fatalf("argocd %s: %v", strings.Join(args, " "), err)
	case err == nil && neg:
		ts.Fatalf("argocd %s should have failed", strings.Join(args, " "))
	}
}

func cmdExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "hawser" {
		usage(ts, "exitcode N hawser ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(filepath.Join(of(ts).Bin, "hawser"), args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("hawser: %v", err)
	}
	if got != want {
		ts.Fatalf("hawser %s: exit status %d instead of %d", strings.Join(args[2:], " "), got, want)
	}
}

// cmdDeploy spares scripts the flags that are always the same. A flag that is
// given wins over the same one here.
func cmdDeploy(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	usual := [][]string{
		{"--repo", s.repo.URL()}, {"--path", "app"}, {"--dest-name", "eu"}, {"--dest-namespace", s.name},
		{"--sync-option", "CreateNamespace=true"},
	}
	all := []string{"app", "create", s.name}
	for _, flag := range usual {
		given := slices.Contains(args, flag[0])
		if flag[0] == "--dest-name" {
			given = given || slices.Contains(args, "--dest-server")
		}
		if !given {
			all = append(all, flag...)
		}
	}
	cmdHawser(ts, neg, append(all, args...))
}

// cmdSource applies an application with the source, or the list of sources, that
// a file has. What a source does not say is the script's repository and its
// branch.
func cmdSource(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		usage(ts, "source FILE")
	}
	s := of(ts)
	var written any
	ts.Check(yaml.Unmarshal([]byte(ts.ReadFile(args[0])), &written))
	spec := map[string]any{
		"project":     "default",
		"destination": map[string]any{"name": "eu", "namespace": s.name},
		"syncPolicy":  map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}, "syncOptions": []any{"CreateNamespace=true"}},
	}
	complete := func(v any) any {
		source, ok := v.(map[string]any)
		if !ok {
			ts.Fatalf("%s: a source is a mapping", args[0])
		}
		for key, value := range map[string]string{"repoURL": s.repo.URL(), "targetRevision": testbed.DefaultBranch} {
			if _, given := source[key]; !given {
				source[key] = value
			}
		}
		return source
	}
	if list, ok := written.([]any); ok {
		for i := range list {
			list[i] = complete(list[i])
		}
		spec["sources"] = list
	} else {
		spec["source"] = complete(written)
	}
	b, err := json.Marshal(map[string]any{
		"apiVersion": "hawser.dev/v1alpha1", "kind": "Application", "metadata": map[string]any{"name": s.name}, "spec": spec,
	})
	ts.Check(err)
	file := ts.MkAbs("application.json")
	ts.Check(os.WriteFile(file, b, 0o644))
	cmdHawser(ts, false, []string{"apply", "-f", file})
}

func cmdApp(ts *testscript.TestScript, neg bool, args []string) {
	awaitShown(ts, neg, "application", args)
}

func cmdCluster(ts *testscript.TestScript, neg bool, args []string) {
	awaitShown(ts, neg, "cluster", args)
}

// awaitShown waits for what the hub shows of an application or cluster. The
// event stream says when to look.
func awaitShown(ts *testscript.TestScript, neg bool, noun string, args []string) {
	if neg || len(args) < 2 {
		usage(ts, "app|cluster NAME COND… | gone")
	}
	s := of(ts)
	name := args[0]
	gone := slices.Equal(args[1:], []string{"gone"})
	var conditions []condition
	var err error
	if !gone {
		conditions, err = parseConditions(args[1:])
		ts.Check(err)
	}
	ctx, cancel := within()
	defer cancel()
	missing := "no answer yet"
	var last map[string]any
	look := func() (bool, error) {
		last = nil
		err := s.api.Get(ctx, "/"+noun+"s/"+url.PathEscape(name), &last)
		switch {
		case gone:
			missing = "it is there"
			if fault.Is(err, fault.NotFound) {
				return true, nil
			}
			return false, err
		case err != nil:
			return false, err
		}
		missing = unmet(conditions, last)
		return missing == "", nil
	}
	if err := awaitEvents(ctx, s.api, look, func(e client.Event) bool { return e.Type == noun && concerns(e, name) }); err != nil {
		b, _ := json.MarshalIndent(last, "", "  ")
		ts.Fatalf("%s %s: %s: %v\n%s", noun, name, missing, err, b)
	}
}

func concerns(e client.Event, name string) bool {
	var about struct {
		Name string `json:"name"`
	}
	return json.Unmarshal(e.Data, &about) != nil || about.Name == "" || about.Name == name
}

// awaitEvents calls look at the start of the event stream and after each event
// of interest. Nothing tells when a hub that is away is back; then it is tried
// again.
func awaitEvents(ctx context.Context, api *client.Client, look func() (bool, error), interesting func(client.Event) bool) error {
	for {
		done := false
		var failure error
		err := api.Events(ctx, "", func(e client.Event) bool {
			if e.Type == "hello" || e.Type == "reset" || interesting(e) {
				done, failure = look()
			}
			return !done && failure == nil
		})
		if done {
			return nil
		}
		if err = errors.Join(failure, err); ctx.Err() != nil {
			return errors.Join(fmt.Errorf("not within %v", patience), err)
		}
		if err != nil && !fault.Is(err, fault.Unavailable) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
