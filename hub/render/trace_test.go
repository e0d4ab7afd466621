package render

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// elsewhere is a Fetcher of trees and files by what they are called.
type elsewhere struct {
	charts map[string]*memory // "repository name"
	latest string             // version that every constraint resolves to
	bases  map[string]*memory
	files  map[string]string
	err    error
	asked  int
}

func (e *elsewhere) Chart(_ context.Context, repository, name, _ string) (Snapshot, string, error) {
	e.asked++
	if e.err != nil {
		return nil, "", e.err
	}
	s, ok := e.charts[repository+" "+name]
	if !ok {
		return nil, "", fault.New(fault.Unprocessable, "chart_not_found", "no chart %s", name)
	}
	return s, e.latest, nil
}

func (e *elsewhere) Base(_ context.Context, url string) (Snapshot, string, error) {
	e.asked++
	if s, ok := e.bases[url]; ok {
		return s, "base", nil
	}
	return nil, "", fault.New(fault.Denied, "repo_not_permitted", "not %s", url)
}

func (e *elsewhere) Download(_ context.Context, url string) ([]byte, error) {
	e.asked++
	if text, ok := e.files[url]; ok {
		return []byte(text), nil
	}
	return nil, fault.New(fault.Upstream, "download_failed", "no %s", url)
}

// scene is all that a render may depend on; each step of a test changes some.
type scene struct {
	snap  *memory
	refs  map[string]*memory
	fetch *elsewhere
	kube  string
	apis  []string
	req   Request
}

func newScene(files map[string]string) *scene {
	return &scene{
		snap: &memory{commit: "c1", files: files}, refs: map[string]*memory{}, kube: "v1.37.0",
		fetch: &elsewhere{charts: map[string]*memory{}, latest: "1.0.0", bases: map[string]*memory{}, files: map[string]string{}},
		req: Request{App: "uid-1", AppName: "web", Project: "shop", Namespace: "shop-ns", Source: model.Source{
			RepoURL: "https://git.example.com/shop", Path: "app", TargetRevision: "main", Helm: &model.HelmSource{},
		}},
	}
}

func (s *scene) request() Request {
	req := s.req
	req.Snapshot = s.snap
	req.Fetch = s.fetch
	req.Cluster = func() (string, []string) { return s.kube, s.apis }
	req.Refs = map[string]func(context.Context) (Snapshot, error){}
	for name := range s.refs {
		req.Refs[name] = func(context.Context) (Snapshot, error) { return s.refs[name], nil }
	}
	return req
}

func said(res Result) string {
	if len(res.Objects) == 0 {
		return ""
	}
	return fmt.Sprint(res.Objects[len(res.Objects)-1].Body["data"].(map[string]any)["said"])
}

