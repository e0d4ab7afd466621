package command

import (
	"strings"
	"testing"
)

func TestANameThatIsNearlyRightIsSuggested(t *testing.T) {
	answers := everything()
	unknown := func(code, text string) answer { return problemAnswer(404, "not_found", code, text) }
	answers["GET /applications/webb"] = unknown("application_not_found", `there is no application "webb"`)
	answers["POST /applications/webb/sync"] = answers["GET /applications/webb"]
	answers["GET /clusters/eus"] = unknown("cluster_unknown", `there is no cluster "eus"`)
	answers["DELETE /clusters/eus"] = answers["GET /clusters/eus"]
	answers["GET /projects/shpo"] = unknown("project_unknown", `there is no project "shpo"`)
	answers["GET /applicationsets/wen"] = unknown("applicationset_not_found", `there is no application set "wen"`)
	answers["GET /clusters/quite-else"] = unknown("cluster_unknown", `there is no cluster "quite-else"`)
	answers["GET /applications?filter=name%3Awebb&limit=100"] = answer{200, `{"items":[]` + asOf}
	for args, fix := range map[string]string{
		"app get webb": `did you mean "web"?`, "get app/webb": `did you mean "web"?`, "app sync webb": `did you mean "web"?`,
		"app get shop/webb": `did you mean "web"?`,
		"cluster get eus":   `did you mean "eu"?`, "delete cluster/eus": `did you mean "eu"?`, "get cluster eu eus -o name": `did you mean "eu"?`,
		"project get shpo": `did you mean "shop"?`, "appset get wen": `did you mean "web"?`,
		"repo get https://git/y": `did you mean "https://git/x"?`, "cluster get quite-else": "do so",
		"get webb": "did you mean app/web?", "get shpo": "did you mean project/shop?", "get clusters/eus": `did you mean "eu"?`,
		"get clustrs": `did you mean "clusters"?`, "get quite-else": "types: app, cluster", "get clustrs/eu": `did you mean "clusters"?`,
		"get appsets -o name": "", "get appset/web -o name": "", "get jobs -o name": "", "delete appset/web": "",
	} {
		t.Run(args, func(t *testing.T) {
			newHubOf(t, answers)
			r := run(t, "", strings.Fields(args)...)
			if !strings.Contains(r.err, fix) || (fix == "" && r.code != 0) {
				t.Errorf("status %d, stderr %q, want %q", r.code, r.err, fix)
			}
		})
	}
}
