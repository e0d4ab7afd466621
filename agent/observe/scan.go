package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// A light reader of JSON. Objects are walked as bytes, and only the few members
// that a record keeps are decoded: building a map of every watched object costs
// five times its size and most of the CPU. The API server is trusted to send
// well-formed JSON, but no input may make this panic or loop.

var errJSON = errors.New("malformed JSON")

// maxDepth bounds nesting, as the API server's own decoder does.
const maxDepth = 10_000

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at b[i].
func skipString(b []byte, i int) (int, error) {
	if i >= len(b) || b[i] != '"' {
		return 0, errJSON
	}
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return 0, errJSON
		}
		i += n
		slashes := 0
		for b[i-1-slashes] == '\\' { // the opening quote stops it
			slashes++
		}
		i++
		if slashes%2 == 0 {
			return i, nil
		}
	}
	return 0, errJSON
}

// skipValue returns the index after the value that begins at b[i].
func skipValue(b []byte, i int) (int, error) {
	if i >= len(b) {
		return 0, errJSON
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				var err error
				if i, err = skipString(b, i); err != nil {
					return 0, err
				}
				continue
			case '{', '[':
				if depth++; depth > maxDepth {
					return 0, errJSON
				}
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1, nil
				}
			}
			i++
		}
		return 0, errJSON
	case '}', ']', ',', ':':
		return 0, errJSON
	}
	start := i
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
			if i == start {
				return 0, errJSON
			}
			return i, nil
		}
		i++
	}
	return i, nil
}

// members calls f for each member of the JSON object b, with the key as written
// without its quotes, and the value. f stops the walk with an error.
func members(b []byte, f func(key, value []byte) error) error {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return errJSON
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return nil
	}
	for {
		end, err := skipString(b, i)
		if err != nil {
			return err
		}
		key := b[i+1 : end-1]
		if i = skipSpace(b, end); i >= len(b) || b[i] != ':' {
			return errJSON
		}
		i = skipSpace(b, i+1)
		if end, err = skipValue(b, i); err != nil {
			return err
		}
		if err := f(key, b[i:end]); err != nil {
			return err
		}
		if i = skipSpace(b, end); i >= len(b) {
			return errJSON
		}
		if b[i] == '}' {
			return nil
		}
		if b[i] != ',' {
			return errJSON
		}
		i = skipSpace(b, i+1)
	}
}

// elements calls f for each element of the JSON array b; null is an empty one.
func elements(b []byte, f func(value []byte) error) error {
	i := skipSpace(b, 0)
	if bytes.Equal(bytes.TrimSpace(b[i:]), []byte("null")) {
		return nil
	}
	if i >= len(b) || b[i] != '[' {
		return errJSON
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return nil
	}
	for {
		end, err := skipValue(b, i)
		if err != nil {
			return err
		}
		if err := f(b[i:end]); err != nil {
			return err
		}
		if i = skipSpace(b, end); i >= len(b) {
			return errJSON
		}
		if b[i] == ']' {
			return nil
		}
		if b[i] != ',' {
			return errJSON
		}
		i = skipSpace(b, i+1)
	}
}

// text decodes a JSON string; null and other types are "".
func text(v []byte) string {
	if len(v) < 2 || v[0] != '"' {
		return ""
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}

// maxFrame is the largest single object accepted. The API server accepts
// requests of 3 MiB; an object can be a little more.
const maxFrame = 32 << 20

// keepBuffer is how much of a read buffer is kept while a watch is quiet.
const keepBuffer = 32 << 10

var errFrameTooLarge = errors.New("an object in the answer is larger than 32 MiB")

// frames splits a stream into top-level JSON objects.
type frames struct {
	r          io.Reader
	buf        []byte
	start, end int // unread bytes
}

// next returns one object; it is valid until the following call. The error at
// the end of the stream is io.EOF between objects, io.ErrUnexpectedEOF inside.
func (f *frames) next() ([]byte, error) {
	pos, depth, inString, escaped := f.start, 0, false, false
	for {
		for ; pos < f.end; pos++ {
			c := f.buf[pos]
			switch {
			case inString:
				switch {
				case escaped:
					escaped = false
				case c == '\\':
					escaped = true
				case c == '"':
					inString = false
				}
			case depth == 0:
				switch c {
				case ' ', '\n', '\r', '\t':
					f.start = pos + 1
				case '{':
					f.start = pos
					depth = 1
				default:
					return nil, errJSON
				}
			case c == '"':
				inString = true
			case c == '{' || c == '[':
				if depth++; depth > maxDepth {
					return nil, errJSON
				}
			case c == '}' || c == ']':
				if depth--; depth == 0 {
					frame := f.buf[f.start : pos+1]
					f.start = pos + 1
					return frame, nil
				}
			}
		}
		n, err := f.fill(depth > 0)
		pos -= n
		if err != nil {
			if err == io.EOF && depth > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// fill reads more, moving unread bytes to the front; it returns by how much.
func (f *frames) fill(inside bool) (moved int, err error) {
	if f.start == f.end {
		moved, f.start, f.end = f.start, 0, 0
		if !inside && len(f.buf) > keepBuffer {
			f.buf = nil
		}
	} else if f.start > 0 {
		copy(f.buf, f.buf[f.start:f.end])
		moved, f.end, f.start = f.start, f.end-f.start, 0
	}
	if f.end == len(f.buf) {
		if f.end >= maxFrame {
			return moved, errFrameTooLarge
		}
		bigger := make([]byte, max(8<<10, 2*len(f.buf)))
		copy(bigger, f.buf[:f.end])
		f.buf = bigger
	}
	for range 100 {
		n, err := f.r.Read(f.buf[f.end:])
		f.end += n
		if n > 0 {
			return moved, nil
		}
		if err != nil {
			return moved, err
		}
	}
	return moved, io.ErrNoProgress
}
