package access

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// lineBuffer bounds the pieces of a long line, and what the reader of a log
	// holds.
	lineBuffer = 16 << 10
	// batchBytes and batchLines bound what travels in one piece.
	batchBytes = 32 << 10
	batchLines = 1000
)

// lineReader reads the lines of a log that the API server was asked to put
// times before.
type lineReader struct {
	in     *bufio.Reader
	source int
	at     time.Time // of the line that was begun
	inside bool      // the last piece did not end its line
}

func newLineReader(r io.Reader, source int) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(r, lineBuffer), source: source}
}

// next waits for a line, or for a piece of one that is longer than the buffer.
// The line's text is the caller's. The last line may lack its end.
func (l *lineReader) next() (model.LogLine, error) {
	raw, err := l.in.ReadSlice('\n')
	partial := errors.Is(err, bufio.ErrBufferFull)
	switch {
	case partial:
	case len(raw) == 0:
		return model.LogLine{}, err
	case err != nil && !errors.Is(err, io.EOF):
		return model.LogLine{}, err
	}
	raw = bytes.TrimSuffix(raw, []byte("\n"))
	if !l.inside {
		l.at, raw = splitTime(raw, l.at)
	}
	l.inside = partial
	return model.LogLine{Source: l.source, At: l.at, Text: bytes.Clone(raw), Partial: partial}, nil
}

// ready reports whether more can be had without waiting.
func (l *lineReader) ready() bool { return l.in.Buffered() > 0 }

// splitTime takes the time off a line that has one before it. A line without,
// which a kubelet writes to say that something went wrong, has that of the line
// before.
func splitTime(raw []byte, before time.Time) (time.Time, []byte) {
	word, rest, found := bytes.Cut(raw, []byte(" "))
	if len(word) < len("2006-01-02T15:04:05Z") || len(word) > len(time.RFC3339Nano) {
		return before, raw
	}
	at, err := time.Parse(time.RFC3339Nano, string(word))
	if err != nil {
		return before, raw
	}
	if !found {
		rest = nil // an empty line
	}
	return at.UTC(), rest
}

// batch gathers lines until they are worth a message.
type batch struct {
	lines []model.LogLine
	bytes int
}

func (b *batch) add(l model.LogLine) {
	b.lines = append(b.lines, l)
	b.bytes += len(l.Text)
}

func (b *batch) full() bool { return b.bytes >= batchBytes || len(b.lines) >= batchLines }

func (b *batch) take() []model.LogLine {
	lines := b.lines
	b.lines, b.bytes = nil, 0
	return lines
}

// resumption remembers where a log was left, so that a stream that broke off
// goes on without losing or repeating a line: times need not be unique.
type resumption struct {
	at   time.Time
	seen int // lines with that time

	// torn counts the pieces that were read of the line after these, which is of
	// tornAt. Pieces are of equal length from the beginning of their line on.
	torn   int
	tornAt time.Time
}

func (r *resumption) note(l model.LogLine) {
	switch {
	case l.At.IsZero():
		return
	case l.Partial:
		r.torn++
		r.tornAt = l.At
		return
	}
	r.torn = 0
	if !l.At.Equal(r.at) {
		r.at, r.seen = l.At, 0
	}
	r.seen++
}

// skipper drops the lines of a new stream that were read already.
func (r resumption) skipper() func(model.LogLine) bool {
	left, torn := r.seen, r.torn
	return func(l model.LogLine) bool {
		switch {
		case torn > 0 && l.At.Equal(r.tornAt) && (left == 0 || !r.tornAt.Equal(r.at)):
			torn--
			return true
		case r.at.IsZero() || l.At.IsZero() || l.At.After(r.at):
			return false
		case l.At.Equal(r.at):
			if left > 0 {
				if !l.Partial {
					left--
				}
				return true
			}
			return false
		}
		return true
	}
}

// ended is nil when a log was read to its end.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