func TestWhatRendersAgain(t *testing.T) {
	base := map[string]string{
		"app/README.md": "hello", "app/values.yaml": "a", "app/link.yaml": "-> ../shared/one.yaml",
		"shared/one.yaml": "one", "shared/two.yaml": "two", "app/sub/x": "x", "other/y": "y",
	}
	tests := []struct {
		name   string
		script string
		change func(*scene)
		again  bool
	}{
		{"nothing", "read app/values.yaml", func(*scene) {}, false},
		{"a new commit", "read app/values.yaml", func(s *scene) { s.snap = s.snap.with() }, false},
		{"README", "read app/values.yaml\nlist app", func(s *scene) { s.snap = s.snap.with("app/README.md", "a longer text") }, false},
		{"another directory", "list app", func(s *scene) { s.snap = s.snap.with("other/z", "z") }, false},
		{"a file that was read", "read app/values.yaml", func(s *scene) { s.snap = s.snap.with("app/values.yaml", "b") }, true},
		{"a file that was only listed", "list app", func(s *scene) { s.snap = s.snap.with("app/values.yaml", "b") }, false},
		{"a file that was listed is gone", "list app", func(s *scene) { s.snap = s.snap.with("app/values.yaml", "") }, true},
		{"a file is new in a directory", "list app/sub", func(s *scene) { s.snap = s.snap.with("app/sub/new", "n") }, true},
		{"a file that was missed appears", "maybe app/prod.yaml", func(s *scene) { s.snap = s.snap.with("app/prod.yaml", "p") }, true},
		{"another file appears", "maybe app/prod.yaml", func(s *scene) { s.snap = s.snap.with("app/stage.yaml", "p") }, false},
		{"a file that chooses another tool appears", "detect", func(s *scene) { s.snap = s.snap.with("app/kustomization.yaml", "x") }, true},
		{"a directory becomes a file", "stat app/sub", func(s *scene) { s.snap = s.snap.with("app/sub/x", "", "app/sub", "file") }, true},
		{"a link leads elsewhere", "read app/link.yaml", func(s *scene) { s.snap = s.snap.with("app/link.yaml", "-> ../shared/two.yaml") }, true},
		{"what a link leads to changes", "read app/link.yaml", func(s *scene) { s.snap = s.snap.with("shared/one.yaml", "1") }, true},
		{"a link leads to an equal file", "read app/link.yaml", func(s *scene) { s.snap = s.snap.with("app/link.yaml", "one") }, false},
		{"a link of a listing breaks", "list app", func(s *scene) { s.snap = s.snap.with("app/link.yaml", "-> nowhere") }, true},
		{"an override file appears", "read app/values.yaml", func(s *scene) { s.snap = s.snap.with("app/.argocd-source.yaml", "helm: {releaseName: x}") }, true},
		{"the override file of this application appears", "stat x", func(s *scene) { s.snap = s.snap.with("app/.argocd-source-web.yaml", "helm: {releaseName: x}") }, true},
		{"the override file of another application appears", "stat x", func(s *scene) { s.snap = s.snap.with("app/.argocd-source-api.yaml", "helm: {releaseName: x}") }, false},
		{"the cluster is upgraded, asked", "kube", func(s *scene) { s.kube = "v1.38.0" }, true},
		{"the cluster is upgraded, not asked", "read app/values.yaml", func(s *scene) { s.kube = "v1.38.0" }, false},
		{"the cluster is upgraded, only APIs asked", "apis", func(s *scene) { s.kube = "v1.38.0" }, false},
		{"APIs of the cluster, asked", "apis", func(s *scene) { s.apis = []string{"v1", "apps/v1"} }, true},
		{"APIs of the cluster, only the version asked", "kube", func(s *scene) { s.apis = []string{"v1", "apps/v1"} }, false},
		{"the revision, asked", "fact ARGOCD_APP_REVISION", func(s *scene) { s.snap = s.snap.with() }, true},
		{"the name, asked", "fact ARGOCD_APP_NAME", func(s *scene) { s.req.AppName = "api" }, true},
		{"the name, not asked", "fact ARGOCD_APP_NAMESPACE", func(s *scene) { s.req.AppName = "api" }, false},
		{"the branch, asked", "fact ARGOCD_APP_SOURCE_TARGET_REVISION", func(s *scene) { s.req.Source.TargetRevision = "v2" }, true},
		{"the branch, not asked", "read app/values.yaml", func(s *scene) { s.req.Source.TargetRevision = "v2" }, false},
		{"an option", "read app/values.yaml", func(s *scene) { s.req.Source.Helm = &model.HelmSource{ReleaseName: "x"} }, true},
		{"a newer chart", "chart https://charts.example.com redis ^1 Chart.yaml", func(s *scene) { s.fetch.latest = "1.0.1" }, true},
		{"a chart is replaced", "chart https://charts.example.com redis ^1 Chart.yaml", func(s *scene) {
			s.fetch.charts["https://charts.example.com redis"] = snapshotOf(map[string]string{"Chart.yaml": "other"})
		}, true},
		{"another file of a chart", "chart https://charts.example.com redis ^1 Chart.yaml", func(s *scene) {
			s.fetch.charts["https://charts.example.com redis"] = snapshotOf(map[string]string{"Chart.yaml": "redis", "README.md": "x"})
		}, false},
		{"a chart comes to be forbidden", "chart https://charts.example.com redis ^1 Chart.yaml", func(s *scene) {
			s.fetch.err = fault.New(fault.Denied, "repo_not_permitted", "no")
		}, true},
		{"a base", "base https://git.example.com/base.git x.yaml", func(s *scene) {
			s.fetch.bases["https://git.example.com/base.git"] = snapshotOf(map[string]string{"base/x.yaml": "other"})
		}, true},
		{"a download", "download https://example.com/v.yaml", func(s *scene) { s.fetch.files["https://example.com/v.yaml"] = "b" }, true},
		{"a ref", "ref values prod.yaml", func(s *scene) { s.refs["values"] = s.refs["values"].with("prod.yaml", "other") }, true},
		{"another file of a ref", "ref values prod.yaml", func(s *scene) { s.refs["values"] = s.refs["values"].with("stage.yaml", "other") }, false},
		{"a ref that is not read", "read app/values.yaml", func(s *scene) { s.refs["values"] = s.refs["values"].with("prod.yaml", "other") }, false},
	}
	for _, rootless := range []bool{false, true} {
		r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}})
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s rootless=%v", tt.name, rootless), func(t *testing.T) {
				s := newScene(map[string]string{"app/Chart.yaml": tt.script})
				for p, text := range base {
					s.snap.files[p] = text
				}
				s.snap.rootless = rootless
				if tt.script == "detect" {
					s.req.Source.Helm = nil
				}
				s.req.Source.RepoURL += "/" + strings.ReplaceAll(t.Name(), "/", "_")
				s.req.App = model.AppUID(t.Name())
				s.refs["values"] = snapshotOf(map[string]string{"prod.yaml": "p"})
				s.fetch.charts["https://charts.example.com redis"] = snapshotOf(map[string]string{"Chart.yaml": "redis"})
				s.fetch.bases["https://git.example.com/base.git"] = snapshotOf(map[string]string{"base/x.yaml": "x"})
				s.fetch.files["https://example.com/v.yaml"] = "a"
				first, err := r.Render(t.Context(), s.request())
				if err != nil {
					t.Fatal(err)
				}
				tt.change(s)
				s.req.PreviousKey = first.Key
				jobs := r.pool.Stats().Jobs
				again, err := r.Render(t.Context(), s.request())
				rendered := r.pool.Stats().Jobs > jobs
				if rendered != tt.again {
					t.Errorf("rendered again: %v, want %v", rendered, tt.again)
				}
				if err == nil && again.Unchanged == tt.again {
					t.Errorf("unchanged %v", again.Unchanged)
				}
				// A hub that knows nothing comes to the same key.
				fresh := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}, Workers: 1})
				defer fresh.Close()
				req := s.request()
				req.PreviousKey = ""
				res, ferr := fresh.Render(t.Context(), req)
				if res.Key != again.Key || (ferr == nil) != (err == nil) {
					t.Errorf("%s and %s, %v and %v", res.Key, again.Key, ferr, err)
				}
			})
		}
	}
}

