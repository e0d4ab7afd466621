package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/cli/command"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// hawser runs the command line against the handler with a token.
func hawser(t *testing.T, w *world, token, in string, args ...string) (out, errs string, code int) {
	t.Helper()
	server := httptest.NewTLSServer(w.handler)
	defer server.Close()
	defer server.CloseClientConnections() // of event streams
	sum := sha256.Sum256(server.Certificate().RawSubjectPublicKeyInfo)
	t.Setenv("HAWSER_CONFIG", filepath.Join(t.TempDir(), "config.yaml"))
	t.Setenv("HAWSER_HUB", server.URL)
	t.Setenv("HAWSER_CA_HASH", "sha256:"+hex.EncodeToString(sum[:]))
	t.Setenv("HAWSER_TOKEN", token)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "HUB", server.URL)
	}
	var stdout, stderr bytes.Buffer
	code = command.Main(t.Context(), args, command.Streams{In: strings.NewReader(in), Out: &stdout, Err: &stderr})
	return stdout.String(), stderr.String(), code
}

// promptJobs gives the commands of a job before its submission is answered.
type promptJobs struct {
	fakeJobs
	command func(context.Context, fleet.StoredJob, model.JobItem) (model.OperationID, error)
	ended   map[string][]model.JobItem
}

func (f *promptJobs) Wake() {
	for i := range f.jobs {
		j := &f.jobs[i]
		if j.Pending == 0 {
			continue
		}
		for n, app := range f.apps[j.ID] {
			item := model.JobItem{Number: n + 1, Application: app}
			op, err := f.command(context.Background(), *j, item)
			r, _ := fleet.DecideItem(op, err)
			item.Phase, item.Operation, item.Code, item.Message = r.Phase, r.Operation, r.Code, r.Message
			if op != "" {
				item.OperationPhase = model.PhaseSucceeded
				if item.DryRun = j.DryRun; j.DryRun {
					item.Changes = map[string]int{"Created": 1, "Configured": 2, "Unchanged": 7}
				}
			}
			if f.ended == nil {
				f.ended = map[string][]model.JobItem{}
			}
			f.ended[j.ID] = append(f.ended[j.ID], item)
			if j.Pending--; r.Phase == model.ItemAccepted {
				j.Accepted++
			} else {
				j.Failed++
			}
		}
		j.Phase = model.JobFinished
	}
}

func (f *promptJobs) JobItems(_ context.Context, job string, after, limit int) (out []model.JobItem, _ error) {
	for _, i := range f.ended[job] {
		if i.Number > after && len(out) < limit {
			out = append(out, i)
		}
	}
	return out, nil
}

func TestCommandsToManyApplicationsAreOneJob(t *testing.T) {
	f := &promptJobs{}
	w := newWorld(t, func(o *Options) { o.Jobs, o.Requests = f, f })
	f.command = w.handler.(*Handler).Command
	var names []string
	for i := range 25 {
		name := fmt.Sprintf("web-%02d", i)
		names = append(names, name)
		w.call("PUT", "/api/v1/applications/"+name, application(name)).ok(201)
	}
	// A few syncs are as many commands; more are one job, in which what is refused
	// has its reason.
	if _, errs, code := hawser(t, w, w.token, "", append([]string{"app", "sync", "--async"}, names[:3]...)...); code != 0 || len(f.jobs) != 0 {
		t.Fatalf("%d, %d jobs: %s", code, len(f.jobs), errs)
	}
	out, errs, code := hawser(t, w, w.token, "", append([]string{"app", "sync", "--async", "--prune", "nope"}, names...)...)
	if code != command.ExitPartial || len(f.jobs) != 1 {
		t.Fatalf("%d, %d jobs: %s", code, len(f.jobs), errs)
	}
	for _, want := range []string{"nope was refused", "application_not_found", "1 of 26 failed"} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in %s", want, errs)
		}
	}
	if n := strings.Count(out, "web-"); n != 25 {
		t.Errorf("%d operations in\n%s", n, out)
	}
	if got := string(f.jobs[0].Spec); !strings.Contains(got, `"prune":true`) {
		t.Errorf("the job asks for %s", got)
	}
	// Refreshes.
	if out, errs, code := hawser(t, w, w.token, "", "app", "refresh", "--filter", "name:web-*", "--hard"); code != 0 || !strings.Contains(out, "25 of 25 accepted") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if out, errs, code := hawser(t, w, w.token, "", "app", "refresh", "web-00", "nope"); code == 0 || !strings.Contains(out, "nope") || !strings.Contains(out, "(application_not_found)") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if _, errs, code := hawser(t, w, w.token, "", "app", "refresh", "--filter", "name:none-*"); code != 3 || !strings.Contains(errs, "(selection_empty)") {
		t.Errorf("%d: %s", code, errs)
	}

	id := f.jobs[0].ID
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"job list", 0, id},
		{"job list -o name", 0, "job/" + id},
		{"job get " + id, 0, "sync " + id + ": Finished  25 of 26 accepted, 1 failed, 0 pending"},
		{"job get job/" + id, 0, "Failed     nope"},
		{"job get " + id + " -o json", 0, `"application": "web-24"`},
		{"job cancel " + id, 0, "by ana"},
		{"job get none", 3, "(job_not_found)"},
		{"job cancel none", 3, "(job_not_found)"},
		{"job get", 2, "ID"},
	} {
		out, errs, code := hawser(t, w, w.token, "", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("hawser %s: %d, want %d and %q: %s%s", c.args, code, c.code, c.want, out, errs)
		}
	}
	var whole jobAnswer
	out, _, _ = hawser(t, w, w.token, "", "job", "get", id, "-o", "json")
	if err := json.Unmarshal([]byte(out), &whole); err != nil || len(whole.Items) != 26 {
		t.Errorf("%d items, %v", len(whole.Items), err)
	}
	// What a dry run would do is said of each, and none is said to be synced.
	_, errs, code = hawser(t, w, w.token, "", append([]string{"app", "sync", "--async", "--dry-run"}, names...)...)
	if n := len(f.jobs); code != 0 || strings.Contains(errs, "synced") || !strings.Contains(errs, `dry run of a sync of "web-00" accepted`) || !f.jobs[n-1].DryRun {
		t.Errorf("%d: %s", code, errs)
	}
	id = f.jobs[len(f.jobs)-1].ID
	out, _, _ = hawser(t, w, w.token, "", "job", "get", id)
	if !strings.Contains(out, "sync (dry run) "+id) || strings.Count(out, "Would sync web-") != 25 || !strings.Contains(out, "web-24  2 Configured, 1 Created, 7 Unchanged") {
		t.Errorf("%s", out)
	}
	out, errs, _ = hawser(t, w, w.token, "", "job", "list", "--filter", "is:dryrun", "-o", "name")
	if out != "job/"+id+"\n" {
		t.Errorf("%s%s", out, errs)
	}
	// Of another there is nothing.
	other := w.as(false, fleet.Grant{Project: "*", Role: "operator"})
	if out, _, code := hawser(t, w, other, "", "job", "list", "-o", "name"); code != 0 || out != "" {
		t.Errorf("%d: %s", code, out)
	}
}
