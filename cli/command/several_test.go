package command

import (
	"strings"
	"testing"
)

const us = `{"id":"id-us","name":"us","connected":false,"applications":0}`

// several are the answers of a hub with two of each.
func several() map[string]answer {
	return with(map[string]answer{
		"GET /applications/api":    {200, strings.Replace(webApp, `"name":"web"`, `"name":"api"`, 1)},
		"DELETE /applications/api": {202, strings.Replace(deleteOp, "op-2", "op-1", 1)},
		"GET /clusters/us":         {200, us},
		"DELETE /clusters/us":      {204, ""},
	})
}

func TestSeveralNames(t *testing.T) {
	for _, c := range []commandCase{
		{args: "get app/web app/api", out: "NAME  PROJECT  CLUSTER"},
		{args: "get app web api", out: "\napi   shop     eu"},
		{args: "app get web api app/web -o name", out: "app/web\napp/api\n"},
		{args: "app get web api -o json", out: `"kind": "AppList"`},
		{args: "app get web api --json name,resources", out: `"name": "api"`},
		{args: "app get web api -o jsonpath={.items[*].name}", out: "web api"},
		{args: "get cluster/eu cluster/us", out: "NAME  STATE      SEEN"},
		{args: "get cluster eu us -o wide", out: "id-us"},
		{args: "get cluster/eu nix -o name", code: 3, err: `nothing is called "nix"`},
		{args: "get cluster eu nix -o name", code: 9, out: "cluster/eu\n", err: "error: "},
		{args: "cluster get nix nux", code: 3, err: "/clusters/nux"},
		{args: "get cluster/eu app/web -o name", out: "cluster/eu\napp/web\n"},
		{args: "get cluster/eu app/web", out: "\n\nName:"},
		{args: "get cluster/eu app/web -o json", code: 2, err: "ask for one type at a time"},
		{args: "describe cluster/eu cluster/us", out: "\n\nName:          us\n"},
		{args: "cluster describe eu us -o json", out: `"kind": "List"`},
		{args: "delete cluster/eu cluster/us", err: `cluster "us" forgotten`, asked: "DELETE /clusters/eu\nDELETE /clusters/us"},
		{args: "delete cluster eu nix us", code: 9, err: `cluster "us" forgotten`, asked: "DELETE /clusters/eu\nDELETE /clusters/nix\nDELETE /clusters/us"},
		{args: "app delete web api -y", out: "Succeeded", asked: "DELETE /applications/web\nGET /applications/api\nDELETE /applications/api\nGET /operations/op-2"},
		{args: "repo get x https://git/x -o name", out: "repo/https://git/x\nrepo/https://git/x\n"},
		{args: "cluster get", code: 2, err: "takes 1 argument (NAME), got 0"},
		{args: "cluster describe eu us -w", code: 2, err: "for one name"},
	} {
		t.Run(c.args, func(t *testing.T) {
			hub := newHubOf(t, several())
			r := run(t, "", strings.Fields(c.args)...)
			r.check(t, c.code, c.out, c.err)
			if !strings.Contains(hub.requests(), c.asked) {
				t.Errorf("the hub was asked\n%s", hub.requests())
			}
			if strings.Contains(c.args, "json") && !strings.Contains(c.args, "path") && !r.document() {
				t.Errorf("no single document: %s", r.out)
			}
		})
	}
}