func TestAnOlderStateIsFoundAgain(t *testing.T) {
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}})
	s := newScene(map[string]string{"app/Chart.yaml": "read app/values.yaml", "app/values.yaml": "one"})
	one := s.snap
	two := s.snap.with("app/values.yaml", "two")
	for i, want := range []struct {
		snap *memory
		said string
	}{{one, "[read one end]"}, {two, "[read two end]"}, {one, "[read one end]"}, {two, "[read two end]"}} {
		s.snap = want.snap
		res, err := r.Render(t.Context(), s.request())
		if err != nil || said(res) != want.said {
			t.Errorf("%d: %s %v", i, said(res), err)
		}
	}
	if jobs := r.pool.Stats().Jobs; jobs != 2 {
		t.Errorf("%d jobs", jobs)
	}
}

func TestErrorsOfTheContentAreRemembered(t *testing.T) {
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}})
	s := newScene(map[string]string{"app/Chart.yaml": "read app/missing.yaml"})
	for range 2 {
		if _, err := r.Render(t.Context(), s.request()); !fault.HasCode(err, "file_not_found") {
			t.Fatal(err)
		}
	}
	if jobs := r.pool.Stats().Jobs; jobs != 1 {
		t.Errorf("%d jobs", jobs)
	}
	s.snap = s.snap.with("app/missing.yaml", "here")
	if res, err := r.Render(t.Context(), s.request()); err != nil || said(res) != "[read here end]" {
		t.Errorf("%s %v", said(res), err)
	}
	// What a repository elsewhere does is no property of the content.
	s.snap = s.snap.with("app/Chart.yaml", "chart https://charts.example.com redis ^1 Chart.yaml")
	s.fetch.err = fault.New(fault.Upstream, "helm_repo_unreachable", "no answer")
	for range 2 {
		if _, err := r.Render(t.Context(), s.request()); !fault.HasCode(err, "helm_repo_unreachable") {
			t.Fatal(err)
		}
	}
	s.fetch.err = nil
	s.fetch.charts["https://charts.example.com redis"] = snapshotOf(map[string]string{"Chart.yaml": "redis"})
	if res, err := r.Render(t.Context(), s.request()); err != nil || said(res) != "[chart 1.0.0 redis end]" {
		t.Errorf("%s %v", said(res), err)
	}
	if st := r.pool.Stats(); st.Crashed+st.Killed != 0 {
		t.Errorf("%+v", st)
	}
}

