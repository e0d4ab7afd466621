package search

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/url"
	"strings"
	"unicode/utf16"
)

// Canary is a secret that was planted.
type Canary struct{ Name, Value string }

// Finding is a canary in a place where it was looked for.
type Finding struct {
	Canary string
	// How it is written there, from the outside in, such as "gzip, base64".
	How string
	// Where is what the caller called the place; Offset counts bytes in the innermost
	// stream.
	Where  string
	Offset int64
	// Around is what stands before and after it.
	Around string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s holds %s (%s, at %d): …%q…", f.Where, f.Canary, f.How, f.Offset, f.Around)
}

type needle struct {
	canary, how string
	b           []byte
}

// Searcher looks for canaries. It may be used by several goroutines.
type Searcher struct {
	needles map[uint32][]needle // by their first four bytes
	likely  [1 << 16]bool       // hashes of those
	longest int
	chunk   int
}

const (
	minLength = 12 // of a canary: less meets itself by chance
	depth     = 4  // streams in streams
	// maxInner bounds what one compressed stream may become.
	maxInner = 64 << 20
	// everywhere: in what is not longer, raw deflate, which has no mark, is looked for
	// at each byte; in what is longer at the beginning and in archives.
	everywhere = 4 << 10
)

// New panics when a canary is too short to be told from chance.
func New(canaries ...Canary) *Searcher {
	s := &Searcher{needles: map[uint32][]needle{}, chunk: 1 << 20}
	for _, c := range canaries {
		if len(c.Value) < minLength {
			panic("canary " + c.Name + " is too short")
		}
		seen := map[string]bool{}
		for _, n := range spellings(c.Value) {
			if len(n.b) < minLength || seen[string(n.b)] {
				continue
			}
			seen[string(n.b)] = true
			n.canary = c.Name
			k := binary.LittleEndian.Uint32(n.b)
			s.needles[k] = append(s.needles[k], n)
			s.likely[hash(k)] = true
			s.longest = max(s.longest, len(n.b))
		}
	}
	return s
}

func hash(k uint32) uint16 { return uint16((k * 2654435761) >> 16) }

// spellings are all ways in which a value is looked for, the plainest first.
func spellings(v string) []needle {
	out := []needle{{how: "plain", b: []byte(v)}}
	add := func(how, s string) { out = append(out, needle{how: how, b: []byte(s)}) }
	once := base64s(v)
	for _, s := range once {
		add("base64", s)
	}
	for _, s := range once {
		for _, s := range base64s(s) {
			add("base64 of base64", s)
		}
	}
	h := hex.EncodeToString([]byte(v))
	add("hex", h)
	add("hex", strings.ToUpper(h))
	if b, err := json.Marshal(v); err == nil {
		add("JSON", string(b[1:len(b)-1]))
		var again bytes.Buffer
		e := json.NewEncoder(&again)
		e.SetEscapeHTML(false)
		if e.Encode(v) == nil {
			add("JSON", strings.Trim(again.String(), "\n\"")) // a quote at an edge is escaped: its backslash stays
		}
		if b, err = json.Marshal(string(b[1 : len(b)-1])); err == nil {
			add("JSON in JSON", string(b[1:len(b)-1]))
		}
	}
	add("Go", strings.Trim(fmt.Sprintf("%q", v), `"`))
	add("URL", url.QueryEscape(v))
	add("URL", url.PathEscape(v))
	add("HTML", html.EscapeString(v))
	var percent, unicode strings.Builder
	for _, b := range []byte(v) {
		fmt.Fprintf(&percent, "%%%02X", b)
	}
	for _, r := range utf16.Encode([]rune(v)) {
		fmt.Fprintf(&unicode, `\u%04x`, r)
	}
	add("URL", percent.String())
	add("URL", strings.ToLower(percent.String()))
	add("JSON", unicode.String())
	var wide []byte
	for _, r := range utf16.Encode([]rune(v)) {
		wide = binary.LittleEndian.AppendUint16(wide, r)
	}
	return append(out, needle{how: "UTF-16", b: wide})
}

// base64s is what of v's base64 does not depend on its neighbours, at each of the
// three offsets, in both alphabets.
func base64s(v string) []string {
	var out []string
	for offset := range 3 {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, offset), v...))
		first := (offset*8 + 5) / 6 // the first digit that is v's alone
		end := (offset + len(v)) * 8 / 6
		text = text[first:end]
		out = append(out, text, strings.NewReplacer("+", "-", "/", "_").Replace(text))
	}
	return out
}

// Bytes looks in b.
func (s *Searcher) Bytes(where string, b []byte) []Finding {
	return s.in(where, "", b, depth)
}

// Reader looks in all that r has.
func (s *Searcher) Reader(where string, r io.ReaderAt, size int64) ([]Finding, error) {
	w := &walk{s: s, where: where, src: r, size: size, level: depth, seen: map[string]bool{}}
	err := w.run()
	return w.found, err
}

func (s *Searcher) in(where, how string, b []byte, level int) []Finding {
	w := &walk{s: s, where: where, how: how, src: bytes.NewReader(b), size: int64(len(b)), level: level, seen: map[string]bool{}}
	if err := w.run(); err != nil { // a reader of memory has no errors
		panic(err)
	}
	return w.found
}
