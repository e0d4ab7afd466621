package render

import (
	"context"
	"encoding/json"
	"errors"
)

// A trace as one hub tells it to others: the newest of each bucket. Those of
// renders that failed are not told: the error is a value of this process.
type toldTrace struct {
	Key       string            `json:"key"`
	Paths     []byte            `json:"paths"`
	Roots     map[string]string `json:"roots"`
	Questions []toldQuestion    `json:"questions"`
}

type toldQuestion struct {
	Raw     []byte `json:"raw"`
	ID      []byte `json:"id"`
	Tree    string `json:"tree,omitempty"`
	Content bool   `json:"content,omitempty"`
}

// maxTold bounds the encoded trace.
const maxTold = 1 << 20

// tell tells other hubs of a render.
func (w *work) tell(ctx context.Context, t *trace) {
	if _, alone := w.opts.Traces.(nothing); alone || t.err != nil || t.fleeting || t.size > maxTold/2 {
		return
	}
	out := toldTrace{Key: t.key, Paths: t.paths[:], Roots: t.roots, Questions: make([]toldQuestion, len(t.questions))}
	for i, q := range t.questions {
		out.Questions[i] = toldQuestion{[]byte(q.raw), q.id[:], q.tree, q.content}
	}
	text, err := json.Marshal(out)
	if err != nil || len(text) > maxTold {
		return
	}
	for _, b := range w.buckets {
		w.opts.Traces.Put(ctx, w.bucketKey(b), text)
	}
}

// bucketKey is the bucket of this build's renders: another may ask other questions.
func (w *work) bucketKey(bucket string) string { return digest(toolVersions(), bucket) }

// told is the newest trace that a hub told of a bucket.
func (w *work) told(ctx context.Context, bucket string) (*trace, bool) {
	text, ok := w.opts.Traces.Get(ctx, w.bucketKey(bucket))
	if !ok {
		return nil, false
	}
	t, err := decodeTrace(text)
	if err != nil {
		w.opts.Log.WarnContext(ctx, "what another hub told of a render cannot be read", "error", err)
		w.opts.Traces.Drop(ctx, w.bucketKey(bucket))
		return nil, false
	}
	return t, true
}

func decodeTrace(text []byte) (*trace, error) {
	var in toldTrace
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	t := &trace{key: in.Key, roots: in.Roots, questions: make([]tracedQuestion, len(in.Questions)), size: 512}
	if len(in.Paths) != len(t.paths) || in.Key == "" {
		return nil, errors.New("it is not whole")
	}
	copy(t.paths[:], in.Paths)
	if t.roots == nil {
		t.roots = map[string]string{}
	}
	for tree := range t.roots {
		t.size += int64(len(tree)) + 128
	}
	for i, q := range in.Questions {
		to := &t.questions[i]
		if len(q.ID) != len(to.id) {
			return nil, errors.New("it is not whole")
		}
		to.raw, to.tree, to.content = string(q.Raw), q.Tree, q.Content
		copy(to.id[:], q.ID)
		t.size += int64(len(q.Raw)) + 96
	}
	return t, nil
}