func TestARepositoryThatDoesNotAnswerKeepsTheLastState(t *testing.T) {
	// An unchanged source whose chart repository is gone is an error, and not
	// "unchanged": nobody knows.
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}})
	s := newScene(map[string]string{"app/Chart.yaml": "chart https://charts.example.com redis ^1 Chart.yaml"})
	s.fetch.charts["https://charts.example.com redis"] = snapshotOf(map[string]string{"Chart.yaml": "redis"})
	res, err := r.Render(t.Context(), s.request())
	if err != nil {
		t.Fatal(err)
	}
	s.req.PreviousKey = res.Key
	s.fetch.err = fault.New(fault.Upstream, "helm_repo_unreachable", "no answer")
	if _, err := r.Render(t.Context(), s.request()); !fault.HasCode(err, "helm_repo_unreachable") {
		t.Errorf("%v", err)
	}
	s.fetch.err = nil
	if res, err := r.Render(t.Context(), s.request()); err != nil || !res.Unchanged {
		t.Errorf("%+v %v", res, err)
	}
}

func TestFacts(t *testing.T) {
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}})
	s := newScene(map[string]string{"app/Chart.yaml": strings.Join([]string{
		"fact ARGOCD_APP_NAME", "fact ARGOCD_APP_NAMESPACE", "fact ARGOCD_APP_PROJECT_NAME", "fact ARGOCD_APP_REVISION",
		"fact ARGOCD_APP_REVISION_SHORT", "fact ARGOCD_APP_REVISION_SHORT_8", "fact ARGOCD_APP_SOURCE_PATH", "fact ARGOCD_APP_SOURCE_REPO_URL",
		"fact ARGOCD_APP_SOURCE_TARGET_REVISION", "fact KUBE_VERSION", "fact KUBE_API_VERSIONS", "fact HAWSER_DESTINATION_NAMESPACE", "fact PATH", "kube", "apis",
	}, "\n")})
	s.snap.commit = "0123456789abcdef"
	s.kube, s.apis = "v1.37.2+k3s1", []string{"v1", "apps/v1"}
	res, err := r.Render(t.Context(), s.request())
	want := "[fact web fact shop-ns fact shop fact 0123456789abcdef fact 0123456 fact 01234567 fact app fact https://git.example.com/shop " +
		"fact main fact 1.37.2 fact v1,apps/v1 fact shop-ns fact  kube v1.37.2+k3s1 0 apis [v1 apps/v1] end]"
	if err != nil || said(res) != want {
		t.Errorf("%s %v", said(res), err)
	}
}

