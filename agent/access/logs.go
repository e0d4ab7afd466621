package access

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// source is a container whose log an answer has.
type source struct {
	model.LogSource
	pod reached
}

// filter decides which lines are shown.
type filter struct {
	from time.Time // zero for all
	grep *regexp.Regexp
}

// keep reports whether a line is shown. A long line is judged by its first
// piece: last says what became of the piece before.
func (f filter) keep(l model.LogLine, inside, last bool) bool {
	if inside {
		return last
	}
	if !f.from.IsZero() && !l.At.IsZero() && l.At.Before(f.from) {
		return false
	}
	return f.grep == nil || f.grep.Match(l.Text)
}

// logs answers the logs of pods.
func (s *Server) logs(a *answer, objects []reached, q model.LogQuery) error {
	f, err := filterOf(q, time.Now())
	if err != nil {
		return err
	}
	pods, err := podsOf(objects, q.ObjectSelector)
	if err != nil {
		return err
	}
	if pods, err = s.mayRead(pods); err != nil {
		return err
	}
	if q.Follow {
		return s.followLogs(a, objects, pods, q, f)
	}
	sources, err := s.sourcesOf(a.ctx, pods, q)
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fault.New(fault.NotFound, "pods_not_found", "no pod of the application matches")
	}
	guarded, stop := s.guard(a, "logs", pods)
	defer stop()
	err = s.mergeLogs(guarded, sources, q, f)
	if err != nil && guarded.ctx.Err() != nil {
		return context.Cause(guarded.ctx)
	}
	return err
}

func filterOf(q model.LogQuery, now time.Time) (filter, error) {
	var f filter
	if q.Follow && q.Previous {
		return f, fault.New(fault.Invalid, "log_options_conflict", "follow and previous exclude each other: what is previous is over")
	}
	if q.AllContainers && q.Container != "" {
		return f, fault.New(fault.Invalid, "log_options_conflict", "name one container, or ask for all")
	}
	if q.Since > 0 {
		f.from = now.Add(-q.Since)
	}
	if q.SinceTime != nil && q.SinceTime.After(f.from) {
		f.from = *q.SinceTime
	}
	if q.Grep != "" {
		re, err := regexp.Compile(q.Grep) // linear in the line, whatever the expression
		if err != nil {
			return f, fault.New(fault.Invalid, "expression_invalid", "grep %q is not a regular expression: %v", cut(q.Grep, 80), err).WithField("grep")
		}
		f.grep = re
	}
	return f, nil
}

// mayRead are the pods whose logs the cluster's policy lets be read; it is an
// error when there are some and none may be.
func (s *Server) mayRead(pods []reached) ([]reached, error) {
	var refusal error
	left := slices.DeleteFunc(slices.Clone(pods), func(r reached) bool {
		err := s.o.Veto.Allow("logs", r.Key)
		if err != nil {
			refusal = err
		}
		return err != nil
	})
	if len(left) == 0 {
		return nil, refusal
	}
	return left, nil
}

// sourcesOf are the containers that a query means, at most MaxSources. A pod
// that was deleted meanwhile has none.
func (s *Server) sourcesOf(ctx context.Context, pods []reached, q model.LogQuery) ([]source, error) {
	if len(pods) > s.o.MaxSources {
		return nil, s.tooMany(len(pods))
	}
	containers := make([][]string, len(pods))
	unknown := make([][]string, len(pods))
	errs := make([]error, len(pods))
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i, r := range pods {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			p, err := s.readPod(ctx, r)
			if err != nil {
				errs[i] = err
				return
			}
			containers[i] = chosenContainers(p, q)
			if len(containers[i]) == 0 {
				unknown[i] = p.names()
			}
		})
	}
	wg.Wait()
	var out []source
	var known []string
	for i, r := range pods {
		if err := errs[i]; err != nil && (len(pods) == 1 || !fault.Is(err, fault.NotFound)) {
			return nil, err
		}
		for _, name := range containers[i] {
			out = append(out, source{LogSource: model.LogSource{Number: len(out) + 1, Namespace: r.Key.Namespace, Pod: r.Key.Name, Container: name}, pod: r})
		}
		for _, name := range unknown[i] {
			if !slices.Contains(known, name) {
				known = append(known, name)
			}
		}
	}
	switch {
	case len(out) == 0 && q.Container != "" && len(known) > 0:
		return nil, containerUnknown(q.Container, known)
	case len(out) > s.o.MaxSources:
		return nil, s.tooMany(len(out))
	}
	return out, nil
}

