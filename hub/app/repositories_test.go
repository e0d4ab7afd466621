package app

import (
	"context"
	"testing"

	"github.com/hawser-dev/hawser/hub/delivery"
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
	f := fetcher{r, req.Project, req.Permit}
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
