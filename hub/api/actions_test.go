package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// withObjects is an application whose agent has reported objects.
func withObjects(t *testing.T) *world {
	t.Helper()
	w := withApp(t)
	w.store.resources = []model.ResourceStatus{{ObjectKey: model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}}}
	w.store.tree = model.ResourceTree{Nodes: []model.TreeNode{{ObjectKey: model.ObjectKey{Kind: "Pod", Namespace: "shop", Name: "web-1"}}}}
	return w
}

func TestActionsOfAnObject(t *testing.T) {
	w := withObjects(t)
	var got struct{ Items []model.ResourceAction }
	route := "/api/v1/applications/web/resource-actions"
	w.call("GET", route+"?group=apps&kind=Deployment&namespace=shop&resourceName=web", "").ok(200).into(&got)
	if len(got.Items) != 2 || got.Items[1].Params[0] != "replicas" {
		t.Errorf("%+v", got)
	}
	if calls := w.calls.take(); calls != "actions of apps/Deployment shop/web in web for ana" {
		t.Errorf("asked: %s", calls)
	}
	w.call("GET", route+"?kind=Pod&namespace=shop&resourceName=web-1", "").ok(200)
	w.call("GET", route+"?kind=Pod&namespace=shop&resourceName=other", "").problem(404, "object_not_of_application")
	w.call("GET", route+"?kind=Deployment&namespace=shop&resourceName=web", "").problem(404, "object_not_of_application") // of another group
	w.call("GET", route+"?kind=Pod", "").problem(400, "field_missing")
	w.call("GET", route+"?resourceName=x", "").problem(400, "field_missing")
	w.call("GET", "/api/v1/applications/nix/resource-actions?kind=Pod&resourceName=x", "").problem(404, "application_not_found")
	w.opts.Actions = nil
	w.login()
	w.call("GET", route+"?kind=Pod&namespace=shop&resourceName=web-1", "").problem(409, "access_unsupported")
}

func TestRunAnAction(t *testing.T) {
	w := withObjects(t)
	route := "/api/v1/applications/web/actions"
	var op model.OperationInfo
	w.call("POST", route, `{"resource":{"group":"apps","kind":"Deployment","namespace":"shop","name":"web"},"action":"scale","params":{"replicas":"3"},"reason":"a sale"}`,
		"Idempotency-Key: k").ok(202).into(&op)
	a := op.Spec.Action
	if op.Kind != model.OperationAction || a.Name != "scale" || a.Params["replicas"] != "3" || a.Resource.Name != "web" || op.Spec.Reason != "a sale" || op.Deadline.Sub(start) != actionDeadline {
		t.Errorf("%+v", op)
	}
	if calls := w.calls.take(); calls != "notify-operation id-eu; publish operation op-1; publish-apps [uid-web]" {
		t.Errorf("told: %s", calls)
	}
	const web = `"resource":{"group":"apps","kind":"Deployment","namespace":"shop","name":"web"}`
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		`{` + web + `}`:                                {400, "name_invalid"},
		`{` + web + `,"action":"a b"}`:                 {400, "name_invalid"},
		`{` + web + `,"action":"../x"}`:                {400, "name_invalid"},
		`{` + web + `,"action":"x","params":{"":"1"}}`: {400, "out_of_range"},
		`{` + web + `,"action":"x","params":{"a":"` + strings.Repeat("x", maxActionText+1) + `"}}`: {400, "out_of_range"},
		`{` + web + `,"action":"x","reason":"\u0007"}`:                                             {400, "text_invalid"},
		`{"action":"restart","resource":{"kind":"Pod"}}`:                                           {400, "field_missing"},
		`{"action":"restart","resource":{"name":"web"}}`:                                           {400, "field_missing"},
		`{"action":"restart","resource":{"kind":"Pod","namespace":"kube-system","name":"dns"}}`:    {404, "object_not_of_application"},
		`{"verb":"restart"}`: {400, "unknown_field"},
	} {
		w.call("POST", route, body).problem(want.status, want.code)
	}
	if len(w.store.ops) != 1 {
		t.Errorf("%d operations", len(w.store.ops))
	}
}

// Where the hub does not know all objects, the agent decides.
func TestActionsOnObjectsThatTheHubDoesNotKnow(t *testing.T) {
	for name, tree := range map[string]model.ResourceTree{"nothing reported": {}, "too many": {Nodes: []model.TreeNode{}, Truncated: true}} {
		w := withApp(t)
		w.store.tree = tree
		if a := w.call("POST", "/api/v1/applications/web/actions", `{"action":"restart","resource":{"kind":"Pod","namespace":"shop","name":"x"}}`); a.status != 202 {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

func TestDeleteOneObject(t *testing.T) {
	w := withObjects(t)
	const web = "/api/v1/applications/web/resource?group=apps&kind=Deployment&namespace=shop&resourceName=web"
	var op model.OperationInfo
	w.call("DELETE", web+"&uid=u-1&propagation=orphan&force=true&reason=stuck", "", "Idempotency-Key: k").ok(202).into(&op)
	a := op.Spec.Action
	if op.Kind != model.OperationAction || a.Name != model.ActionDelete || a.Delete == nil || *a.Delete != (model.DeleteSpec{UID: "u-1", Propagation: "orphan", Force: true}) ||
		a.Resource.Name != "web" || op.Spec.Reason != "stuck" || op.Deadline.Sub(start) != actionDeadline {
		t.Errorf("%+v %+v", op, a)
	}
	if calls := w.calls.take(); calls != "notify-operation id-eu; publish operation op-1; publish-apps [uid-web]" {
		t.Errorf("told: %s", calls)
	}
	var again model.OperationInfo
	w.call("DELETE", web+"&uid=u-1&propagation=orphan&force=true&reason=stuck", "", "Idempotency-Key: k").ok(202).into(&again)
	if again.ID != op.ID || len(w.store.ops) != 1 {
		t.Errorf("the same request made %s of %d", again.ID, len(w.store.ops))
	}
	for query, want := range map[string]struct {
		status int
		code   string
	}{
		"kind=Pod&namespace=shop&resourceName=web-1":                                       {400, "field_missing"}, // which one?
		"kind=Pod&namespace=shop&uid=u":                                                    {400, "field_missing"},
		"namespace=shop&resourceName=web-1&uid=u":                                          {400, "field_missing"},
		"kind=Pod&namespace=shop&resourceName=web-1&uid=u&propagation=later":               {400, "value_unknown"},
		"kind=Pod&namespace=shop&resourceName=web-1&uid=u%07":                              {400, "text_invalid"},
		"kind=Pod&namespace=shop&resourceName=web-1&uid=u&reason=%07":                      {400, "text_invalid"},
		"kind=Deployment&namespace=shop&resourceName=web&uid=u":                            {404, "object_not_of_application"}, // of another group
		"kind=Pod&namespace=kube-system&resourceName=dns&uid=u":                            {404, "object_not_of_application"},
		"kind=Pod&namespace=shop&resourceName=web-1&uid=u&force=" + strings.Repeat("x", 9): {400, "value_unknown"},
	} {
		w.call("DELETE", "/api/v1/applications/web/resource?"+query, "").problem(want.status, want.code)
	}
	if len(w.store.ops) != 1 {
		t.Errorf("%d operations", len(w.store.ops))
	}
}