func (s *Server) tooMany(n int) error {
	return fault.New(fault.Invalid, "log_sources_limit", "%d containers match; at most %d can be shown at once", n, s.o.MaxSources).
		WithFix("name a kind and a name, or a container")
}

func chosenContainers(p *pod, q model.LogQuery) []string {
	switch {
	case q.AllContainers:
		return p.names()
	case q.Container == "":
		if name := p.usual(); name != "" {
			return []string{name}
		}
		return nil
	case slices.Contains(p.names(), q.Container):
		return []string{q.Container}
	}
	return nil
}

// reserve takes a token for each of n logs, which release gives back.
func (s *Server) reserve(n int) error {
	for i := range n {
		select {
		case s.sources <- struct{}{}:
		default:
			s.release(i)
			return fault.New(fault.RateLimited, "access_limit", "%d logs of this cluster are being read; that is the limit", cap(s.sources)).
				WithFix("close some that you do not need, or try again later")
		}
	}
	return nil
}

func (s *Server) release(n int) {
	for range n {
		<-s.sources
	}
}

// logOptions are those of one request to a kubelet.
type logOptions struct {
	follow, previous bool
	tail             *int64
	since            time.Time // zero for all
}

func (o logOptions) query(container string) url.Values {
	v := url.Values{"container": {container}, "timestamps": {"true"}}
	if o.follow {
		v.Set("follow", "true")
	}
	if o.previous {
		v.Set("previous", "true")
	}
	if o.tail != nil {
		v.Set("tailLines", strconv.FormatInt(*o.tail, 10))
	}
	if !o.since.IsZero() {
		// Absolute, because the kubelet's clock may differ from the agent's. It has
		// whole seconds; what is too much is filtered here.
		v.Set("sinceTime", o.since.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
	return v
}

func (s *Server) openLog(ctx context.Context, src source, o logOptions) (*http.Response, error) {
	return s.open(ctx, pathOf(src.pod.kind, versionOf(src.pod), src.pod.Key, "log"), o.query(src.Container))
}

// mergeLogs answers what there is of several logs, in the order of time. Of
// each it holds one line: a log is read only as fast as the hub takes its lines.
func (s *Server) mergeLogs(a *answer, sources []source, q model.LogQuery, f filter) error {
	if err := s.reserve(len(sources)); err != nil {
		return err
	}
	defer s.release(len(sources))
	if err := a.send(model.AccessAnswer{Sources: publicSources(sources)}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	heads, err := s.openAll(ctx, a, sources, logOptions{previous: q.Previous, tail: q.Tail, since: f.from}, f)
	defer func() {
		for _, h := range heads {
			h.body.Close()
		}
	}()
	if err != nil {
		return err
	}
	merging := slices.Clone(heads)
	merging = slices.DeleteFunc(merging, func(h *head) bool { return !h.has })
	q2 := lineHeap(merging)
	heap.Init(&q2)
	var b batch
	for len(q2) > 0 {
		h := q2[0]
		// The pieces of a long line stay together.
		for {
			line := h.line
			b.add(line)
			if b.full() {
				if err := a.send(model.AccessAnswer{Lines: b.take()}); err != nil {
					return err
				}
			}
			if err := h.advance(f); err != nil && !errors.Is(err, io.EOF) {
				if err := s.brokeOff(a, h.source, err); err != nil {
					return err
				}
			}
			if !line.Partial || !h.has {
				break
			}
		}
		if h.has {
			heap.Fix(&q2, 0)
		} else {
			heap.Pop(&q2)
		}
	}
	if b.lines != nil {
		return a.send(model.AccessAnswer{Lines: b.take()})
	}
	return nil
}

func publicSources(sources []source) []model.LogSource {
	out := make([]model.LogSource, len(sources))
	for i, src := range sources {
		out[i] = src.LogSource
	}
	return out
}

// brokeOff notes that a log ended before its end.
func (s *Server) brokeOff(a *answer, src source, err error) error {
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	s.log.Debug("a log broke off", "pod", src.pod.Key.String(), "container", src.Container, "error", err)
	return a.send(model.AccessAnswer{Notice: &model.LogNotice{Source: src.Number, Code: "log_broken", Message: "the log broke off; some of it may be missing"}})
}

// head is a log with its next line.
type head struct {
	source source
	body   io.Closer
	in     *lineReader
	line   model.LogLine
	has    bool
	inside bool // the last piece read did not end its line
	kept   bool // and was shown
}

// advance goes to the next line that is shown.
func (h *head) advance(f filter) error {
	for {
		line, err := h.in.next()
		if err != nil {
			h.has = false
			return err
		}
		h.kept = f.keep(line, h.inside, h.kept)
		h.inside = line.Partial
		if h.kept {
			h.line, h.has = line, true
			return nil
		}
	}
}

// openAll opens logs and reads the first line of each. A log that cannot be read
// is noted; when none can, that is the error.
func (s *Server) openAll(ctx context.Context, a *answer, sources []source, o logOptions, f filter) ([]*head, error) {
	heads := make([]*head, len(sources))
	errs := make([]error, len(sources))
	slots := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i, src := range sources {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			resp, err := s.openLog(ctx, src, o)
			if err != nil {
				errs[i] = err
				return
			}
			h := &head{source: src, body: resp.Body, in: newLineReader(resp.Body, src.Number)}
			heads[i] = h
			if err := h.advance(f); err != nil && !errors.Is(err, io.EOF) {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	opened := slices.DeleteFunc(slices.Clone(heads), func(h *head) bool { return h == nil })
	if ctx.Err() != nil {
		return opened, context.Cause(ctx)
	}
	var first error
	for i, err := range errs {
		if err == nil {
			continue
		}
		if first == nil {
			first = err
		}
		if heads[i] != nil {
			if err := s.brokeOff(a, sources[i], err); err != nil {
				return opened, err
			}
			continue
		}
		if len(sources) == 1 {
			return opened, unreadable(sources[i], err)
		}
		e := fault.As(unreadable(sources[i], err))
		if err := a.send(model.AccessAnswer{Notice: &model.LogNotice{Source: sources[i].Number, Code: e.Code, Message: e.Message}}); err != nil {
			return opened, err
		}
	}
	if len(opened) == 0 {
		return nil, unreadable(sources[0], first)
	}
	return opened, nil
}

// unreadable says why a log is not there.
func unreadable(src source, err error) error {
	e := fault.As(err)
	if e.Code == "cluster_refused" { // not started yet, no previous life, …
		return fault.New(fault.Precondition, "log_unavailable", "%s/%s has no such log: %s", src.Pod, src.Container, e.Message)
	}
	return err
}

// lineHeap has the oldest line on top; of equally old ones that of the first
// source.
type lineHeap []*head

func (h lineHeap) Len() int { return len(h) }
func (h lineHeap) Less(i, j int) bool {
	return cmp.Or(h[i].line.At.Compare(h[j].line.At), cmp.Compare(h[i].source.Number, h[j].source.Number)) < 0
}
func (h lineHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *lineHeap) Push(x any)   { *h = append(*h, x.(*head)) }
func (h *lineHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
