package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Git's packet lines: four hexadecimal digits of length, themselves included,
// and the text. Length zero is a flush.

const maxPacket = 65520

// errProtocol marks text that is not Git's protocol.
var errProtocol = errors.New("not Git's protocol")

// errRemote is an error that the server sent in words.
type errRemote struct{ text string }

func (e *errRemote) Error() string { return "the server says: " + e.text }

func appendPacket(dst []byte, format string, args ...any) []byte {
	text := fmt.Sprintf(format, args...)
	return append(fmt.Appendf(dst, "%04x", len(text)+4), text...)
}

const flushPacket = "0000"

// readPacket reads one packet. flush is true for a flush; the text is valid
// until the next read.
func readPacket(r *bufio.Reader, buf *[]byte) (text []byte, flush bool, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, false, err
	}
	n, err := strconv.ParseUint(string(head[:]), 16, 32)
	if err != nil || (n > 0 && n < 4) || n > maxPacket {
		return nil, false, fmt.Errorf("%w: packet length %q", errProtocol, head[:])
	}
	if n == 0 {
		return nil, true, nil
	}
	n -= 4
	if uint64(cap(*buf)) < n {
		*buf = make([]byte, max(n, 4096))
	}
	text = (*buf)[:n]
	if _, err := io.ReadFull(r, text); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, false, err
	}
	return text, false, nil
}

// maxRefs and maxRefBytes bound what a server can make the hub remember.
const (
	maxRefs     = 1_000_000
	maxRefBytes = 128 << 20
)

// errManyRefs: the list of references passed the limits.
var errManyRefs = errors.New("too many references")

// readAdvertised reads the references that a server lists. service says
// whether the HTTP preamble comes first.
func readAdvertised(r *bufio.Reader, service bool) (*advertised, error) {
	a := &advertised{refs: map[string]string{}, peeled: map[string]string{}, capabilities: map[string]string{}}
	var buf []byte
	first := true
	total := 0
	for n := 0; ; n++ {
		text, flush, err := readPacket(r, &buf)
		if err != nil {
			return nil, err
		}
		if total += len(text); n > maxRefs || total > maxRefBytes {
			return nil, errManyRefs
		}
		if flush {
			if service {
				service = false // the preamble ends with a flush of its own
				continue
			}
			return a, nil
		}
		line := strings.TrimSuffix(string(text), "\n")
		switch {
		case strings.HasPrefix(line, "ERR "):
			return nil, &errRemote{line[4:]}
		case strings.HasPrefix(line, "# service="):
			continue
		case line == "version 1", strings.HasPrefix(line, "shallow "):
			service = false
			continue
		}
		service = false
		if first {
			first = false
			if names, caps, ok := strings.Cut(line, "\x00"); ok {
				line = names
				a.readCapabilities(caps)
			}
		}
		id, name, ok := strings.Cut(line, " ")
		if !ok || !fullCommit.MatchString(id) {
			if len(id) == 64 {
				return nil, fmt.Errorf("%w: repositories with SHA-256 objects are not supported", errProtocol)
			}
			return nil, fmt.Errorf("%w: a line of references has another shape", errProtocol)
		}
		switch {
		case name == "capabilities^{}":
		case name == "HEAD":
			a.head = id
		case strings.HasSuffix(name, "^{}"):
			a.peeled[strings.TrimSuffix(name, "^{}")] = id
		default:
			a.refs[name] = id
		}
	}
}

func (a *advertised) readCapabilities(s string) {
	for c := range strings.FieldsSeq(s) {
		name, value, _ := strings.Cut(c, "=")
		if name == "symref" {
			if from, to, ok := strings.Cut(value, ":"); ok && from == "HEAD" {
				a.headRef = to
			}
			continue
		}
		a.capabilities[name] = value
	}
}

func (a *advertised) has(capability string) bool {
	_, ok := a.capabilities[capability]
	return ok
}

// wanted is a request for objects.
type wanted struct {
	wants    []string
	haves    []string
	shallows []string
	depth    int // 0: no limit
}

func (w wanted) encode(a *advertised) []byte {
	caps := []string{}
	names := []string{"multi_ack_detailed", "side-band-64k", "ofs-delta", "no-progress"}
	if len(w.haves) > 0 {
		names = append(names, "thin-pack")
	}
	for _, c := range names {
		if a.has(c) {
			caps = append(caps, c)
		}
	}
	if a.has("agent") {
		caps = append(caps, "agent=hawser")
	}
	var out []byte
	for i, id := range w.wants {
		if i == 0 {
			out = appendPacket(out, "want %s %s\n", id, strings.Join(caps, " "))
			continue
		}
		out = appendPacket(out, "want %s\n", id)
	}
	for _, id := range w.shallows {
		out = appendPacket(out, "shallow %s\n", id)
	}
	if w.depth > 0 {
		out = appendPacket(out, "deepen %d\n", w.depth)
	}
	out = append(out, flushPacket...)
	for _, id := range w.haves {
		out = appendPacket(out, "have %s\n", id)
	}
	return appendPacket(out, "done\n")
}

// packReader reads the answer to a request: what became shallow, then the pack
// out of the side band.
type packReader struct {
	r        *bufio.Reader
	buf      []byte
	rest     []byte // of the packet that was read last
	shallows []string
	limit    int64
	read     int64
	done     bool
}

func newPackReader(r *bufio.Reader, limit int64) (*packReader, error) {
	p := &packReader{r: r, limit: limit}
	for {
		text, flush, err := readPacket(r, &p.buf)
		if err != nil {
			return nil, err
		}
		if err := p.count(len(text)); err != nil {
			return nil, err
		}
		if flush {
			continue
		}
		line := strings.TrimSuffix(string(text), "\n")
		switch {
		case strings.HasPrefix(line, "shallow "):
			if id := line[len("shallow "):]; fullCommit.MatchString(id) {
				p.shallows = append(p.shallows, id)
			}
		case strings.HasPrefix(line, "unshallow "), strings.HasPrefix(line, "ACK "), line == "NAK":
		case strings.HasPrefix(line, "ERR "):
			return nil, &errRemote{line[4:]}
		case len(text) > 0 && text[0] <= 3:
			return p, p.take(text)
		default:
			return nil, fmt.Errorf("%w: the answer has another shape", errProtocol)
		}
	}
}

// take reads the band of a packet.
func (p *packReader) take(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	switch text[0] {
	case 1:
		p.rest = text[1:]
	case 2: // progress
	case 3:
		return &errRemote{string(bytes.TrimSpace(text[1:]))}
	default:
		return fmt.Errorf("%w: unknown side band", errProtocol)
	}
	return nil
}

// count adds up all that came, progress too, which could go on for ever.
func (p *packReader) count(n int) error {
	if p.read += int64(n) + 4; p.limit > 0 && p.read > p.limit {
		return &errTooMuch{p.limit}
	}
	return nil
}

// errTooMuch: the pack passed the limit.
type errTooMuch struct{ limit int64 }

func (e *errTooMuch) Error() string { return fmt.Sprintf("more than %d bytes", e.limit) }

func (p *packReader) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.done {
			return 0, io.EOF
		}
		text, flush, err := readPacket(p.r, &p.buf)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		if err := p.count(len(text)); err != nil {
			return 0, err
		}
		if flush {
			p.done = true
			continue
		}
		if err := p.take(text); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
