package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/model"
)

// board shows how operations go on, on standard error: lines that are drawn over
// on a terminal, one line for each change of state without one, objects with
// --progress=json.
type board struct {
	s    *session
	mode string // live, plain, json or none

	mu    sync.Mutex
	ops   []model.OperationInfo
	said  map[model.OperationID]string
	drawn int // lines on the terminal
}

// boardLines are shown at a time: a person reads no more.
const boardLines = 8

func (s *session) newBoard(ops []model.OperationInfo) *board {
	b := &board{s: s, ops: slices.Clone(ops), said: map[model.OperationID]string{}, mode: "plain"}
	switch {
	case s.progress == "json":
		b.mode = "json"
	case s.quiet, s.progress == "none", s.progress == "auto" && s.printer != nil && s.printer.Documents():
		b.mode = "none"
	case s.progress == "auto" && s.Terminal && s.OutTerminal:
		b.mode = "live"
	}
	return b
}

// changed shows an operation as it is now.
func (b *board) changed(op model.OperationInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.ops, func(x model.OperationInfo) bool { return x.ID == op.ID })
	if i < 0 {
		return
	}
	if op.AppName == "" {
		op.AppName = b.ops[i].AppName
	}
	b.ops[i] = op
	text := strings.TrimSpace(string(op.Phase) + "  " + op.Message)
	if b.said[op.ID] == text {
		return
	}
	b.said[op.ID] = text
	switch b.mode {
	case "json":
		b.s.sayJSON(map[string]any{"level": "info", "event": "operation", "operation": op.ID, "app": op.AppName, "kind": operationKind(op), "phase": op.Phase, "message": op.Message})
	case "plain":
		if len(b.ops) == 1 && op.Phase.Terminal() {
			return // the verdict says it
		}
		fmt.Fprintf(b.s.Err, "%s  %s  %s\n", b.s.now().Format(time.TimeOnly), output.Clean(op.AppName), output.Clean(text))
	case "live":
		b.draw()
	}
}

// draw writes the board over its last state. b.mu is held.
func (b *board) draw() {
	var lines []string
	ended, failed := 0, 0
	for _, op := range b.ops {
		switch {
		case op.Phase.Terminal() && exitOfOperation(op) == ExitOK:
			ended++
			continue
		case op.Phase.Terminal():
			ended, failed = ended+1, failed+1
		}
		if len(lines) < boardLines {
			mark := "◐"
			if op.Phase.Terminal() {
				mark = "✖"
			}
			lines = append(lines, fmt.Sprintf("%s %s  %s  %s", mark, op.AppName, op.Phase, op.Message))
		}
	}
	if len(b.ops) > 1 {
		lines = append(lines, fmt.Sprintf("%d of %d done, %d failed", ended, len(b.ops), failed))
	}
	b.erase()
	width := max(b.s.Width, 20)
	for _, l := range lines {
		r := []rune(output.Clean(l))
		fmt.Fprintln(b.s.Err, string(r[:min(len(r), width-1)]))
	}
	b.drawn = len(lines)
}

func (b *board) erase() {
	if b.drawn > 0 {
		fmt.Fprintf(b.s.Err, "\x1b[%dA\x1b[J", b.drawn)
		b.drawn = 0
	}
}

// close takes the board from the terminal; the verdict stands in its place.
func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
}

// awaitAll follows the event stream until all operations have ended, and tells
// changed of each step. The stream is opened before they are read, so no end is
// missed. What it returns is as far as it came.
func awaitAll(ctx context.Context, api *client.Client, ops []model.OperationInfo, changed func(model.OperationInfo)) ([]model.OperationInfo, error) {
	ops = slices.Clone(ops)
	read := func(i int) error {
		var now model.OperationInfo
		if err := api.Get(ctx, operationPath(string(ops[i].ID)), &now); err != nil {
			return err
		}
		ops[i] = now
		changed(now)
		return nil
	}
	// which is the operation that the last event was about, -1 for all.
	which := -1
	err := client.Follow(ctx, api, func() (bool, error) {
		about := which
		which = -1
		open := false
		for i := range ops {
			if !ops[i].Phase.Terminal() && (about < 0 || about == i) {
				if err := read(i); err != nil {
					return false, err
				}
			}
			open = open || !ops[i].Phase.Terminal()
		}
		return !open, nil
	}, func(e client.Event) bool {
		if e.Type != "operation" {
			return false
		}
		var about model.OperationInfo
		if json.Unmarshal(e.Data, &about) != nil {
			return true
		}
		which = slices.IndexFunc(ops, func(op model.OperationInfo) bool { return op.ID == about.ID })
		return which >= 0
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return ops, exitWith(ExitTimeout, stillGoing(ops, "wait_timeout", "after the time limit"))
	case errors.Is(err, context.Canceled):
		return ops, exitWith(ExitInterrupted, stillGoing(ops, "interrupted", "and you have left"))
	}
	return ops, err
}
