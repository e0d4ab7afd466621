package helm

import (
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

func chartfile(name, version, dependencies string) string {
	return "apiVersion: v2\nname: " + name + "\nversion: " + version + "\ndependencies: [" + dependencies + "]\n"
}

// subchart has one ConfigMap, named as the chart is where it is used.
func subchart(tree files, dir, name, version, dependencies string) {
	tree[dir+"/Chart.yaml"] = chartfile(name, version, dependencies)
	tree[dir+"/templates/cm.yaml"] = configMap("{{ .Chart.Name }}", "{{ .Chart.Version | quote }}")
}

func TestDependenciesAreWhereTheyAre(t *testing.T) {
	for _, c := range []struct {
		name, dependencies string
		lay                func(t *testing.T, tree files, host *workspace.Memory)
		want               []string
		chart              string // question for a chart
	}{
		{"in charts/", "{name: a, version: 1.x.x}", func(_ *testing.T, tree files, _ *workspace.Memory) {
			subchart(tree, "charts/elsewhere", "a", "1.2.3", "")
		}, []string{"a 1.2.3"}, ""},
		{"not declared", "", func(_ *testing.T, tree files, _ *workspace.Memory) { subchart(tree, "charts/a", "a", "1.2.3", "") }, []string{"a 1.2.3"}, ""},
		{"an archive", "{name: a, version: 1.x.x, alias: b}", func(t *testing.T, tree files, _ *workspace.Memory) {
			sub := files{}
			subchart(sub, "x", "a", "1.0.0", "")
			tree["charts/a-1.0.0.tgz"] = archive(t, "a", files{"Chart.yaml": sub["x/Chart.yaml"], "templates/cm.yaml": sub["x/templates/cm.yaml"]})
		}, []string{"b 1.0.0"}, ""},
		{"an archive in an archive", "{name: a, version: 1.x.x}", func(t *testing.T, tree files, _ *workspace.Memory) {
			inner := archive(t, "deep", files{"Chart.yaml": chartfile("deep", "7.0.0", ""), "templates/cm.yaml": configMap("deep", `"7.0.0"`)})
			tree["charts/a-1.0.0.tgz"] = archive(t, "a", files{"Chart.yaml": chartfile("a", "1.0.0", ""), "charts/deep-7.0.0.tgz": inner})
		}, []string{"deep 7.0.0"}, ""},
		{"a directory", "{name: a, version: '>=1', repository: 'file://../lib/a-dir'}", func(_ *testing.T, tree files, _ *workspace.Memory) { subchart(tree, "lib/a-dir", "a", "1.5.0", "") }, []string{"a 1.5.0"}, ""},
		{"a directory with a directory", "{name: a, version: '>=1', repository: 'file://../lib/a'}", func(_ *testing.T, tree files, _ *workspace.Memory) {
			subchart(tree, "lib/a", "a", "1.5.0", "{name: b, version: '*', repository: 'file://../b'}")
			subchart(tree, "lib/b", "b", "2.0.0", "")
		}, []string{"a 1.5.0", "b 2.0.0"}, ""},
		{"one directory twice", "{name: a, version: 1.5.0, repository: 'file://../lib/a'}, {name: a, version: 1.5.0, repository: 'file://../lib/a', alias: again}", func(_ *testing.T, tree files, _ *workspace.Memory) {
			subchart(tree, "lib/a", "a", "1.5.0", "")
		}, []string{"a 1.5.0", "again 1.5.0"}, ""},
		{"a repository", "{name: a, version: ^1.0.0, repository: 'https://charts.example.com/'}", func(_ *testing.T, _ files, host *workspace.Memory) {
			sub := files{}
			subchart(sub, "dir", "a", "1.9.0", "")
			host.Trees["fetched"] = sub
			host.Charts["https://charts.example.com a ^1.0.0"] = workspace.Fetched{Tree: "fetched", Path: "dir", Version: "1.9.0"}
		}, []string{"a 1.9.0"}, "chart https://charts.example.com a ^1.0.0"},
		{"a registry", "{name: a, version: 1.9.0, repository: 'oci://r.example.com/charts'}", func(t *testing.T, _ files, host *workspace.Memory) {
			inner := archive(t, "deep", files{"Chart.yaml": chartfile("deep", "7.0.0", ""), "templates/cm.yaml": configMap("deep", `"7.0.0"`)})
			host.Trees["fetched"] = files{"Chart.yaml": chartfile("a", "1.9.0", "{name: deep, version: 7.0.0, repository: 'https://x'}"), "charts/deep-7.0.0.tgz": inner}
			host.Charts["oci://r.example.com/charts a 1.9.0"] = workspace.Fetched{Tree: "fetched", Version: "1.9.0"}
		}, []string{"deep 7.0.0"}, "chart oci://r.example.com/charts a 1.9.0"},
		{"a named repository", "{name: a, version: 1.9.0, repository: '@corp'}", func(_ *testing.T, _ files, host *workspace.Memory) {
			sub := files{}
			subchart(sub, "dir", "a", "1.9.0", "")
			host.Trees["fetched"] = sub
			host.Charts["@corp a 1.9.0"] = workspace.Fetched{Tree: "fetched", Path: "dir", Version: "1.9.0"}
		}, []string{"a 1.9.0"}, "chart @corp a 1.9.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := files{"app/Chart.yaml": chartfile("app", "0.1.0", c.dependencies)}
			w, host := space(nil, nil)
			w.Dir = "app"
			inApp := files{}
			c.lay(t, inApp, host)
			for p, text := range inApp {
				if strings.HasPrefix(p, "charts/") {
					p = "app/" + p
				}
				tree[p] = text
			}
			host.Trees[""] = tree
			var got []string
			for _, o := range mustRender(t, w) {
				got = append(got, o.Key.Name+" "+o.Body["data"].(map[string]any)["v"].(string))
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%q instead of %q", got, c.want)
			}
			if fetches := strings.Join(asked(host, "chart "), ";"); fetches != c.chart {
				t.Errorf("fetched %q instead of %q", fetches, c.chart)
			}
		})
	}
}

func TestDependenciesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name, dependencies string
		more               files
		code               string
		says               []string
	}{
		{"no repository", "{name: a, version: 1.0.0}", nil, "chart_not_found", []string{`"app" depends on "a"`, "not in charts/"}},
		{"no such chart", "{name: a, version: ^99, repository: 'https://charts.example.com'}", nil, "chart_not_found", []string{"^99"}},
		{"no such directory", "{name: a, version: 1.0.0, repository: 'file://../none'}", nil, "chart_not_found", []string{"file://../none"}},
		{"outside", "{name: a, version: 1.0.0, repository: 'file://../../etc'}", nil, "path_escapes_repo", []string{"file://../../etc"}},
		{"absolute", "{name: a, version: 1.0.0, repository: 'file:///etc'}", nil, "path_escapes_repo", nil},
		{"another version", "{name: a, version: 2.x.x, repository: 'file://../a'}", files{"a/Chart.yaml": chartfile("a", "1.0.0", "")}, "chart_not_found", []string{"2.x.x", "1.0.0"}},
		{"another name", "{name: a, version: 1.0.0, repository: 'file://../a'}", files{"a/Chart.yaml": chartfile("b", "1.0.0", "")}, "chart_invalid", []string{`called "b"`}},
		{"itself", "{name: app, version: '*', repository: 'file://.'}", nil, "chart_invalid", []string{"depends on itself"}},
		{"in a circle", "{name: a, version: '*', repository: 'file://../a'}", files{"a/Chart.yaml": chartfile("a", "1.0.0", "{name: app, version: '*', repository: 'file://../app'}")}, "chart_invalid", []string{"depends on itself"}},
		{"an old lock", "{name: a, version: 1.0.0, repository: 'https://charts.example.com'}", files{"app/Chart.lock": "dependencies: [{name: a, version: 0.9.0, repository: 'https://charts.example.com'}]\ndigest: sha256:00\n"}, "chart_lock_out_of_sync", []string{"app/Chart.lock"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := files{"app/Chart.yaml": chartfile("app", "0.1.0", c.dependencies)}
			for p, text := range c.more {
				tree[p] = text
			}
			w, _ := space(tree, nil)
			w.Dir = "app"
			_, err := Render(w)
			wantFault(t, err, c.code, c.says...)
		})
	}
}

func TestTheLockedVersionIsFetched(t *testing.T) {
	req := []*chart.Dependency{{Name: "a", Version: "^1.0.0", Repository: "https://charts.example.com"}}
	lock := []*chart.Dependency{{Name: "a", Version: "1.2.0", Repository: "https://charts.example.com"}}
	tree := files{
		"Chart.yaml": chartfile("app", "0.1.0", "{name: a, version: ^1.0.0, repository: 'https://charts.example.com'}"),
		"Chart.lock": "dependencies: [{name: a, version: 1.2.0, repository: 'https://charts.example.com'}]\ndigest: " + lockDigest([2][]*chart.Dependency{req, lock}) + "\ngenerated: \"2024-01-01T00:00:00Z\"\n",
	}
	w, host := space(tree, nil)
	host.Trees["fetched"] = files{"Chart.yaml": chartfile("a", "1.2.0", "")}
	host.Charts["https://charts.example.com a 1.2.0"] = workspace.Fetched{Tree: "fetched", Version: "1.2.0"}
	mustRender(t, w)
	// An alias hides the URL that the digest covers.
	tree["Chart.yaml"] = chartfile("app", "0.1.0", "{name: a, version: ^1.0.0, repository: 'alias:corp'}")
	host.Charts["alias:corp a 1.2.0"] = host.Charts["https://charts.example.com a 1.2.0"]
	mustRender(t, w)
	tree["Chart.yaml"] = chartfile("app", "0.1.0", "{name: a, version: ^2.0.0, repository: 'alias:corp'}")
	if _, err := Render(w); !fault.HasCode(err, "chart_lock_out_of_sync") {
		t.Error(err)
	}
}
