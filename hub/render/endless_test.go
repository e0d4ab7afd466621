package render

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// What the limits of the tools let through, the worker's limits end: that one
// render, and nothing else.
func TestEndlessEvaluationsEndAlone(t *testing.T) {
	snap := snapshotOf(map[string]string{
		"app/web.j2":      configMap("{{ n }}"),
		"steps/a.j2":      "{% set l = range(90000)|list %}{% for a in l %}{% for b in l %}{{ (a ~ b)|sha256|sha256 }}{% endfor %}{% endfor %}",
		"cpu/a.jsonnet":   "local f(n) = if n == 0 then 0 else f(n - 1) + f(n - 1); { x: f(64) }",
		"mem/a.jsonnet":   "local double(s, n) = if n == 0 then s else double(s + s, n - 1); { x: std.length(double(std.repeat('x', 1000), 60)) }",
		"array/a.jsonnet": "{ x: std.makeArray(1000000000, function(i) 'x' + i) }",
		"stack/a.jsonnet": "local f(n) = f(n + 1) + 1; f(0)",
	})
	r := newRenderer(t, Options{Workers: 1, Deadline: 3 * time.Second, MemoryLimit: 512 << 20})
	for path, codes := range map[string]string{
		"steps": "render_timeout jinja_error too_large", "cpu": "render_timeout", "mem": "render_crashed render_timeout", "array": "render_crashed render_timeout", "stack": "jsonnet_error",
	} {
		_, err := r.Render(t.Context(), Request{Source: model.Source{Path: path}, Snapshot: snap})
		if e := fault.As(err); e == nil || !strings.Contains(codes, e.Code) || e.Kind != fault.Unprocessable {
			t.Errorf("%s: %v", path, err)
		}
		if res, err := r.Render(t.Context(), Request{Source: jinjaSource("n: after-" + path), Snapshot: snap}); err != nil || names(res.Objects) != "after-"+path {
			t.Errorf("after %s: %v", path, err)
		}
	}
}
