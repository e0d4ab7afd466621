package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// A job means what a list with the same words shows.
func TestAJobMeansWhatAListShows(t *testing.T) {
	w, f := withJobs(t)
	for _, name := range []string{"web-1", "web-2", "api-1"} {
		w.call("PUT", "/api/v1/applications/"+name, strings.Replace(application(name), "{name: "+name+"}", "{name: "+name+", labels: {team: "+name[:3]+"}}", 1)).ok(201)
	}
	w.call("PUT", "/api/v1/applications/shop-1", application("shop-1", "project: default", "project: shop")).ok(201)
	for filter, want := range map[string][]string{
		"name:web-*":                    {"web-1", "web-2"},
		"-name:web-* -project:shop":     {"api-1"},
		"project:shop":                  {"shop-1"},
		"web":                           {"web-1", "web-2"},
		"health:missing,unknown name:*": nil, // whatever the list says
	} {
		var list struct{ Items []struct{ Name string } }
		w.call("GET", "/api/v1/applications?filter="+strings.ReplaceAll(filter, " ", "+"), "").ok(200).into(&list)
		var listed []string
		for _, x := range list.Items {
			listed = append(listed, x.Name)
		}
		slices.Sort(listed)
		if want != nil && !slices.Equal(listed, want) {
			t.Errorf("%s lists %q, want %q", filter, listed, want)
		}
		body, err := json.Marshal(model.JobRequest{Kind: model.JobRefresh, Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		var job model.Job
		if len(listed) == 0 {
			w.call("POST", "/api/v1/jobs", string(body)).problem(404, "job_matches_nothing")
			continue
		}
		w.call("POST", "/api/v1/jobs", string(body)).ok(202).into(&job)
		if got := f.apps[job.ID]; !slices.Equal(got, listed) {
			t.Errorf("%s: the job means %q, and the list shows %q", filter, got, listed)
		}
	}
	// Others' applications are in no job.
	shop := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "shop", Role: "operator"})
	var job model.Job
	w.call("POST", "/api/v1/jobs", `{"kind":"refresh","filter":"name:*"}`, shop).ok(202).into(&job)
	if got := f.apps[job.ID]; !slices.Equal(got, []string{"shop-1"}) {
		t.Errorf("the job means %q", got)
	}
	w.call("POST", "/api/v1/jobs", `{"kind":"refresh","filter":"name:web-*"}`, shop).problem(404, "job_matches_nothing")
}

// Names of API tokens are not unique: another one of the same name sees neither
// the jobs nor the answers under the keys of the first.
func TestATokenOfTheSameNameIsAnother(t *testing.T) {
	w, _ := withJobs(t)
	w.call("PUT", "/api/v1/applications/shop-1", application("shop-1", "project: default", "project: shop")).ok(201)
	shop := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "shop", Role: "operator"})
	bank := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "bank", Role: "operator"})
	both := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "*", Role: "operator"})
	var job model.Job
	w.call("POST", "/api/v1/jobs", `{"kind":"refresh","filter":"name:shop-*"}`, shop, "Idempotency-Key: k").ok(202).into(&job)
	w.call("GET", "/api/v1/jobs/"+job.ID, "", shop).ok(200)
	w.call("GET", "/api/v1/jobs/"+job.ID, "", bank).problem(404, "job_not_found")
	w.call("POST", "/api/v1/jobs/"+job.ID+"/cancel", "", bank).problem(404, "job_not_found")
	for header, want := range map[string]int{shop: 1, bank: 0} {
		var list struct{ Total int }
		if w.call("GET", "/api/v1/jobs", "", header).ok(200).into(&list); list.Total != want {
			t.Errorf("%d jobs, want %d", list.Total, want)
		}
	}
	w.call("POST", "/api/v1/jobs", `{"kind":"sync","applications":["other"]}`, bank, "Idempotency-Key: k").ok(202)
	var one, two model.OperationInfo
	w.call("POST", "/api/v1/applications/shop-1/sync", "", shop, "Idempotency-Key: s").ok(202).into(&one)
	w.call("POST", "/api/v1/applications/shop-1/sync", `{"prune":true}`, both, "Idempotency-Key: s").ok(202).into(&two)
	if one.ID == two.ID {
		t.Error("one operation for two callers")
	}
	w.call("POST", "/api/v1/applications/shop-1/refresh", "", shop, "Idempotency-Key: r").ok(202)
	if w.call("POST", "/api/v1/applications/shop-1/refresh?hard=true", "", both, "Idempotency-Key: r").ok(202).header.Get("Idempotency-Replayed") != "" {
		t.Error("the answer of another")
	}
}

// What is under way belongs to whom the application belongs now; what it was
// before stays with those who saw it.
func TestAnOperationGoesWithItsApplication(t *testing.T) {
	w := newRightsWorld(t)
	w.token = w.as(true)
	shop := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "shop", Role: "operator"})
	bank := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "bank", Role: "operator"})
	w.store.mu.Lock()
	for key, app := range w.store.apps {
		if app.Name == "web" {
			app.Project, app.Application.Spec.Project = "bank", "bank"
			w.store.apps[key] = app
		}
	}
	w.store.mu.Unlock()
	w.call("POST", "/api/v1/operations/op-1/terminate", "", shop).problem(404, "operation_not_found")
	w.call("GET", "/api/v1/operations/op-1", "", shop).ok(200)
	w.call("POST", "/api/v1/operations/op-1/terminate", "", bank).ok(200)
}

// The usage of a project names no global project that the caller does not see.
func TestUsageNamesNoProjectOfOthers(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/projects/hidden-base", `{"apiVersion":"hawser.dev/v1alpha1","kind":"AppProject","metadata":{"name":"hidden-base"},"spec":{"inheritedBy":{"matchExpressions":[]}}}`)
	for header, want := range map[string]bool{"": true, "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "shop", Role: "viewer"}): false} {
		var headers []string
		if header != "" {
			headers = append(headers, header)
		}
		got := w.call("GET", "/api/v1/projects/shop/usage", "", headers...).ok(200).body
		if strings.Contains(got, "hidden-base") != want {
			t.Errorf("%v: %s", want, got)
		}
	}
}
