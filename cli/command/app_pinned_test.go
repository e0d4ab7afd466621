package command

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// pinnedApp was rolled back from broken to running.
func pinnedApp() string {
	at := time.Now().Add(-40 * time.Minute).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"name":"shop","project":"p","cluster":"eu","sync":{"status":"Synced"},"health":{"status":"Degraded"},"freshness":"live","uid":"u-1","generation":4,"autoSync":true,
"observedAt":"2026-01-02T03:04:05Z","revision":%[1]q,"operation":{"id":"op-9","kind":"sync","phase":"Succeeded","initiatedBy":"ana","spec":{"reason":"it fails","rollback":{"historyID":3}}},
"pin":{"historyID":3,"generation":4,"revision":{"commit":%[1]q,"message":"the good one"},"setAside":{"commit":%[2]q,"message":"the bad\u001b one"},"initiatedBy":"ana","reason":"it fails","at":%[3]q},
"healthCauses":[{"group":"apps","kind":"Deployment","namespace":"n","name":"web","status":"Degraded","message":"no progress"},{"kind":"Pod","namespace":"n","name":"p","status":"Degraded"}],
"resources":[{"group":"batch","kind":"Job","namespace":"n","name":"migrate","version":"v1","sync":{"status":""},"health":{"status":"Healthy"},"hook":"PreSync","hookPhase":"Succeeded","syncWave":-1},
 {"kind":"PersistentVolumeClaim","namespace":"n","name":"data","version":"v1","sync":{"status":"OutOfSync"},"health":{"status":"Healthy"},"requiresPruning":true,"requiresDeletionConfirmation":true}],
"history":[{"id":3,"generation":3,"revision":%[1]q,"message":"the good one","deployedAt":"2026-01-02T03:04:05Z","initiatedBy":"automated","held":true,"sources":[%[1]q,"1.2.3"]},
 {"id":4,"generation":4,"revision":%[1]q,"deployedAt":"2026-01-03T03:04:05Z","initiatedBy":"ana","reason":"it fails","operation":"op-9","rollback":{"historyID":3,"setAside":%[2]q}},
 {"id":5,"generation":5,"revision":%[1]q,"deployedAt":"2026-01-04T03:04:05Z","initiatedBy":"bob","reason":"by hand"}]}`, running, broken, at)
}

const waiting = "1 of 2 objects wait for an approval before they are deleted: hawser app confirm-deletion shop\n"

const pinnedNote = "shop stays at deployment 3 (7cc9050e) after a rollback; d8b6439d is set aside until a newer revision comes: hawser app unpin shop\n"

func TestAnApplicationThatWasRolledBack(t *testing.T) {
	ended := strings.Replace(doneOp, `"result":{"resources":[`, `"result":{"resources":[
{"group":"batch","kind":"Job","namespace":"n","name":"migrate","status":"Created","phase":"PreSync","wave":-1,"hookPhase":"Succeeded"},
{"kind":"ConfigMap","namespace":"n","name":"c","status":"Configured","phase":"Sync","wave":2,"message":"look"},
{"kind":"ConfigMap","namespace":"n","name":"d","status":"Unchanged","phase":"Sync"},`, 1)
	for _, c := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"app get shop", 0, "Pinned:     to deployment 3, 7cc9050e \"the good one\", by ana 40m ago\nBecause:    it fails\n" +
			"Set aside:  d8b6439d \"the bad\\x1b one\", until a newer revision comes: hawser app unpin shop\n" +
			"Unhealthy:  apps/Deployment n/web is Degraded: no progress\n              Pod n/p is Degraded\n",
			waiting},
		{"app get shop", 0, "batch/Job              n          migrate  PreSync hook Succeeded  Healthy\nPersistentVolumeClaim  n          data     OutOfSync, to confirm   Healthy", waiting},
		{"app get shop -o wide", 0, "Automated sync:  on\nOperation ID:    op-9\nAsked by:        ana\nReason:          it fails\n", waiting},
		{"app get shop -o wide", 0, "WAVE", waiting},
		{"app get shop -o json", 0, `"setAside"`, ""},
		{"app list", 0, "Synced pinned  Degraded", "1 of 1 pinned to an older deployment by a rollback: hawser app get shop\n"},
		{"app list", 0, "rollback Succeeded", "1 of 1"},
		{"app list -o wide", 0, "to 3, not d8b6439d", "1 of 1"},
		{"app list -o name", 0, "app/shop\n", ""},
		{"app history shop", 0, "3   2026-01-02T03:04:05Z  7cc9050e  automated  the good one\n4   2026-01-03T03:04:05Z  7cc9050e  ana        rollback to 3: it fails\n" +
			"5   2026-01-04T03:04:05Z  7cc9050e  bob        by hand\n", ""},
		{"app history shop -o wide", 0, "op-9", ""},
		{"app history shop -o wide", 0, "7cc9050e,1.2.3", ""},
		{"app sync shop", 0, "Succeeded", pinnedNote},
		{"app sync shop -o json", 0, `"Succeeded"`, ""},
		{"app rollback shop", 0, "Succeeded", pinnedNote},
		{"app diff shop", 0, "- PersistentVolumeClaim n/data  (not in Git any more)\n", pinnedNote},
		{"app wait shop --sync", 0, "shop  Synced  Degraded  7cc9050e\n", pinnedNote},
		{"app wait shop --sync --revision " + running, 0, "shop", pinnedNote},
		{"app wait shop --sync --revision d8b6439", 6, "", "error: HW-8022 shop: d8b6439d was set aside when ana went back to deployment 3 (revision_set_aside)\n  fix: deploy it again: hawser app unpin shop\n"},
		{"app rollback shop --dry-run", 0, "Configured  ConfigMap n/c\nshop would go back to deployment 3 (7cc9050e \"the good one\"); 1 of 2 objects differ, and d8b6439d would be set aside\n", ""},
		{"app rollback shop --dry-run -o json", 0, `"dryRun": true`, ""},
		{"operation get op-1", 0, "Created     batch/Job n/migrate  (PreSync, wave -1, hook Succeeded)\nConfigured  ConfigMap n/c  (wave 2)  look\nUnchanged   ConfigMap n/d\nCreated     Service n/s\n", ""},
		{"app actions run shop restart --kind Pod", 3, "", "(object_ambiguous)"},
	} {
		t.Run(c.args, func(t *testing.T) {
			answers := with(map[string]answer{
				"GET /applications":                {200, `{"items":[` + pinnedApp() + `]` + asOf},
				"GET /applications/shop":           {200, pinnedApp()},
				"POST /applications/shop/sync":     {202, queuedOp},
				"GET /applications/shop/tree":      {200, `{"nodes":[{"kind":"Pod","namespace":"n","name":"a","uid":"1"},{"kind":"Pod","namespace":"n","name":"b","uid":"2"}]}`},
				"POST /applications/shop/rollback": {202, rollbackOp},
				"GET /operations/op-1":             {200, ended},
			})
			if strings.Contains(c.args, "dry-run") {
				answers["POST /applications/shop/rollback"] = answer{200, `{"dryRun":true,"deployment":{"id":3,"revision":"` + running + `","message":"the good one"},"setAside":{"commit":"` + broken + `"},
"resources":[{"kind":"ConfigMap","namespace":"n","name":"c","status":"Configured"},{"kind":"ConfigMap","namespace":"n","name":"d","status":"Unchanged"}]}`}
			}
			newHubOf(t, answers)
			run(t, "", strings.Fields(c.args)...).check(t, c.code, c.out, c.err)
		})
	}
}

// What came to be set aside again is of no deployment.
func TestAPinThatCameByItself(t *testing.T) {
	app := strings.Replace(pinnedApp(), `"pin":{"historyID":3,`, `"pin":{`, 1)
	newHubOf(t, with(map[string]answer{"GET /applications": {200, `{"items":[` + app + `]` + asOf}, "GET /applications/shop": {200, app}}))
	run(t, "", "app", "get", "shop").check(t, 0, "Pinned:     to 7cc9050e \"the good one\", by ana 40m ago\n", waiting)
	run(t, "", "app", "list", "-o", "wide").check(t, 0, "to 7cc9050e, not d8b6439d", "1 of 1 pinned")
	run(t, "", "app", "wait", "shop", "--sync").check(t, 0, "shop", "shop stays at 7cc9050e after a rollback; d8b6439d is set aside")
	run(t, "", "app", "wait", "shop", "--sync", "--revision", "d8b6439").check(t, 6, "", "shop: d8b6439d was set aside by an earlier rollback")
}

// A confirmation names what it is of, so that it approves of nothing else.
func TestWhatAConfirmationIsOf(t *testing.T) {
	const deletion = `{"id":"op-2","kind":"delete","phase":"Running","initiatedBy":"bob","spec":{"cascade":true}}`
	const sync = `{"id":"op-3","kind":"sync","phase":"Running","spec":{}}`
	approved := strings.Replace(orphanOp, `"by":"bob",`, `"by":"bob","reason":"it is empty",`, 1)
	for _, c := range []struct {
		args, open      string
		code            int
		out, err, asked string
	}{
		{"", deletion, 0, "deletions approved by bob: it is empty\n", `"web" is being deleted by operation op-2, which bob asked for; what says Delete=confirm is deleted, too`, `{"kind":"delete","operation":"op-2"}`},
		{"", sync, 0, "Succeeded", `"web" is synced and prunes, also what says Prune=confirm`, `{"kind":"sync"}`},
		{"", deletion + "," + sync, 6, "", "(confirmation_ambiguous)\n  fix: say which is meant: --kind delete or --kind sync", ""},
		{"--kind delete", deletion + "," + sync, 0, "Succeeded", "bob", `{"kind":"delete","operation":"op-2"}`},
		{"--kind sync", deletion + "," + sync, 0, "Succeeded", "prunes", `{"kind":"sync"}`},
	} {
		hub := newHubOf(t, with(map[string]answer{
			"GET /applications/web/operations?open=true": {200, `{"items":[` + c.open + `]` + asOf},
			"POST /applications/web/confirm-deletion":    {202, approved}, "GET /operations/op-2": {200, approved},
		}))
		run(t, "", append([]string{"app", "confirm-deletion", "web"}, strings.Fields(c.args)...)...).check(t, c.code, c.out, c.err)
		if asked := "POST /applications/web/confirm-deletion " + c.asked; strings.Contains(hub.requests(), asked) != (c.asked != "") {
			t.Errorf("%s with %s: asked %s", c.args, c.open, hub.requests())
		}
	}
}

// A person who says yes is asked nothing, and the finalizer decides.
func TestDeleteWithoutQuestions(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		hub := newHubOf(t, everything())
		r := runAs(t.Context(), Streams{In: strings.NewReader(""), Terminal: terminal}, "app", "delete", "web", "-y")
		r.check(t, 0, "Succeeded", "")
		if !strings.Contains(hub.requests()+"\n", "DELETE /applications/web\n") || strings.Contains(r.err, "Delete them too") {
			t.Errorf("terminal %v: asked\n%s\n%s", terminal, hub.requests(), r.err)
		}
	}
}

// What was never made is not among what a person is asked about.
func TestDeleteCountsWhatThereIs(t *testing.T) {
	newHubOf(t, everything())
	r := runAs(t.Context(), Streams{In: strings.NewReader("cancel\n"), Terminal: true}, "app", "delete", "web")
	if !strings.Contains(r.err, `"web" has 2 objects`) || strings.Contains(r.err, "Service") {
		t.Errorf("%s", r.err)
	}
}

func TestAHistorySaysWhatItLeavesOut(t *testing.T) {
	entries := func(ids ...int) answer {
		var rows []string
		for _, id := range ids {
			rows = append(rows, fmt.Sprintf(`{"id":%d,"generation":%d,"revision":"7cc9050e","deployedAt":"2026-01-02T03:04:05Z"}`, id, id))
		}
		return answer{200, `{"name":"web","history":[` + strings.Join(rows, ",") + `]}`}
	}
	for want, ids := range map[string][]int{
		"":                                 {7, 8, 9}, // what went at the beginning is only old
		"8 is not kept any more":           {7, 9},
		"2, 3, 4, 1 more is not kept":      {1, 6},
		"8, 10 is not kept any more: a hi": {7, 9, 11},
	} {
		newHubOf(t, map[string]answer{"GET /applications/web": entries(ids...)})
		run(t, "", "app", "history", "web").check(t, 0, "7cc9050e", want)
	}
}
