package access

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// logFollower follows the logs of an application's pods, also of those that come
// while it does, and of containers that are started again. Its fields belong to
// run's goroutine, but for out.
type logFollower struct {
	s       *Server
	a       *answer
	q       model.LogQuery
	f       filter
	out     chan model.AccessAnswer
	ended   chan int // one for each source that has ended for good
	readers sync.WaitGroup

	known    map[string]bool // pods by uid, and containers of them
	numbered int             // sources
	active   int
	noted    map[string]bool // notices about no source
	// running are the sources that are followed, by number; left says that there
	// are pods for which there was no room.
	running map[int]running
	left    bool
}

type running struct {
	source
	stop context.CancelFunc
}

// Pauses between two looks at a container that cannot be read.
const (
	leastPause = 300 * time.Millisecond
	mostPause  = 5 * time.Second
)

func (s *Server) followLogs(a *answer, objects, pods []reached, q model.LogQuery, f filter) error {
	l := &logFollower{
		s: s, a: a, q: q, f: f, out: make(chan model.AccessAnswer, 4), ended: make(chan int, s.o.MaxSources),
		known: map[string]bool{}, noted: map[string]bool{}, running: map[int]running{},
	}
	ctx, cancel := context.WithCancel(a.ctx)
	defer l.readers.Wait()
	defer cancel()
	return l.run(ctx, objects, pods)
}

func (l *logFollower) run(ctx context.Context, objects, pods []reached) error {
	changed := l.s.news.next()
	if err := l.add(ctx, pods, true); err != nil {
		return err
	}
	if len(pods) == 0 {
		if err := l.notice(0, "log_waiting", "no pod matches yet"); err != nil {
			return err
		}
	}
	settle := time.NewTimer(settleTime)
	defer settle.Stop()
	recheck := time.NewTicker(l.s.o.Recheck)
	defer recheck.Stop()
	for {
		if l.active == 0 && finished(pick(objects, l.q.ObjectSelector)) {
			return l.drain()
		}
		select {
		case <-ctx.Done():
			return nil
		case m := <-l.out:
			if err := l.a.send(m); err != nil {
				return err
			}
		case number := <-l.ended:
			l.active--
			delete(l.running, number)
			if l.left { // now there is room
				l.left = false
				settle.Reset(settleTime)
			}
		case <-recheck.C:
			var err error
			if objects, err = l.s.reach(l.a.app); err != nil {
				return err
			}
			if err := l.drop(objects); err != nil {
				return err
			}
		case <-changed:
			changed = nil
			settle.Reset(settleTime)
		case <-settle.C:
			changed = l.s.news.next() // before looking, so that nothing is missed
			var err error
			if objects, err = l.s.reach(l.a.app); err != nil {
				return err
			}
			pods, err := podsOf(objects, l.q.ObjectSelector)
			if err != nil {
				continue // none just now
			}
			if pods, err = l.s.mayRead(pods); err != nil {
				return err
			}
			if err := l.add(ctx, pods, false); err != nil {
				return err
			}
		}
	}
}

// drop ends the sources that may not be read any more, and says why. They may
// come back when they may be again.
func (l *logFollower) drop(objects []reached) error {
	for number, r := range l.running {
		err := l.s.still(objects, "logs", r.pod)
		if err == nil {
			continue
		}
		r.stop()
		delete(l.running, number)
		delete(l.known, r.pod.UID)
		e := fault.As(err)
		if err := l.notice(number, e.Code, e.Message); err != nil {
			return err
		}
	}
	return nil
}

