package lua

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// FuzzScripts: whatever a script is, it is refused, or ends soon with one of
// Argo CD's words, and leaves the object alone.
func FuzzScripts(f *testing.F) {
	for _, s := range []string{
		typicalHealth, "return obj", "for k, v in pairs(obj) do t[k] = v .. 1 end", "goto a ::a::",
		`local t = {[1] = 2, x = {...}} function t.f:g(...) return arg end t[t], t.x = t, #t return {status = ("a"):rep(3):gsub("(.)", "%1"), message = "\0"}`,
		`return string.format("%5.2f %q %s", 1, "x", {}), table.concat({1, 2}, ","), os.date("*t"), math.random(3)`,
		"repeat local x <const> = 1 until nil", "return (((1)))", "x = 'a' .. 'b' .. 1 .. {}", "local function f(a, ...) a = (a .. ...) return f end",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		p, err := compile("fuzz.lua", source)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz.lua: ") {
				t.Errorf("%v", err)
			}
			return
		}
		s := newScripts()
		s.health.add("", "T", p)
		s.actions.add("", "T", &actions{discovery: p, run: map[string]*program{"x": p}})
		gk := model.GroupKind{Kind: "T"}
		obj := decoded(t, wholeObject)
		began := time.Now()
		h, _ := s.Health(gk, obj)
		_, _ = s.Discover(gk, obj)
		_, _ = s.Run(gk, "x", map[string]string{"a": "b"}, obj, testNow)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		if known := strings.Contains("Healthy Suspended Progressing Missing Degraded Unknown", string(h.Status)); !known {
			t.Errorf("%v", h)
		}
		if strings.Contains(h.Message, "interpreter failed") {
			t.Errorf("the interpreter failed: %v", h)
		}
		if len(s.free) != cap(s.free) {
			t.Error("a state is lost")
		}
	})
}
