package access

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0).UTC() }

func stamp(t time.Time, text string) string { return t.Format(time.RFC3339Nano) + " " + text + "\n" }

func readAll(t *testing.T, r io.Reader) []model.LogLine {
	t.Helper()
	l := newLineReader(r, 7)
	var out []model.LogLine
	for {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
}

func TestP15_LinesOfALog(t *testing.T) {
	long := strings.Repeat("x", 2*lineBuffer)
	for name, c := range map[string]struct {
		log  string
		want []string // "seconds text", with … for a piece that goes on
	}{
		"nothing":           {"", nil},
		"lines with times":  {stamp(at(1), "one") + stamp(at(2), "two"), []string{"1 one", "2 two"}},
		"an empty line":     {at(1).Format(time.RFC3339Nano) + "\n" + stamp(at(2), ""), []string{"1 ", "2 "}},
		"no end of line":    {stamp(at(1), "one") + strings.TrimSuffix(stamp(at(2), "two"), "\n"), []string{"1 one", "2 two"}},
		"a line of nobody":  {stamp(at(1), "one") + "unable to retrieve container logs\n", []string{"1 one", "1 unable to retrieve container logs"}},
		"no time at all":    {"hello world\n", []string{"- hello world"}},
		"spaces are kept":   {stamp(at(1), "  a  b "), []string{"1   a  b "}},
		"a return is kept":  {stamp(at(1), "50%\r100%\r"), []string{"1 50%\r100%\r"}},
		"bytes are kept":    {stamp(at(1), "\xff\x00\x1b[31m"), []string{"1 \xff\x00\x1b[31m"}},
		"a time in a text":  {stamp(at(1), stamp(at(9), "x")[:20]), []string{"1 " + stamp(at(9), "x")[:20]}},
		"half a time":       {"2023-11-14T22:13 x\n", []string{"- 2023-11-14T22:13 x"}},
		"only ends of line": {"\n\n", []string{"- ", "- "}},
		"a long line comes in pieces": {
			stamp(at(1), long) + stamp(at(2), "two"),
			// The first piece has the time's 21 bytes less.
			[]string{"1 " + long[:lineBuffer-21] + "…", "1 " + long[:lineBuffer] + "…", "1 " + long[:21], "2 two"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.log), iotest.OneByteReader(strings.NewReader(c.log))} {
				var got []string
				for _, l := range readAll(t, r) {
					when := "-"
					if !l.At.IsZero() {
						when = fmt.Sprint(int(l.At.Sub(at(0)).Seconds()))
					}
					text := when + " " + string(l.Text)
					if l.Partial {
						text += "…"
					}
					if l.Source != 7 {
						t.Errorf("source %d", l.Source)
					}
					got = append(got, text)
				}
				if strings.Join(got, "|") != strings.Join(c.want, "|") {
					t.Errorf("got  %.300q\nwant %.300q", got, c.want)
				}
			}
		})
	}
}

func TestBrokenLogIsAnError(t *testing.T) {
	broken := errors.New("broken")
	l := newLineReader(io.MultiReader(strings.NewReader(stamp(at(1), "one")), iotest.ErrReader(broken)), 1)
	if line, err := l.next(); err != nil || string(line.Text) != "one" {
		t.Errorf("%q, %v", line.Text, err)
	}
	if _, err := l.next(); !errors.Is(err, broken) {
		t.Errorf("it ends with %v", err)
	}
}

func TestFilter(t *testing.T) {
	line := func(s int, text string) model.LogLine { return model.LogLine{At: at(s), Text: []byte(text)} }
	f := filter{from: at(10), grep: regexp.MustCompile("err")}
	for _, c := range []struct {
		line         model.LogLine
		inside, last bool
		want         bool
	}{
		{line(10, "an error"), false, false, true},
		{line(9, "an error"), false, false, false},
		{line(11, "fine"), false, false, false},
		{model.LogLine{Text: []byte("err of unknown time")}, false, false, true},
		{line(1, "the rest of a long line"), true, true, true},
		{line(11, "err in the rest of one that is not shown"), true, false, false},
	} {
		if got := f.keep(c.line, c.inside, c.last); got != c.want {
			t.Errorf("%q at %v: %v", c.line.Text, c.line.At, got)
		}
	}
	if !(filter{}).keep(line(0, ""), false, false) {
		t.Error("no filter keeps everything")
	}
}