// drain sends what the readers that have ended left.
func (l *logFollower) drain() error {
	for {
		select {
		case m := <-l.out:
			if err := l.a.send(m); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// finished reports whether nothing more can come of the selected objects: they
// are pods, or Jobs that have come to their end.
func finished(selected []reached) bool {
	for _, r := range selected {
		switch {
		case isPod(r):
		case r.Key.Group == "batch" && r.Key.Kind == "Job" && r.Health.Status != model.HealthProgressing && r.Health.Status != "":
		default:
			return false
		}
	}
	return true
}

// add begins to follow the containers of pods that are not followed yet.
func (l *logFollower) add(ctx context.Context, pods []reached, first bool) error {
	var fresh []reached
	for _, r := range pods {
		if !l.known[r.UID] {
			fresh = append(fresh, r)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	found, err := l.s.sourcesOf(ctx, fresh, l.q)
	switch {
	case err != nil && first:
		return err
	case fault.HasCode(err, "log_sources_limit"):
		l.left = true
		return l.once(fault.As(err))
	case err != nil: // it is looked again with the next change, or a moment later
		l.s.log.Debug("new pods are not followed yet", "error", err)
		return nil
	}
	// Pods for which there is no room are looked at again when a source has ended.
	if l.active+len(found) > l.s.o.MaxSources {
		l.left = true
		return l.once(fault.As(l.s.tooMany(l.active + len(found))))
	}
	if len(found) == 0 {
		for _, r := range fresh {
			l.known[r.UID] = true
		}
		return nil
	}
	announced := make(chan struct{}) // the hub knows the sources before their lines
	if err := l.s.reserve(len(found)); err != nil {
		if first {
			return err
		}
		l.left = true
		return l.once(fault.As(err))
	}
	for _, r := range fresh {
		l.known[r.UID] = true
	}
	for i := range found {
		l.numbered++
		found[i].Number = l.numbered
	}
	for _, src := range found {
		l.active++
		ctx, stop := context.WithCancel(ctx)
		l.running[src.Number] = running{src, stop}
		l.readers.Go(func() {
			defer func() { l.ended <- src.Number }()
			defer stop()
			defer l.s.release(1)
			select {
			case <-announced:
				l.follow(ctx, src, first)
			case <-ctx.Done():
			}
		})
	}
	defer close(announced)
	return l.a.send(model.AccessAnswer{Sources: publicSources(found)})
}

func (l *logFollower) notice(source int, code, message string) error {
	return l.a.send(model.AccessAnswer{Notice: &model.LogNotice{Source: source, Code: code, Message: message}})
}

// once notes something that is about no source and would come up again.
func (l *logFollower) once(e *fault.Error) error {
	if l.noted[e.Code] {
		return nil
	}
	l.noted[e.Code] = true
	return l.notice(0, e.Code, e.Message)
}

// follow reads one container's logs, life by life, until the pod is gone or
// over, or ctx ends.
func (l *logFollower) follow(ctx context.Context, src source, first bool) {
	var (
		read  string // the life that was begun
		place resumption
		said  string
		pause = leastPause
		// unfinished: the life that was begun ran when its log was opened, or the log
		// broke off, so that there may be more of it. tailed: only the end of it was
		// asked for.
		unfinished, tailed bool
	)
	say := func(code, message string) {
		if message == said {
			return
		}
		said = message
		l.put(ctx, model.AccessAnswer{Notice: &model.LogNotice{Source: src.Number, Code: code, Message: message}})
	}
	leave := func() {}
	defer func() { leave() }()
	for ctx.Err() == nil {
		leave() // what was waited for before
		var changed <-chan struct{}
		changed, leave = l.s.news.nextOf(src.pod.Key)
		p, err := l.s.readPod(ctx, src.pod)
		switch {
		case fault.Is(err, fault.NotFound):
			return
		case err != nil && !fault.As(err).Kind.Retryable():
			e := fault.As(err)
			say(e.Code, e.Message)
			return
		case err != nil:
			l.wait(ctx, nil, &pause)
			continue
		}
		status := p.status(src.Container)
		life := status.life()
		switch {
		case life != "" && life != read && read != "" && unfinished:
			// It ended and the next began before its end was read.
			unfinished = false
			o := logOptions{previous: true, since: place.at}
			if place.at.IsZero() {
				if o.since = l.f.from; tailed {
					o.tail = l.q.Tail
				}
			}
			_, err := l.read(ctx, src, o, place.skipper(), &place)
			if lost := status.LastState.Terminated == nil || status.LastState.Terminated.ContainerID+"@"+status.LastState.Terminated.StartedAt != read; (lost || err != nil) && ctx.Err() == nil {
				say("log_broken", "the log broke off; some of it may be missing")
			}
		case life != "" && life != read, life != "" && status.State.Running != nil, life != "" && unfinished:
			o := logOptions{follow: true}
			skip := func(model.LogLine) bool { return false }
			switch {
			case life == read: // it broke off
				o.since, skip = place.at, place.skipper()
				if place.at.IsZero() {
					if o.since = l.f.from; tailed {
						o.tail = l.q.Tail // nothing was read yet
					}
				}
			case first && read == "":
				o.tail, o.since = l.q.Tail, l.f.from
				place, tailed = resumption{}, true
			default:
				place, tailed = resumption{}, false
			}
			began := time.Now()
			n, err := l.read(ctx, src, o, skip, &place)
			if err == nil || n > 0 {
				read = life
			}
			again := unfinished
			unfinished = life == read && (status.State.Running != nil || err != nil)
			if unfinished && again && status.State.Running == nil && ctx.Err() == nil {
				unfinished = false // once more was enough
				say("log_broken", "the log broke off; some of it may be missing")
			}
			if err != nil && ctx.Err() == nil {
				e := fault.As(unreadable(src, err))
				if !e.Kind.Retryable() && e.Kind != fault.Precondition {
					say(e.Code, e.Message)
					return
				}
				if n == 0 {
					say(cmp.Or(e.Code, "log_broken"), e.Message)
				}
			}
			if n > 0 || time.Since(began) > mostPause {
				pause, said = leastPause, ""
			}
			l.wait(ctx, nil, &pause)
		case p.over():
			return
		default:
			if w := status.State.Waiting; w != nil {
				say("log_waiting", fmt.Sprintf("the container waits to be started: %s", cut(w.Reason, 100)))
			}
			pause = leastPause
			l.wait(ctx, changed, &pause)
		}
	}
}

// wait waits for a pause, which grows, or a while longer for a change.
func (l *logFollower) wait(ctx context.Context, changed <-chan struct{}, pause *time.Duration) {
	d := *pause
	if changed != nil {
		d = mostPause
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-changed:
		// A pod may change often: it is looked at a few times a second at most.
		select {
		case <-ctx.Done():
		case <-time.After(leastPause):
		}
	}
	*pause = min(2**pause, mostPause)
}

// read follows one log until it ends, and answers how many lines it had.
func (l *logFollower) read(ctx context.Context, src source, o logOptions, skip func(model.LogLine) bool, place *resumption) (n int, err error) {
	resp, err := l.s.openLog(ctx, src, o)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	in := newLineReader(resp.Body, src.Number)
	var b batch
	flush := func() {
		if b.lines != nil {
			l.put(ctx, model.AccessAnswer{Lines: b.take()})
		}
	}
	defer flush()
	inside, kept := false, false
	for {
		line, err := in.next()
		if err != nil {
			return n, ended(err)
		}
		if skip(line) {
			continue
		}
		n++
		place.note(line)
		kept = l.f.keep(line, inside, kept)
		inside = line.Partial
		if kept {
			b.add(line)
		}
		if b.full() || !in.ready() {
			flush()
		}
	}
}

// put hands a piece to run, or drops it when nobody wants it any more.
func (l *logFollower) put(ctx context.Context, m model.AccessAnswer) {
	select {
	case l.out <- m:
	case <-ctx.Done():
	}
}
