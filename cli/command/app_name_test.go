package command

import (
	"strings"
	"testing"
)

func TestWhatAnApplicationIsCalled(t *testing.T) {
	for text, want := range map[string]appName{
		"web":             {name: "web"},
		"app/web":         {name: "web"},
		"applications/x":  {name: "x"},
		"shop/web":        {name: "web", project: "shop"},
		"app/shop/web":    {name: "web", project: "shop"},
		"app/app/web":     {name: "web", project: "app"},
		"web@eu":          {name: "web", cluster: "eu"},
		"shop/web@eu":     {name: "web", project: "shop", cluster: "eu"},
		"app/shop/web@eu": {name: "web", project: "shop", cluster: "eu"},
	} {
		if got, err := parseAppName(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "app/", "/web", "shop/", "web@", "@eu", "a/b/c", "app/a/b/c", "shop//web"} {
		if got, err := parseAppName(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

// TestNamesWithTheirPlace: commands take an application with its project or
// cluster. What does not fit is not done to another one.
func TestNamesWithTheirPlace(t *testing.T) {
	answers := everything()
	const rows = "GET /applications?filter=name%3Aweb&limit=100"
	answers[rows] = answer{200, `{"items":[{"name":"web","project":"shop","cluster":"eu"}]` + asOf}
	answers["GET /applications?filter=name%3Atwin&limit=100"] = answer{200, `{"items":[{"name":"twin","project":"shop","cluster":"us"},{"name":"twin","project":"shop","cluster":"eu"}]` + asOf}
	for _, c := range []struct {
		args     string
		code     int
		err      string
		asked    string
		notAsked string
	}{
		{args: "app get shop/web", asked: "GET /applications/web"},
		{args: "app get web@eu", asked: "GET /applications/web"},
		{args: "app history shop/web@eu", asked: "GET /applications/web"},
		{args: "get app/shop/web", asked: "GET /applications/web"},
		{args: "app get app/web", asked: "GET /applications/web", notAsked: rows},
		{args: "app sync shop/web", err: "", asked: "POST /applications/web/sync"},
		{args: "app actions list shop/web --kind Deployment", asked: "/applications/web/"},
		{args: "app delete pay/web -y", code: 3, err: "there is shop/web@eu", notAsked: "DELETE"},
		{args: "app sync web@us", code: 3, err: `there is no application "web@us"`, notAsked: "POST"},
		{args: "app delete shop/twin -y", code: 3, err: "shop/twin@eu, shop/twin@us", notAsked: "DELETE"},
		{args: "app get a/b/c", code: 2, err: "names no application", notAsked: "GET"},
	} {
		hub := newHubOf(t, answers)
		r := run(t, "", strings.Fields(c.args)...)
		asked := hub.requests()
		if r.code != c.code || !strings.Contains(r.err, c.err) || !strings.Contains(asked, c.asked) || (c.notAsked != "" && strings.Contains(asked, c.notAsked)) {
			t.Errorf("%s: exit status %d, stderr %q, asked %s", c.args, r.code, r.err, asked)
		}
	}
}

// TestListsOfOneApplication: what is listed of one application is sorted, cut and
// printed as every list is.
func TestListsOfOneApplication(t *testing.T) {
	newHubOf(t, everything())
	for line, want := range map[string]string{
		"app history web --columns id,by":                                           "ID  BY\n7   ana\n",
		"app history web -o name":                                                   "history/7\n",
		"app history web --sort-by -deployed --limit 1 --no-headers -o wide":        "7  2026-01-02T03:04:05Z",
		"app parameters web --columns parameter,default":                            "PARAMETER  DEFAULT\nenv        eu, us\n",
		"app parameters web -o name":                                                "parameter/env\n",
		"app actions list web --kind Deployment --sort-by -action --columns action": "ACTION\nscale\nrestart\n",
		"app actions list web --kind Deployment --limit 1 --columns action":         "ACTION\nrestart\n",
		"app tree web -o tree":                                                      "└─ Pod",
		"app get web -o tree":                                                       "└─ Pod",
		"app resources web -o tree":                                                 "└─ Pod",
		"app tree web -o name":                                                      "Pod",
	} {
		r := run(t, "", strings.Fields(line)...)
		if r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("%s: exit status %d\n%s%s", line, r.code, r.out, r.err)
		}
	}
}

// TestFiltersAreCompletedFromTheirSchema: a shell offers what the hub takes, for
// the things that the command lists.
func TestFiltersAreCompletedFromTheirSchema(t *testing.T) {
	newHubOf(t, everything())
	for _, c := range []struct{ noun, to, want, not string }{
		{"app", "", "operation:\n", "kubernetes:"},
		{"app", "he", "health:\n", ""},
		{"app", "health:", "health:degraded\n", ""},
		{"app", "freshness:", "freshness:lagging\n", "recent"},
		{"app", "name:x not:", "name:x not:ready\n", ""},
		{"cluster", "", "kubernetes:\n", "operation:"},
		{"cluster", "name:x -state:", "name:x -state:offline\n", ""},
		{"repo", "", "url:\n", "health:"},
	} {
		r := run(t, "", "__complete", c.noun, "list", "--filter", c.to)
		if !strings.Contains(r.out, c.want) || (c.not != "" && strings.Contains(r.out, c.not)) {
			t.Errorf("%s %q: %s", c.noun, c.to, r.out)
		}
	}
}