func TestOptionsOfLogs(t *testing.T) {
	now := at(100)
	later := at(95)
	for name, c := range map[string]struct {
		q    model.LogQuery
		from time.Time
		code string
	}{
		"nothing":                   {model.LogQuery{}, time.Time{}, ""},
		"since":                     {model.LogQuery{Since: 10 * time.Second}, at(90), ""},
		"the later of both":         {model.LogQuery{Since: 10 * time.Second, SinceTime: &later}, at(95), ""},
		"follow what is over":       {model.LogQuery{Follow: true, Previous: true}, time.Time{}, "log_options_conflict"},
		"one container and all":     {model.LogQuery{Container: "a", AllContainers: true}, time.Time{}, "log_options_conflict"},
		"not an expression":         {model.LogQuery{Grep: "("}, time.Time{}, "expression_invalid"},
		"nothing that backtracks":   {model.LogQuery{Grep: `(a)\1`}, time.Time{}, "expression_invalid"},
		"a harmless evil of others": {model.LogQuery{Grep: `(a+)+$`}, time.Time{}, ""},
	} {
		f, err := filterOf(c.q, now)
		if !f.from.Equal(c.from) && c.code == "" || c.code != "" && !fault.HasCode(err, c.code) || c.code == "" && err != nil {
			t.Errorf("%s: from %v, %v", name, f.from, err)
		}
	}
	tail := int64(5)
	got := logOptions{follow: true, tail: &tail, since: at(90).Add(300 * time.Millisecond)}.query("web").Encode()
	if got != "container=web&follow=true&sinceTime=2023-11-14T22%3A14%3A50Z&tailLines=5&timestamps=true" {
		t.Errorf("asked for %s", got)
	}
}

// A stream that broke off goes on without losing or repeating a line or a piece of
// one, also when several have one time.
func TestResumption(t *testing.T) {
	all := []model.LogLine{}
	for i, s := range []int{1, 2, 2, 2, 3, 3, 4} {
		// Some are pieces of a longer line: 1 to 3 and 5 and 6.
		all = append(all, model.LogLine{At: at(s), Text: fmt.Appendf(nil, "%d", i), Partial: i == 1 || i == 2 || i == 5})
	}
	all[6].At = at(3)
	for broke := range len(all) + 1 {
		var place resumption
		var got []string
		for _, l := range all[:broke] {
			place.note(l)
			got = append(got, string(l.Text))
		}
		skip := place.skipper()
		// The kubelet gives whole seconds, from some time before.
		for _, l := range all {
			if !skip(l) {
				got = append(got, string(l.Text))
				place.note(l)
			}
		}
		if strings.Join(got, "") != "0123456" {
			t.Errorf("broken after %d: %v", broke, got)
		}
	}
}

func TestOldestLineFirst(t *testing.T) {
	logs := []string{
		stamp(at(1), "a1") + stamp(at(4), "a4") + stamp(at(4), "a4'"),
		"",
		stamp(at(2), "c2") + stamp(at(4), "c4"),
		stamp(at(3), "d3") + "unable to go on\n",
	}
	var h lineHeap
	for i, log := range logs {
		x := &head{source: source{LogSource: model.LogSource{Number: i + 1}}, in: newLineReader(strings.NewReader(log), i+1)}
		if err := x.advance(filter{}); err == nil {
			h = append(h, x)
		}
	}
	heap.Init(&h)
	var got []string
	for len(h) > 0 {
		got = append(got, string(h[0].line.Text))
		if h[0].advance(filter{}) == nil {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
	}
	if s := strings.Join(got, " "); s != "a1 c2 d3 unable to go on a4 a4' c4" {
		t.Errorf("merged: %s", s)
	}
}

func TestContainersOfAPod(t *testing.T) {
	var p pod
	p.Spec.InitContainers = []container{{"init"}}
	p.Spec.Containers = []container{{"web"}, {"side"}}
	p.Spec.EphemeralContainers = []container{{"debug"}}
	for name, c := range map[string]struct {
		annotation string
		q          model.LogQuery
		want       string
	}{
		"the first":                  {"", model.LogQuery{}, "web"},
		"the annotated":              {"side", model.LogQuery{}, "side"},
		"annotated and not there":    {"gone", model.LogQuery{}, "web"},
		"the named":                  {"side", model.LogQuery{Container: "init"}, "init"},
		"a name that there is not":   {"", model.LogQuery{Container: "nope"}, ""},
		"all, as they start":         {"", model.LogQuery{AllContainers: true}, "init web side debug"},
		"one added for debugging":    {"", model.LogQuery{Container: "debug"}, "debug"},
		"the annotation is not all":  {"side", model.LogQuery{AllContainers: true}, "init web side debug"},
		"a name wins over the usual": {"side", model.LogQuery{Container: "web"}, "web"},
	} {
		p.Metadata.Annotations = map[string]string{defaultContainer: c.annotation}
		if got := strings.Join(chosenContainers(&p, c.q), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := chosenContainers(&pod{}, model.LogQuery{}); len(got) != 0 {
		t.Errorf("a pod without containers: %v", got)
	}
}
