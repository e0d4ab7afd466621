package command

import (
	"strings"
	"testing"
)

func TestLabelsOfAClusterAreChangedOneByOne(t *testing.T) {
	const eu = `{"id":"1","name":"eu","labels":{"env":"dev","tier":"a"}}`
	for args, c := range map[string]struct {
		code     int
		put, err string
	}{
		"region=eu tier-":      {0, `{"labels":{"env":"dev","region":"eu"}}`, "labelled"},
		"env=dev":              {0, `{"labels":{"env":"dev","tier":"a"}}`, "is labelled so already"},
		"env=prod":             {6, "", "has the label env=dev already"},
		"env=prod --overwrite": {0, `{"labels":{"env":"prod","tier":"a"}}`, "labelled"},
		"gone-":                {0, `{"labels":{"env":"dev","tier":"a"}}`, "is labelled so already"},
		"env":                  {2, "", "is neither KEY=VALUE nor KEY-"},
		"env=a env-":           {2, "", "named twice"},
		"-- -":                 {2, "", "is neither"},
		"=x":                   {2, "", "empty or named twice"},
	} {
		hub := newHubOf(t, map[string]answer{"GET /clusters/eu": {200, eu}, "PUT /clusters/eu/labels": {200, eu}})
		r := run(t, "", append([]string{"cluster", "label", "eu"}, strings.Fields(args)...)...)
		put := strings.Contains(hub.requests(), "PUT ")
		if r.code != c.code || !strings.Contains(r.err, c.err) || put != (c.put != "") || !strings.Contains(hub.requests(), c.put) {
			t.Errorf("%s: %+v, asked %s", args, r, hub.requests())
		}
	}
}

func TestLabelsOfSeveralClusters(t *testing.T) {
	answers := map[string]answer{}
	for _, name := range []string{"eu", "us"} {
		cluster := answer{200, `{"id":"` + name + `","name":"` + name + `","labels":{"tier":"a"}}`}
		answers["GET /clusters/"+name], answers["PUT /clusters/"+name+"/labels"] = cluster, cluster
	}
	hub := newHubOf(t, answers)
	run(t, "", "cluster", "label", "eu", "us", "ring=2", "tier-").check(t, 0, "", `cluster "us" labelled`)
	for _, name := range []string{"eu", "us"} {
		if !strings.Contains(hub.requests(), "PUT /clusters/"+name+`/labels {"labels":{"ring":"2"}}`) {
			t.Errorf("%s: %s", name, hub.requests())
		}
	}
	run(t, "", "cluster", "label", "eu", "us").check(t, 2, "", "is neither KEY=VALUE nor KEY-")
	run(t, "", "cluster", "label", "eu", "gone", "ring=2").check(t, ExitNotFound, "", "/clusters/gone")
}
