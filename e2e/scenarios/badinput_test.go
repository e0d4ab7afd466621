package scenarios

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

// TestBadInputs gives the hub every wrong thing of the table. What is about a
// repository is asked of the API; what is in a repository becomes a condition of
// its application or a result of its sync, and hawser-hub render says the same
// in the same words.
func TestBadInputs(t *testing.T) {
	w, err := need()
	if err != nil {
		t.Fatal(err)
	}
	for i, in := range badInputs {
		name := fmt.Sprintf("%d %s", in.row, in.name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			b := badCase{T: t, world: w, in: in, app: fmt.Sprintf("bad-%d-%d", in.row, i)}
			if in.repository != nil {
				b.refused(ctx)
				return
			}
			b.shown(ctx)
		})
	}
}

// TestBadInputsAreComplete: every row of the table from 15 to 56 is here, or is
// tested where it says.
func TestBadInputsAreComplete(t *testing.T) {
	elsewhere := map[int]string{
		16: "hub/api: TestBadRepositories; the hub of the scenarios allows credentials over plain http for its tests",
		48: "e2e/scenarios: TestSteady/resource_owned",
	}
	have := map[int]bool{}
	for _, in := range badInputs {
		have[in.row] = true
	}
	for row := 15; row <= 56; row++ {
		if !have[row] && elsewhere[row] == "" {
			t.Errorf("row %d is not tested", row)
		}
	}
}

// badCase is one run of a badInput.
type badCase struct {
	*testing.T
	*world
	in  badInput
	app string
}

// refused: the API refuses a repository.
func (b badCase) refused(ctx context.Context) {
	body := map[string]any{}
	for key, value := range b.in.repository {
		if text, ok := value.(string); ok {
			value = b.fill(ctx, text)
		}
		body[key] = value
	}
	err := b.api.Do(ctx, "POST", "/repositories", body, nil)
	if err == nil {
		b.Fatal("the repository was taken")
	}
	f := fault.As(err)
	b.judge(f.Code, f.Message)
	if got := statusOf(f); got != b.in.status {
		b.Errorf("status %d instead of %d", got, b.in.status)
	}
}

// statusOf the kind of an error.
func statusOf(f *fault.Error) int {
	switch f.Kind {
	case fault.Invalid:
		return 400
	case fault.Upstream:
		return 424
	case fault.Unprocessable:
		return 422
	case fault.Denied:
		return 403
	}
	return 0
}

var blank = regexp.MustCompile(`\$\{[A-Z_]+\}`)

// fill replaces what only the running world knows.
func (b badCase) fill(ctx context.Context, text string) string {
	return blank.ReplaceAllStringFunc(text, func(name string) string {
		switch name {
		case "${LOCKED_URL}":
			return b.locked.URL(b.repo(ctx))
		case "${TLS_URL}":
			server, err := testbed.StartGitServer(ctx, testbed.GitOptions{Repos: b.Git.Repos, TLS: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(server.Close)
			return server.URL(b.repo(ctx))
		case "${SSH_URL}":
			return b.ssh.URL(b.repo(ctx))
		case "${SSH_KEY}":
			return string(b.ssh.ClientKey())
		case "${OTHER_KNOWN_HOSTS}":
			// The host's name with the key of somebody else.
			other, err := testbed.StartSSHGitServer(ctx, testbed.SSHGitOptions{Repos: b.Git.Repos})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(other.Close)
			host, _, _ := strings.Cut(b.ssh.KnownHosts(), " ")
			_, key, _ := strings.Cut(other.KnownHosts(), " ")
			return host + " " + key
		}
		b.Fatalf("nothing is known of %s", name)
		return ""
	})
}

// repo makes the case's repository and returns its name.
func (b badCase) repo(ctx context.Context) string {
	repo, err := b.Git.CreateRepo(ctx, b.app)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := repo.Commit(ctx, "A repository", map[string][]byte{"app/a.yaml": []byte(someConfigMap)}); err != nil {
		b.Fatal(err)
	}
	return b.app
}

// shown: an application shows what is wrong in its repository, and what ran
// before goes on.
func (b badCase) shown(ctx context.Context) {
	repo, err := b.Git.CreateRepo(ctx, b.app)
	if err != nil {
		b.Fatal(err)
	}
	commit, err := repo.Apply(ctx, testbed.Change{Message: "The first", Files: inBytes(b.in.files), Links: b.in.links})
	if err != nil {
		b.Fatal(err)
	}
	for _, tag := range b.in.tags {
		if err := repo.SetTag(ctx, tag, commit); err != nil {
			b.Fatal(err)
		}
	}
	for _, branch := range b.in.branches {
		// A branch of its own, so that a tag of the same name is something else.
		if _, err := repo.Apply(ctx, testbed.Change{Branch: branch, Parent: "none", Message: "Another", Files: inBytes(b.in.files)}); err != nil {
			b.Fatal(err)
		}
	}
	application, err := b.application(repo.URL())
	if err != nil {
		b.Fatal(err)
	}
	if b.in.project != "" {
		if err := b.api.Do(ctx, "POST", "/apply", json.RawMessage(b.projectDocument()), nil); err != nil {
			b.Fatal(err)
		}
	}
	var applied struct {
		Items []struct {
			Error *struct{ Code, Detail, Fix string }
		}
	}
	if err := b.api.Do(ctx, "POST", "/apply", json.RawMessage(application), &applied); err != nil {
		b.Fatal(err)
	}
	if e := applied.Items[0].Error; e != nil {
		b.judge(e.Code, e.Detail+"; "+e.Fix)
	} else {
		b.await(ctx, repo, commit)
	}
	if !b.in.online {
		b.offline(ctx, application)
	}
}

func inBytes(files map[string]string) map[string][]byte {
	out := map[string][]byte{}
	for p, text := range files {
		out[p] = []byte(text)
	}
	return out
}

func (b badCase) project() string {
	if b.in.project == "" {
		return "default"
	}
	return b.app
}

func (b badCase) projectDocument() []byte {
	spec, err := yaml.YAMLToJSON([]byte(b.in.project))
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Appendf(nil, `{"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": %q}, "spec": %s}`, b.app, spec)
}

func (b badCase) application(url string) ([]byte, error) {
	var source map[string]any
	if err := yaml.Unmarshal([]byte(b.in.source), &source); err != nil {
		return nil, err
	}
	source["repoURL"] = url
	if source["targetRevision"] == nil {
		source["targetRevision"] = testbed.DefaultBranch
	}
	destination := map[string]any{"name": "eu"}
	if !b.in.noNamespace {
		destination["namespace"] = b.app
	}
	return json.Marshal(map[string]any{
		"apiVersion": "hawser.dev/v1alpha1", "kind": "Application", "metadata": map[string]any{"name": b.app},
		"spec": map[string]any{
			"project": b.project(), "source": source, "destination": destination,
			"syncPolicy": map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}, "syncOptions": []any{"CreateNamespace=true"}, "retry": map[string]any{"limit": 0}},
		},
	})
}

