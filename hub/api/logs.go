package api

import (
	"math"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/shared/model"
)

// logs answers the logs of the pods that the selected objects are or own, of all
// pods of the application when none are selected. Without follow=true the lines
// of several pods are in the order of time.
//
// The answer is JSON lines when the caller wants application/x-ndjson:
//
//	{"sources":[{"source":1,"namespace":…,"pod":…,"container":…}]}
//	{"source":1,"at":…,"text":…,"partial":true}
//	{"notice":{"source":1,"code":…,"message":…}}
//	{"end":null} or {"end":{problem}}
//
// where source says which container a line is of, partial that the source's next
// line goes on with it, and empty lines that the hub is there. Otherwise it is
// text: the lines as they were written, with "[pod/container] " before each when
// there are several sources; prefix and timestamps say otherwise.
func (a *api) logs(c *gin.Context) {
	p := parametersIn(c)
	q := model.LogQuery{
		ObjectSelector: p.selector(), Container: p.text("container"), AllContainers: p.flag("allContainers", false),
		Follow: p.flag("follow", false), Previous: p.flag("previous", false),
		Since: p.duration("since"), SinceTime: p.time("sinceTime"), Grep: p.text("grep"),
	}
	if n, ok := p.number("tail", 0, math.MaxInt32); ok {
		q.Tail = &n
	}
	t := logText{timestamps: p.flag("timestamps", false), sources: map[int]string{}}
	auto := p.text("prefix") == ""
	t.prefix = p.flag("prefix", false)
	if err := p.done(); err != nil {
		a.fail(c, err)
		return
	}
	l, err := a.look(c, model.AccessRequest{Logs: &q})
	if err != nil {
		a.fail(c, err)
		return
	}
	defer l.close()
	s := newLineStream(c, l, !wants(c, mediaLines))
	s.end(s.pieces(func(m piece) error {
		if !s.text {
			return logDocuments(s, m)
		}
		if auto && len(m.Sources) > 0 {
			t.prefix = len(m.Sources) > 1 || len(t.sources) > 0 || q.Follow && q.Name == ""
		}
		t.add(s, m)
		return nil
	}))
}

// logLine is a line as a JSON document.
type logLine struct {
	Source  int        `json:"source"`
	At      *time.Time `json:"at,omitempty"`
	Text    string     `json:"text"`
	Partial bool       `json:"partial,omitempty"`
}

// logDocument is a line of the answer that is no line of a log, or one (the
// members of logLine).
type logDocument struct {
	Sources []model.LogSource `json:"sources,omitempty"`
	Notice  *model.LogNotice  `json:"notice,omitempty"`
}

func logDocuments(s *lineStream, m piece) error {
	if m.Sources != nil {
		if err := s.document(logDocument{Sources: m.Sources}); err != nil {
			return err
		}
	}
	for _, line := range m.Lines {
		out := logLine{Source: line.Source, Text: string(line.Text), Partial: line.Partial}
		if !line.At.IsZero() {
			out.At = &line.At
		}
		if err := s.document(out); err != nil {
			return err
		}
	}
	if m.Notice != nil {
		n := *m.Notice
		n.Message = shorten(n.Message)
		return s.document(logDocument{Notice: &n})
	}
	return nil
}

// logText writes lines as text.
type logText struct {
	timestamps, prefix bool
	sources            map[int]string
	open               int // the source whose line was not ended, 0 for none
}

func (t *logText) add(s *lineStream, m piece) {
	for _, src := range m.Sources {
		t.sources[src.Number] = "[" + src.Pod + "/" + src.Container + "] "
	}
	for _, line := range m.Lines {
		if t.open != 0 && t.open != line.Source {
			s.buf.WriteByte('\n')
			t.open = 0
		}
		if t.open == 0 {
			if t.timestamps && !line.At.IsZero() {
				s.buf.WriteString(line.At.Format(time.RFC3339Nano) + " ")
			}
			if t.prefix {
				s.buf.WriteString(t.sources[line.Source])
			}
		}
		s.buf.Write(line.Text)
		if t.open = line.Source; !line.Partial {
			s.buf.WriteByte('\n')
			t.open = 0
		}
	}
	if n := m.Notice; n != nil {
		s.buf.WriteString("hawser: " + t.sources[n.Source] + shorten(n.Message) + " (" + n.Code + ")\n")
	}
}
