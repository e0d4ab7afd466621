package app

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// endless repeats one answer, n times when that is not 0.
type endless struct {
	answer model.AccessAnswer
	n      int
	read   int
}

func (e *endless) Receive(context.Context) (model.AccessAnswer, error) {
	if e.n != 0 && e.read == e.n {
		return model.AccessAnswer{}, io.EOF
	}
	e.read++
	return e.answer, nil
}

func TestWhatAnAgentSaysAboutActionsIsBounded(t *testing.T) {
	for name, a := range map[string]model.ResourceAction{
		"their number": {Name: "x"}, "their names": {Name: strings.Repeat("x", 1<<15)}, "their titles": {DisplayName: strings.Repeat("x", 1<<15)},
		"their parameters": {Params: []string{strings.Repeat("x", 1<<15)}}, "the number of their parameters": {Params: make([]string, 1<<15)},
	} {
		stream := &endless{answer: model.AccessAnswer{Actions: []model.ResourceAction{a}}}
		if got, err := collectActions(t.Context(), stream); !fault.HasCode(err, "answer_too_large") || got != nil || stream.read > maxActions+1 {
			t.Errorf("%s: %d after %d answers, %v", name, len(got), stream.read, err)
		}
	}
	stream := &endless{answer: model.AccessAnswer{Actions: []model.ResourceAction{{Name: "a"}, {Name: "b"}}}, n: maxActions / 2}
	if got, err := collectActions(t.Context(), stream); err != nil || len(got) != maxActions {
		t.Errorf("as many as there may be: %d, %v", len(got), err)
	}
	failed := errors.New("no such object")
	stream = &endless{answer: model.AccessAnswer{End: &model.AccessEnd{Err: failed}}}
	if _, err := collectActions(t.Context(), stream); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
}