// await waits until the application shows the code somewhere: in a condition, in
// its operation, or in the status of a resource.
func (b badCase) await(ctx context.Context, repo *testbed.Repo, commit string) {
	var view map[string]any
	look := func(done func(map[string]any) bool) {
		err := awaitEvents(ctx, b.api, func() (bool, error) {
			view = nil
			if err := b.api.Get(ctx, "/applications/"+b.app, &view); err != nil {
				return false, err
			}
			return done(view), nil
		}, func(e client.Event) bool { return e.Type == "application" && concerns(e, b.app) })
		if err != nil {
			text, _ := json.MarshalIndent(view, "", "  ")
			b.Fatalf("%v\n%s", err, text)
		}
	}
	if b.in.then != nil {
		look(func(v map[string]any) bool { return text(lookup(v, []string{"sync", "status"})) == "Synced" })
		if _, err := repo.Commit(ctx, "The second", inBytes(b.in.then)); err != nil {
			b.Fatal(err)
		}
		if err := b.api.Do(ctx, "POST", "/applications/"+b.app+"/refresh", struct{}{}, nil); err != nil {
			b.Fatal(err)
		}
	}
	var message string
	look(func(v map[string]any) bool {
		message = messageOf(v, b.in.code)
		return message != ""
	})
	b.judge(b.in.code, message)
}

// messageOf finds the text that stands beside a code.
func messageOf(v any, code string) string {
	switch x := v.(type) {
	case map[string]any:
		if x["code"] == code {
			if m, ok := x["message"].(string); ok {
				return m
			}
		}
		for _, child := range x {
			if m := messageOf(child, code); m != "" {
				return m
			}
		}
		// A text may begin with the code.
		for _, child := range x {
			if m, ok := child.(string); ok && strings.HasPrefix(m, code+": ") {
				return m
			}
		}
	case []any:
		for _, child := range x {
			if m := messageOf(child, code); m != "" {
				return m
			}
		}
	}
	return ""
}

// internals are what no message may show: paths of the server, types and stacks
// of its language.
var internals = regexp.MustCompile(`/tmp/|/root/|/home/|/var/|map\[string\]|\*errors\.|\bgoroutine \d|runtime error|interface \{\}|<nil>|%!`)

// judge holds a message to what every message has to be.
func (b badCase) judge(code, message string) {
	b.Helper()
	if code != b.in.code {
		b.Errorf("code %s instead of %s: %s", code, b.in.code, message)
	}
	for _, words := range b.in.says {
		if !strings.Contains(message, words) {
			b.Errorf("%q does not say %q", message, words)
		}
	}
	if len(message) > 500 || internals.MatchString(message) {
		b.Errorf("no message for people: %q", message)
	}
}

// offline: the command that renders without a hub says the same.
func (b badCase) offline(ctx context.Context, application []byte) {
	dir := b.TempDir()
	for p, text := range b.in.files {
		p = filepath.Join(dir, filepath.FromSlash(p))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(b.Bin, "hawser-hub"), "render", "--app", "-", "--repo", dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(application), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		b.Fatalf("hawser-hub render ends with %v: %s", err, stderr.String())
	}
	if stdout.Len() > 0 {
		b.Errorf("a failed render puts out %.200q", stdout.String())
	}
	if !strings.Contains(stderr.String(), b.in.code) {
		b.Errorf("hawser-hub render does not name %s: %s", b.in.code, stderr.String())
	}
	for _, words := range b.in.says {
		if !strings.Contains(stderr.String(), words) {
			b.Errorf("hawser-hub render says %q and not %q", stderr.String(), words)
		}
	}
}
