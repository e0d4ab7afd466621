package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// document encodes a value for a column of type json.
func document(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	out := bytes.TrimRight(b.Bytes(), "\n")
	if !utf8.Valid(out) {
		// Raw parts of a document are not checked by the encoder, but the
		// database checks them.
		out = bytes.ToValidUTF8(out, []byte("\ufffd"))
	}
	return out, nil
}

// optional encodes a value, or gives NULL for a nil pointer.
func optional[T any](v *T) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	return document(v)
}

// optionalList encodes a list, or gives NULL for an empty one.
func optionalList[T any](v []T) ([]byte, error) {
	if len(v) == 0 {
		return nil, nil
	}
	return document(v)
}

func decode[T any](b []byte, into *T) error {
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("a stored document cannot be read: %w", err)
	}
	return nil
}

// text makes a string fit for a text column: what agents say may be anything.
func text(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return s
}

func texts(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = text(s)
	}
	return out
}

// strs converts named string types for a text[] parameter.
func strs[S ~string](in []S) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// utc gives times back in UTC, whatever the driver's zone.
func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func nonZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