func TestApplicationsOfOneSourceShareARender(t *testing.T) {
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}})
	s := newScene(map[string]string{"app/Chart.yaml": "read app/Chart.yaml"})
	for i := range 20 {
		s.req.App, s.req.AppName = model.AppUID(fmt.Sprint("uid-", i)), fmt.Sprint("app-", i)
		if _, err := r.Render(t.Context(), s.request()); err != nil {
			t.Fatal(err)
		}
	}
	if jobs := r.pool.Stats().Jobs; jobs != 1 {
		t.Errorf("%d jobs for a source that does not depend on the application", jobs)
	}
	s.snap = s.snap.with("app/Chart.yaml", "fact ARGOCD_APP_NAME")
	for round := range 2 {
		for i := range 20 {
			s.req.App, s.req.AppName = model.AppUID(fmt.Sprint("uid-", i)), fmt.Sprint("app-", i)
			res, err := r.Render(t.Context(), s.request())
			if err != nil || said(res) != fmt.Sprintf("[fact app-%d end]", i) {
				t.Fatalf("round %d: %s %v", round, said(res), err)
			}
		}
	}
	if jobs := r.pool.Stats().Jobs; jobs != 21 {
		t.Errorf("%d jobs, want 1 and 20", jobs)
	}
}

func TestGeneratePaths(t *testing.T) {
	base := map[string]string{
		"app/Chart.yaml": "read shared/common.yaml\nfact ARGOCD_APP_REVISION", "shared/common.yaml": "common",
		"shared/deep/x.yaml": "x", "libs/a.yaml": "a", "other/y": "y",
	}
	tests := []struct {
		name      string
		paths     []string
		change    []string
		unchanged bool
	}{
		{"elsewhere", []string{"."}, []string{"other/y", "z"}, true},
		{"what was read and is not listed", []string{"."}, []string{"shared/common.yaml", "changed"}, true},
		{"in the directory", []string{"."}, []string{"app/new", "n"}, false},
		{"an absolute path", []string{".", "/shared"}, []string{"shared/common.yaml", "changed"}, false},
		{"beside an absolute path", []string{".", "/shared"}, []string{"libs/a.yaml", "changed"}, true},
		{"below a path", []string{"/shared"}, []string{"shared/deep/x.yaml", "changed"}, false},
		{"a relative path", []string{"../shared"}, []string{"shared/common.yaml", "changed"}, false},
		{"a file", []string{"/shared/common.yaml"}, []string{"shared/common.yaml", "changed"}, false},
		{"a file that appears", []string{"/libs/b.yaml"}, []string{"libs/b.yaml", "b"}, false},
		{"a glob of files", []string{"/shared/*.yaml"}, []string{"shared/common.yaml", "changed"}, false},
		{"a glob that does not match", []string{"/shared/*.yaml"}, []string{"shared/other.json", "{}"}, true},
		{"a glob of directories", []string{"/sh*"}, []string{"shared/deep/x.yaml", "changed"}, false},
		{"a glob that gets one more", []string{"/shared/**/*.yaml"}, []string{"shared/deep/new.yaml", "n"}, false},
		{"a path that leaves the repository does not count", []string{"../../x", "."}, []string{"other/y", "z"}, false},
	}
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(base)
			s.req.App = model.AppUID(t.Name())
			s.req.GeneratePaths = tt.paths
			first, err := r.Render(t.Context(), s.request())
			if err != nil {
				t.Fatal(err)
			}
			s.snap = s.snap.with(tt.change...)
			s.req.PreviousKey = first.Key
			jobs := r.pool.Stats().Jobs
			again, err := r.Render(t.Context(), s.request())
			if err != nil || again.Unchanged != tt.unchanged || (r.pool.Stats().Jobs > jobs) == tt.unchanged {
				t.Errorf("unchanged %v after %d jobs, %v", again.Unchanged, r.pool.Stats().Jobs-jobs, err)
			}
		})
	}
	// A chart of a repository has no such paths: they are those of another
	// source of the application, and a newer version counts.
	for name, change := range map[string]func(*scene){
		"chart": func(s *scene) { s.req.Source.Chart, s.req.Source.Path = "web", "" },
		"tree":  func(s *scene) { s.req.Source.Path = "" },
	} {
		s := newScene(map[string]string{"Chart.yaml": "read values.yaml", "values.yaml": "old"})
		change(s)
		s.req.App, s.req.GeneratePaths = model.AppUID("uid-"+name), []string{"/apps/shop", "/shared/*.yaml"}
		first, err := r.Render(t.Context(), s.request())
		if err != nil {
			t.Fatal(err)
		}
		s.snap = s.snap.with("values.yaml", "new")
		s.req.PreviousKey = first.Key
		if res, err := r.Render(t.Context(), s.request()); err != nil || said(res) != "[read new end]" {
			t.Errorf("%s: %+v %v", name, res, err)
		}
	}
	// Other inputs than the repository's count all the same.
	s := newScene(map[string]string{"app/Chart.yaml": "kube"})
	s.req.App, s.req.GeneratePaths = "uid-kube", []string{"."}
	first, err := r.Render(t.Context(), s.request())
	if err != nil {
		t.Fatal(err)
	}
	s.kube, s.req.PreviousKey = "v9.9.9", first.Key
	if res, err := r.Render(t.Context(), s.request()); err != nil || res.Unchanged || said(res) != "[kube v9.9.9 0 end]" {
		t.Errorf("%+v %v", res, err)
	}
}

