package command

import (
	"strings"
	"testing"
)

// app get tells down to the object that is the reason, as the console does; many that
// say the same are told once, and what has no end is.
func TestAppGetTellsWhatIsBelowTheUnhealthyObject(t *testing.T) {
	view := `{"name":"web","project":"shop","cluster":"eu","health":{"status":"Degraded"},"sync":{"status":"Synced"},"freshness":"live",
		"healthCauses":[{"group":"apps","kind":"Deployment","namespace":"n","name":"web","status":"Degraded","message":"0 of 2 ready"}]}`
	pod := func(name, message string) string {
		return `{"kind":"Pod","namespace":"n","name":"` + name + `","uid":"` + name + `","version":"v1","parentUIDs":["rs"],"health":{"status":"Degraded","message":"` + message + `"}}`
	}
	tree := func(parent string) string {
		return `{"nodes":[{"group":"apps","kind":"Deployment","namespace":"n","name":"web","uid":"d","version":"v1","health":{"status":"Degraded"}},
		{"group":"apps","kind":"ReplicaSet","namespace":"n","name":"web-5","uid":"rs","version":"v1","parentUIDs":["d"` + parent + `],"health":{"status":"Progressing"}},
		{"kind":"Pod","namespace":"n","name":"well","uid":"well","version":"v1","parentUIDs":["rs"],"health":{"status":"Healthy"}},
		` + pod("web-1", "no image shop:12") + `,` + pod("web-2", "no image shop:12") + `,` + pod("web-3", "no memory") + `]}`
	}
	const want = "Unhealthy:  apps/Deployment n/web is Degraded: 0 of 2 ready\n" +
		"             └ Pod n/web-1 is Degraded: no image shop:12 (and 1 alike)\n" +
		"             └ Pod n/web-3 is Degraded: no memory\n"
	for name, answers := range map[string]map[string]answer{
		"the leaves":   {"GET /applications/web": {200, view}, "GET /applications/web/tree": {200, tree("")}},
		"a ring":       {"GET /applications/web": {200, view}, "GET /applications/web/tree": {200, tree(`,"web-1"`)}},
		"without tree": {"GET /applications/web": {200, view}, "GET /applications/web/tree": problemAnswer(503, "unavailable", "agent_offline", "no")},
	} {
		newHubOf(t, answers)
		r := run(t, "", "app", "get", "web")
		want := want
		if name == "without tree" {
			want, _, _ = strings.Cut(want, "             └")
		}
		if r.code != 0 || !strings.Contains(squeeze(r.out), squeeze(want)) || name == "without tree" && strings.Contains(r.out, "└") {
			t.Errorf("%s: exit status %d\n%s\nwant\n%s", name, r.code, r.out, want)
		}
	}
}

// The commit that an application is made of may be older than the branch's.
func TestAppGetSaysThatANewerCommitIsTheSame(t *testing.T) {
	const older, newer = "aaaaaaa1111111111111", "bbbbbbb2222222222222"
	const source = `"head":"` + newer + `","rendered":"` + older + `"`
	alone, both := short(older), short(older)+" ("+short(newer)+" is the same here)"
	for name, c := range map[string]struct {
		view, sources, want string
	}{
		"the same":      {"", source + `,"settled":true`, both},
		"not looked at": {"", source, alone},
		"at the head":   {"", `"head":"` + older + `","rendered":"` + older + `","settled":true`, alone},
		"rolled back":   {`,"pin":{"historyID":3,"revision":{"commit":"` + older + `"},"setAside":{"commit":"` + newer + `"}}`, source + `,"settled":true`, alone},
		"does not render": {`,"conditions":[{"type":"ComparisonError","code":"jinja_undefined","message":"x","revision":"` + newer + `","since":"2026-01-02T03:04:05Z"}]`,
			source + `,"settled":true`, alone},
	} {
		newHubOf(t, map[string]answer{"GET /applications/web": {200, `{"name":"web","desired":{"commit":"` + older + `","message":"one"}` + c.view + `}`},
			"GET /applications/web/sources": {200, `{"items":[{` + c.sources + `}]}`}})
		if r := run(t, "", "app", "get", "web"); r.code != 0 || !strings.Contains(squeeze(r.out), "Desired: "+c.want+" one") {
			t.Errorf("%s: exit status %d\n%s", name, r.code, r.out)
		}
	}
}

// squeeze is a text with one space for several.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
