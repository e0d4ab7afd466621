package command

import (
	"os"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

const (
	labelsInvalid = `{"cluster":"eu","applications":3,"invalid":[{"name":"web","project":"pay","cluster":"eu","namespace":"pay-web","refusal":{"code":"destination_not_permitted","message":"project \"pay\" may deploy to [env=dev]/*"},"id":"HW-4103"}],"invalidCount":1,"valid":[],"validCount":0}`
	shownInvalid  = "1 of 3 applications become invalid:\n  ✕ web on eu/pay-web: project \"pay\" may deploy to [env=dev]/* (HW-4103)\n"
)

// answering runs a command where somebody answers, or nobody does.
func answering(t *testing.T, terminal bool, answer, args string) ran {
	t.Helper()
	return runAs(t.Context(), Streams{In: strings.NewReader(answer), Terminal: terminal}, strings.Fields(args)...)
}

func TestLabelsThatMakeApplicationsInvalidAreAskedAbout(t *testing.T) {
	const eu = `{"id":"1","name":"eu","labels":{"env":"dev"}}`
	for name, c := range map[string]struct {
		args, answer string
		terminal     bool
		code         int
		out, err     string
		saved        bool
	}{
		"nobody is there":    {args: "env-", code: 6, err: shownInvalid + "error: HW-8047 1 applications become invalid"},
		"nobody, but agreed": {args: "env- --yes", err: shownInvalid + "cluster \"eu\" labelled\n", saved: true},
		"yes":                {args: "env-", answer: "yes\n", terminal: true, err: shownInvalid + "Save it all the same?", saved: true},
		"no":                 {args: "env-", answer: "no\n", terminal: true, code: 2, err: shownInvalid + "Save it all the same?"},
		"only shown":         {args: "env- --dry-run", code: 1, out: shownInvalid},
		"as documents":       {args: "env- --dry-run -o json", code: 1, out: `"invalidCount": 1`},
		"nothing changes":    {args: "env=dev", err: "cluster \"eu\" is labelled so already", saved: true},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newHubOf(t, map[string]answer{"GET /clusters/eu": {200, eu}, "PUT /clusters/eu/labels": {200, eu}, "PUT /clusters/eu/labels?dryRun=true": {200, labelsInvalid}})
			r := answering(t, c.terminal, c.answer, "cluster label eu "+c.args)
			saved := strings.Contains(hub.requests(), "PUT /clusters/eu/labels {")
			if r.code != c.code || !strings.HasPrefix(r.err, c.err) || !strings.Contains(r.out, c.out) || c.out == "" && r.out != "" || saved != c.saved {
				t.Errorf("%+v, asked %s", r, hub.requests())
			}
		})
	}
}

func TestApplyShowsWhatProjectsMakeInvalidFirst(t *testing.T) {
	file := t.TempDir() + "/pay.yaml"
	const pay = "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: pay}\nspec: {sourceRepos: ['https://x/*']}\n"
	if err := os.WriteFile(file, []byte(pay), 0o600); err != nil {
		t.Fatal(err)
	}
	const item = `{"kind":"AppProject","name":"pay","result":"configured","warnings":["spec.x: risky"]`
	preview := `{"items":[` + item + `,"preview":{"project":"pay","result":"configured","warnings":["spec.x: risky"],` + labelsInvalid[1:] + `}]}`
	for name, c := range map[string]struct {
		args, answer string
		terminal     bool
		code         int
		out, err     string
		saved        bool
	}{
		"a script":      {out: "project/pay configured\n", err: "project \"pay\":\n" + shownInvalid + "warning: project/pay: spec.x: risky\n", saved: true},
		"yes":           {answer: "yes\n", terminal: true, out: "project/pay configured\n", err: "project \"pay\":\n" + shownInvalid + "Save it all the same?", saved: true},
		"no":            {answer: "no\n", terminal: true, code: 2, err: "project \"pay\":\n" + shownInvalid + "Save it all the same?"},
		"agreed before": {args: "--yes", terminal: true, out: "project/pay configured\n", err: "project \"pay\":\n" + shownInvalid, saved: true},
		"only shown":    {args: "--dry-run", code: 1, out: "project/pay configured (dry run)\nwarning: spec.x: risky\n" + shownInvalid},
		"as documents":  {args: "--dry-run -o json", code: 1, out: `"invalidCount": 1`, err: "warning: project/pay: spec.x: risky\n"},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newHubOf(t, map[string]answer{"POST /apply": {200, `{"items":[` + item + `}]}`}, "POST /apply?dryRun=true": {200, preview}})
			r := answering(t, c.terminal, c.answer, "apply -f "+file+" "+c.args)
			saved := strings.Contains(hub.requests(), "POST /apply "+"apiVersion")
			if r.code != c.code || !strings.HasPrefix(r.err, c.err) || !strings.Contains(r.out, c.out) || c.out == "" && r.out != "" || saved != c.saved {
				t.Errorf("%+v, asked %s", r, hub.requests())
			}
			if !c.saved && !strings.Contains(c.args, "dry") && strings.Count(hub.requests(), "POST") != 1 {
				t.Errorf("asked %s", hub.requests())
			}
		})
	}
	// A text without projects is sent once.
	hub := newHubOf(t, map[string]answer{"POST /apply": {200, `{"items":[{"kind":"Application","name":"web","result":"created"}]}`}})
	if r := run(t, "", "apply", "-f", "testdata/one.yaml"); r.code != 0 || strings.Contains(hub.requests(), "dryRun") {
		t.Errorf("%+v, asked %s", r, hub.requests())
	}
}

// Denials as Argo CD writes them can be taken away.
func TestDenialsWithAnExclamationMarkAreRemoved(t *testing.T) {
	p := model.AppProject{Spec: model.AppProjectSpec{Destinations: []model.ProjectDestination{
		{Name: "!eu", Namespace: "shop"}, {Server: "https://eu", Namespace: "!kube-system"}, {Name: "eu", Namespace: "shop"}}}}
	for _, rule := range []string{"eu,shop", "https://eu,!kube-system"} {
		if err := destinationRule(&p, rule, true, true, ruleOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if d := p.Spec.Destinations; len(d) != 1 || d[0].Name != "eu" || d[0].Namespace != "shop" {
		t.Errorf("%+v", d)
	}
}
