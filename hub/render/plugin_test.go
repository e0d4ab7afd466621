package render

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// onePlugin discovers directories with a file "cue.mod" and puts out a ConfigMap
// with what it was given.
type onePlugin struct {
	mu       sync.Mutex
	identity string
	runs     int
	varies   bool
	nothing  bool
	takes    time.Duration
	err      error
}

func (p *onePlugin) Identity() string { return p.identity }

func (p *onePlugin) Discover(ctx context.Context, run PluginRun) (string, error) {
	_, _, mode, err := run.Snapshot.Stat(ctx, strings.TrimPrefix(run.Dir+"/cue.mod", "/"))
	if mode == 0 || err != nil {
		return "", err
	}
	return "cue", nil
}

func (p *onePlugin) Generate(ctx context.Context, run PluginRun) (string, []byte, error) {
	select {
	case <-time.After(p.takes):
	case <-ctx.Done():
		return "", nil, context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs++
	if p.err != nil {
		return "", nil, p.err
	}
	if p.nothing {
		return "cue", nil, nil
	}
	varying := ""
	if p.varies {
		varying = fmt.Sprintf("  run: run-%d\n", p.runs)
	}
	env := slices.Sorted(maps.Keys(run.Env))
	return "cue", []byte(configMap("made") + fmt.Sprintf("data:\n  name: %q\n  dir: %q\n  options: %q\n  app: %q\n  env: %q\n%s",
		run.Name, run.Dir, run.Options, run.Env["ARGOCD_APP_NAME"], strings.Join(env, " "), varying)), nil
}

func TestPlugins(t *testing.T) {
	p := &onePlugin{identity: "1"}
	r := newRenderer(t, Options{Plugins: p, Workers: 1})
	s := newScene(map[string]string{"app/cue.mod": "x", "app/a.yaml": configMap("plain")})
	s.req.Source.Helm = nil
	res, err := r.Render(t.Context(), s.request())
	if err != nil || names(res.Objects) != "made" || res.Tool != "Plugin" || len(res.Warnings) != 0 {
		t.Fatalf("%+v %v", res, err)
	}
	data := res.Objects[0].Body["data"].(map[string]any)
	if data["name"] != "cue" || data["dir"] != "app" || data["app"] != "web" || data["options"] != "" ||
		data["env"] != "ARGOCD_APP_NAME ARGOCD_APP_NAMESPACE ARGOCD_APP_PROJECT_NAME ARGOCD_APP_REVISION ARGOCD_APP_REVISION_SHORT ARGOCD_APP_REVISION_SHORT_8 ARGOCD_APP_SOURCE_PATH ARGOCD_APP_SOURCE_REPO_URL ARGOCD_APP_SOURCE_TARGET_REVISION KUBE_VERSION" {
		t.Errorf("%v", data)
	}
	if res.Objects[0].Origin != "plugin cue#1" || p.runs != 2 {
		t.Errorf("%s after %d runs", res.Objects[0].Origin, p.runs)
	}
	again := func(what string, unchanged bool) {
		t.Helper()
		s.req.PreviousKey = res.Key
		next, err := r.Render(t.Context(), s.request())
		if err != nil || next.Unchanged != unchanged {
			t.Errorf("%s: unchanged %v, want %v, %v", what, next.Unchanged, unchanged, err)
		}
		if !next.Unchanged {
			res = next
		}
	}
	again("nothing", true)
	p.identity = "2"
	again("another plugin", false)
	s.snap = s.snap.with("elsewhere", "x") // a plugin may read all there is
	again("another file", false)
	s.req.Source.Plugin = &model.PluginSource{Name: "cue", Env: []model.EnvEntry{{Name: "A", Value: "b"}}}
	again("options", false)
	if got := res.Objects[0].Body["data"].(map[string]any)["options"]; got != `{"name":"cue","env":[{"name":"A","value":"b"}]}` {
		t.Errorf("%v", got)
	}
	s.req.GeneratePaths = []string{"."}
	again("paths that matter", false)
	s.snap = s.snap.with("elsewhere", "y")
	again("a file that does not matter", true)
	s.req.PreviousKey = ""
	if next, err := r.Render(t.Context(), s.request()); err != nil || next.Key != res.Key {
		t.Errorf("a file that does not matter makes another key: %v", err)
	}
	s.snap = s.snap.with("app/a.yaml", "y")
	again("a file that matters", false)
}

func TestADirectoryWithoutItsPluginIsWhatItsFilesAre(t *testing.T) {
	p := &onePlugin{identity: "1"}
	r := newRenderer(t, Options{Plugins: p, Workers: 1})
	s := newScene(map[string]string{"app/a.yaml": configMap("plain"), "other": "x"})
	s.req.Source.Helm = nil
	res, err := r.Render(t.Context(), s.request())
	if err != nil || names(res.Objects) != "plain" || p.runs != 0 {
		t.Fatalf("%s %v", names(res.Objects), err)
	}
	jobs := r.pool.Stats().Jobs
	s.req.PreviousKey = res.Key
	p.identity = "2"
	s.snap = s.snap.with("other", "y")
	if res, err := r.Render(t.Context(), s.request()); err != nil || !res.Unchanged || r.pool.Stats().Jobs != jobs {
		t.Errorf("%+v %v", res, err)
	}
	s.snap = s.snap.with("app/cue.mod", "y")
	if res, err := r.Render(t.Context(), s.request()); err != nil || names(res.Objects) != "made" {
		t.Errorf("%+v %v", res, err)
	}
}

func TestPluginTrouble(t *testing.T) {
	p := &onePlugin{identity: "1", varies: true}
	r := newRenderer(t, Options{Plugins: p, Workers: 1, Limits: Limits{OutputBytes: 2000}})
	s := newScene(map[string]string{"app/x": "x"})
	s.req.Source.Helm, s.req.Source.Plugin = nil, &model.PluginSource{Name: "cue"}
	res, err := r.Render(t.Context(), s.request())
	if err != nil || warnings(res) != "render_not_deterministic: rendering the same twice gave two results: ConfigMap made differs at data.run" {
		t.Errorf("%s %v", warnings(res), err)
	}
	// What a plugin does once it may do better the next time.
	p.err = fault.New(fault.Unprocessable, "plugin_failed", "plugin \"cue\" exited 3")
	s.snap = s.snap.with("app/x", "y")
	if _, err := r.Render(t.Context(), s.request()); !fault.HasCode(err, "plugin_failed") {
		t.Errorf("%v", err)
	}
	p.err = nil
	if res, err := r.Render(t.Context(), s.request()); err != nil || names(res.Objects) != "made" {
		t.Errorf("%v", err)
	}
	s.req.Source.Plugin.Env = []model.EnvEntry{{Name: "LONG", Value: strings.Repeat("x", 3000)}}
	if _, err := r.Render(t.Context(), s.request()); !fault.HasCode(err, "plugin_failed") || !strings.Contains(err.Error(), "the limit is 2000") {
		t.Errorf("%v", err)
	}
	none := newRenderer(t, Options{Workers: 1})
	if _, err := none.Render(t.Context(), s.request()); !fault.HasCode(err, "plugin_unknown") {
		t.Errorf("%v", err)
	}
}

// Whether nothing may be sent is decided where it would delete something.
func TestAPluginThatPutsOutNothingIsAnEmptyResult(t *testing.T) {
	p := &onePlugin{identity: "1", nothing: true}
	r := newRenderer(t, Options{Plugins: p, Workers: 1})
	s := newScene(map[string]string{"app/cue.mod": "x"})
	s.req.Source.Helm = nil
	res, err := r.Render(t.Context(), s.request())
	if err != nil || !res.Empty || len(res.Objects) != 0 || res.Tool != "Plugin" || res.Key == "" {
		t.Errorf("%+v %v", res, err)
	}
}

func TestThePatienceWithPluginsIsTheirOwn(t *testing.T) {
	p := &onePlugin{identity: "1", takes: 1200 * time.Millisecond}
	r := newRenderer(t, Options{Plugins: p, Workers: 1, Deadline: time.Second})
	s := newScene(map[string]string{"app/cue.mod": "x"})
	s.req.Source.Helm = nil
	if res, err := r.Render(t.Context(), s.request()); err != nil || names(res.Objects) != "made" {
		t.Errorf("%+v %v", res, err)
	}
}
