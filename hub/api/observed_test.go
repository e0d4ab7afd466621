package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestCommandsForWhatIsOnlyObserved(t *testing.T) {
	observe := map[string]string{model.AnnotationMode: model.ModeObserve}
	for name, set := range map[string]func(*world) string{
		"by itself": func(w *world) string {
			w.change(func(a *fleet.App) { a.Application.Metadata.Annotations = observe })
			return "on the application"
		},
		"by its project": func(w *world) string {
			p := w.store.projects["default"]
			p.Metadata.Annotations = observe
			w.store.projects["default"] = p
			return "on its project"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := withHistory(t)
			where := set(w)
			for route, body := range map[string]string{
				"/sync": `{}`, "/rollback": `{"historyID":1}`,
				"/actions": `{"resource":{"kind":"ConfigMap","name":"a"},"action":"restart"}`,
			} {
				r := w.call("POST", "/api/v1/applications/web"+route, body)
				if route == "/actions" && r.status == 404 {
					continue // nothing of it was seen in the cluster
				}
				r.problem(409, "observe_only")
				if !strings.Contains(r.body, where) {
					t.Errorf("%s: %s", route, r.body)
				}
			}
			var op model.OperationInfo
			w.call("DELETE", "/api/v1/applications/web?cascade=true", "").ok(202).into(&op)
			if op.Kind != model.OperationDelete || op.Spec.Cascade {
				t.Errorf("%+v", op)
			}
		})
	}
}

// What is only observed becomes managed when that is said, not when an object comes
// that does not know of it.
func TestObserveModeIsNotLeftUnsaid(t *testing.T) {
	w := newWorld(t)
	with := func(mode string) string {
		if mode == "" {
			return application("web")
		}
		return application("web", "{name: web}", "{name: web, annotations: {hawser.dev/mode: "+mode+"}}")
	}
	w.call("POST", "/api/v1/apply", with("observe")).ok(200)
	w.call("PUT", "/api/v1/applications/web", with("")).problem(409, "observe_mode_removed")
	if r := w.call("POST", "/api/v1/apply", with("")); !strings.Contains(r.body, "observe_mode_removed") {
		t.Errorf("apply: %d %s", r.status, r.body)
	}
	w.call("PUT", "/api/v1/applications/web", with("observed")).problem(400, "annotation_invalid")
	if got := w.store.apps["web"].Application.Metadata.Annotations[model.AnnotationMode]; got != model.ModeObserve {
		t.Fatalf("the mode is %q", got)
	}
	w.call("PUT", "/api/v1/applications/web", with("observe")).ok(200)
	w.call("PUT", "/api/v1/applications/web", with("manage")).ok(200)
	w.call("PUT", "/api/v1/applications/web", with("")).ok(200) // it is managed already
}
