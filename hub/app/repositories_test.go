package app

import (
	"context"
	"net/http/httptest"
	"os"
	"slices"
	"testing"

	"github.com/hawser-dev/hawser/hub/delivery"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/hub/source/sourcetest"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// What is registered for one project is not rendered for another, by whatever
// way an application comes to it. The renderer has no sources: none is asked.
func TestRepositoriesOfAnotherProjectAreNotRead(t *testing.T) {
	const url = "https://git.example/pay/web"
	r := renderer{
		byName:   func(context.Context, string) (string, error) { return url, nil },
		reserved: func(context.Context, string) (string, error) { return "pay", nil },
	}
	req := delivery.RenderRequest{Project: "shop", Permit: func(string, bool) error { return nil }}
	req.Source = model.Source{RepoURL: url, Path: "a"}
	f := fetcher{renderer: r, project: req.Project, permit: req.Permit}
	for name, read := range map[string]func() error{
		"source":      func() error { _, err := r.Render(t.Context(), req); return err },
		"ref":         func() error { _, err := f.open(t.Context(), req.At); return err },
		"chart":       func() error { _, _, err := f.Chart(t.Context(), url, "web", "1.x"); return err },
		"named chart": func() error { _, _, err := f.Chart(t.Context(), "@pay", "web", "1.x"); return err },
		"remote base": func() error { _, _, err := f.Base(t.Context(), url+"//a?ref=main"); return err },
		"download":    func() error { _, err := f.Download(t.Context(), url); return err },
		"submodule":   func() error { return f.permitted(t.Context(), url, false) },
	} {
		if err := read(); !fault.HasCode(err, "repo_not_permitted") || !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, project := range []string{"pay", "shop"} {
		open := renderer{reserved: func(context.Context, string) (string, error) { return map[string]string{"pay": "pay"}[project], nil }}
		if err := open.mayUse(t.Context(), url, project); err != nil {
			t.Errorf("%s: %v", project, err)
		}
	}
}

func TestWhichFollowedRepositoryIsMeant(t *testing.T) {
	for _, c := range []struct {
		registered, followed string
		want                 bool
	}{
		{"https://git.example/web", "https://GIT.example/web.git", true},
		{"git@git.example:web", "ssh://git@git.example/web", true},
		{"https://git.example/web", "https://git.example/web/api", false},
		{"oci://registry.example/charts", "registry.example/charts/web", true},
		{"oci://registry.example/charts", "oci://registry.example/charts-two", false},
	} {
		if got := means(c.registered, c.followed); got != c.want {
			t.Errorf("%s for %s: %v", c.registered, c.followed, got)
		}
	}
}

// An application with spec.source.helm.passCredentials lets the credential of a
// dependency's repository go to the host that its archive is on; no other does.
func TestPassCredentialsIsOfTheApplication(t *testing.T) {
	other := &sourcetest.Recorder{Body: sourcetest.Chart("web", "1.0.0", nil)}
	elsewhere := httptest.NewServer(other)
	defer elsewhere.Close()
	charts := &sourcetest.Charts{User: "robot", Password: "CANARY-s3cret"}
	charts.Add("web", "1.0.0", elsewhere.URL+"/web-1.0.0.tgz", "", other.Body)
	home := httptest.NewServer(charts)
	defer home.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, pass := range []bool{false, true} {
		sources, err := source.New(source.Options{
			Dir: t.TempDir(), WorkerCommand: []string{exe, GitWorkerCommand}, AllowHTTPCredentials: true,
			Credentials: func(context.Context, string) (*fleet.Credential, error) {
				return &fleet.Credential{Username: "robot", Password: "CANARY-s3cret"}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		req := delivery.RenderRequest{Permit: func(string, bool) error { return nil }}
		req.Source = model.Source{RepoURL: home.URL, Chart: "shop", Helm: &model.HelmSource{PassCredentials: pass}}
		_, version, err := renderer{sources: sources}.fetcher(req).Chart(t.Context(), home.URL, "web", "^1")
		sources.Close()
		seen := other.Asked()
		if err != nil || version != "1.0.0" || len(seen) != 1 || (seen[0].Authorization != "") != pass {
			t.Errorf("passCredentials %v: %q, %v, another host saw %+v", pass, version, err, seen)
		}
	}
}

func TestVersionsOfKindsAreAPIsToo(t *testing.T) {
	got := apiVersions([]string{"apps/v1/Deployment", "batch/v1", "v1/Pod", "apps/v1/StatefulSet", "v1"})
	want := []string{"apps/v1", "apps/v1/Deployment", "apps/v1/StatefulSet", "batch/v1", "v1", "v1/Pod"}
	if !slices.Equal(got, want) {
		t.Errorf("%q instead of %q", got, want)
	}
}
