package render

import (
	"container/list"
	"context"
	"encoding/hex"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
)

// trace is what one render asked and what identified the answers: all that its
// outcome depends on besides the job.
type trace struct {
	questions []tracedQuestion
	// roots are those of the trees that questions were about, as they were.
	roots map[string]string
	// paths is what was at the GeneratePaths of the application.
	paths identity
	// key is the render's identity.
	key string
	// err is the outcome of a render that the inputs made fail.
	err error
	// fleeting: the outcome is good for those who wait for it and read the same
	// so far. Whoever comes later tries again.
	fleeting bool
	size     int64
}

// tracedQuestion is one question and its answer's identity.
type tracedQuestion struct {
	raw string // the question, encoded
	id  identity
	// tree is the tree that the question is about, when it is about nothing but
	// the content of one.
	tree    string
	content bool
}

// recorder makes a trace of a conversation.
type recorder struct {
	t    trace
	seen map[string]bool
}

func newRecorder() *recorder {
	return &recorder{t: trace{roots: map[string]string{}}, seen: map[string]bool{}}
}

// add notes a question. One that was asked before adds nothing.
func (r *recorder) add(q *workerv1.Question, id identity) error {
	raw, err := deterministic.Marshal(q)
	if err != nil {
		return err
	}
	if r.seen[string(raw)] {
		return nil
	}
	tq := tracedQuestion{raw: string(raw), id: id}
	tq.tree, tq.content = contentTree(q)
	r.seen[tq.raw] = true
	r.t.questions = append(r.t.questions, tq)
	r.t.size += int64(len(tq.raw)) + 96
	return nil
}

// finish completes the trace of a job.
func (r *recorder) finish(ctx context.Context, options string, a *answers, err error) (*trace, error) {
	for _, q := range r.t.questions {
		if _, ok := r.t.roots[q.tree]; q.content && !ok {
			r.t.roots[q.tree] = a.root(ctx, q.tree)
			r.t.size += int64(len(q.tree)) + 128
		}
	}
	paths, perr := a.generated(ctx)
	if perr != nil {
		return nil, perr
	}
	r.t.paths, r.t.err = paths, err
	var n summer
	n.text(options)
	for _, q := range r.t.questions {
		n.text(q.raw)
		n.buf = append(n.buf, q.id[:]...)
	}
	sum := n.sum()
	r.t.key = outputVersion + ":" + hex.EncodeToString(sum[:])
	r.t.size += 512
	return &r.t, nil
}

// root of an open tree, "" when there is none or nobody knows.
func (a *answers) root(ctx context.Context, name string) string {
	t, err := a.open(ctx, name)
	if err != nil {
		return ""
	}
	return t.snapshot.Root()
}

// matches asks the questions of a trace again, for identities only, and reports
// whether all answers are as they were. Trees that are the same as a whole are
// not asked. Errors are trouble that may pass.
func (a *answers) matches(ctx context.Context, t *trace) (bool, error) {
	same := map[string]bool{}
	untouched, err := a.untouched(ctx, t)
	if err != nil {
		return false, err
	}
	for _, q := range t.questions {
		if q.content {
			unchanged, known := same[q.tree]
			if !known {
				root := a.root(ctx, q.tree)
				unchanged = root != "" && root == t.roots[q.tree]
				same[q.tree] = unchanged
			}
			if unchanged || untouched && q.tree == workspace.Main {
				continue
			}
		}
		id, err := a.again(ctx, q.raw)
		if errors.Is(err, errQuestion) {
			return false, nil // a tree that is not there any more
		}
		if err != nil {
			return false, err
		}
		if id != q.id {
			return false, nil
		}
	}
	return true, nil
}

// untouched reports whether a trace is that of the application's present state
// and nothing that the application says matters to it has changed since.
func (a *answers) untouched(ctx context.Context, t *trace) (bool, error) {
	if a.req.PreviousKey == "" || a.req.PreviousKey != t.key || t.paths == (identity{}) {
		return false, nil
	}
	paths, err := a.generated(ctx)
	return paths == t.paths, err
}

// again identifies the answer to a question of a trace.
func (a *answers) again(ctx context.Context, raw string) (identity, error) {
	if id, ok := a.asked[raw]; ok {
		return id, nil
	}
	var q workerv1.Question
	if err := proto.Unmarshal([]byte(raw), &q); err != nil {
		return identity{}, err
	}
	r, err := a.ask(ctx, &q)
	if err != nil {
		return identity{}, err
	}
	a.asked[raw] = r.id
	return r.id, nil
}

// maxTraces are kept in one bucket.
const maxTraces = 8

// traces keeps traces in buckets, such as one for each application and one for
// all that render the same source; the least recently used go first. It is safe
// for concurrent use; traces in it do not change.
type traces struct {
	mu      sync.Mutex
	max     int64
	size    int64
	order   *list.List // of *placed, the front was used last
	buckets map[string][]*list.Element
}

type placed struct {
	bucket string
	trace  *trace
}

func newTraces(max int64) *traces {
	return &traces{max: max, order: list.New(), buckets: map[string][]*list.Element{}}
}

// of returns the traces of buckets, without repeats, the newest of each bucket
// first.
func (s *traces) of(buckets ...string) []*trace {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*trace
	seen := map[*trace]bool{}
	for _, b := range buckets {
		for _, e := range s.buckets[b] {
			if t := e.Value.(*placed).trace; !seen[t] {
				seen[t] = true
				out = append(out, t)
			}
		}
	}
	return out
}

// put makes a trace the newest of each bucket, in place of one with its key.
func (s *traces) put(t *trace, buckets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.size > s.max/4 {
		return
	}
	for _, b := range buckets {
		for _, e := range s.buckets[b] {
			if old := e.Value.(*placed).trace; old == t || old.key == t.key {
				s.remove(e)
				break
			}
		}
		e := s.order.PushFront(&placed{b, t})
		s.buckets[b] = append([]*list.Element{e}, s.buckets[b]...)
		s.size += t.size
		if many := s.buckets[b]; len(many) > maxTraces {
			s.remove(many[len(many)-1])
		}
	}
	for s.size > s.max {
		s.remove(s.order.Back())
	}
}

// used makes a trace the newest of its buckets, where it is not so already.
func (s *traces) used(t *trace, buckets ...string) {
	s.mu.Lock()
	newest := true
	for _, b := range buckets {
		if l := s.buckets[b]; len(l) == 0 || l[0].Value.(*placed).trace != t {
			newest = false
		} else {
			s.order.MoveToFront(l[0])
		}
	}
	s.mu.Unlock()
	if !newest {
		s.put(t, buckets...)
	}
}

// remove drops one trace from its bucket; s.mu is held.
func (s *traces) remove(e *list.Element) {
	p := e.Value.(*placed)
	s.order.Remove(e)
	s.size -= p.trace.size
	kept := s.buckets[p.bucket][:0:0]
	for _, other := range s.buckets[p.bucket] {
		if other != e {
			kept = append(kept, other)
		}
	}
	if len(kept) == 0 {
		delete(s.buckets, p.bucket)
		return
	}
	s.buckets[p.bucket] = kept
}