func TestTracesAreBounded(t *testing.T) {
	s := newTraces(10_000)
	for i := range 100 {
		s.put(&trace{key: fmt.Sprint(i), size: 600}, "app "+fmt.Sprint(i%3), "source")
	}
	if s.size > 10_000 || len(s.of("source")) > maxTraces {
		t.Errorf("%d bytes, %d traces", s.size, len(s.of("source")))
	}
	if got := s.of("source")[0].key; got != "99" {
		t.Errorf("newest is %s", got)
	}
	same := &trace{key: "99", size: 600}
	s.put(same, "source")
	if l := s.of("source"); l[0] != same || l[1].key == "99" {
		t.Error("one key is there twice")
	}
	s.put(&trace{key: "huge", size: 9_000}, "source")
	if s.of("source")[0] != same {
		t.Error("a trace of most of the memory was kept")
	}
	for s.order.Len() > 0 {
		s.remove(s.order.Back())
	}
	if s.size != 0 || len(s.buckets) != 0 {
		t.Errorf("%d bytes in %d buckets of nothing", s.size, len(s.buckets))
	}
}

func TestOptionsHaveDigestsOfTheirOwn(t *testing.T) {
	r := newRenderer(t, Options{})
	seen := map[string]int{}
	for i, req := range []Request{
		{}, {Source: model.Source{Path: "a"}}, {Source: model.Source{Chart: "a"}}, {Source: model.Source{Helm: &model.HelmSource{}}},
		{Source: model.Source{Directory: &model.DirectoryOption{}}}, {Source: model.Source{Directory: &model.DirectoryOption{Recurse: true}}},
		{Refs: map[string]func(context.Context) (Snapshot, error){"a": nil}},
	} {
		job, err := r.job(req)
		if err != nil {
			t.Fatal(err)
		}
		d, err := optionsDigest(job)
		if err != nil {
			t.Fatal(err)
		}
		if j, ok := seen[d]; ok {
			t.Errorf("requests %d and %d are the same job", j, i)
		}
		seen[d] = i
	}
	if _, err := r.job(Request{Source: model.Source{Path: "a/../../b"}}); !fault.HasCode(err, "path_escapes_repo") {
		t.Error(err)
	}
}

func TestTroubleWhileATraceIsAskedAgain(t *testing.T) {
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}})
	s := newScene(map[string]string{"app/Chart.yaml": "ref values v"})
	s.refs["values"] = snapshotOf(map[string]string{"v": "1"})
	res, err := r.Render(t.Context(), s.request())
	if err != nil {
		t.Fatal(err)
	}
	req := s.request()
	req.PreviousKey = res.Key
	away := errors.New("the Git process is gone")
	req.Refs["values"] = func(context.Context) (Snapshot, error) { return nil, away }
	if _, err := r.Render(t.Context(), req); !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
}
