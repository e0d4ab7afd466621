package helmrepo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/hub/source/versions"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Version is one version of a chart, as an index has it.
type Version struct {
	Name        string   `yaml:"name" json:"name"`
	Version     string   `yaml:"version" json:"version"`
	AppVersion  string   `yaml:"appVersion" json:"appVersion"`
	Description string   `yaml:"description" json:"description"`
	URLs        []string `yaml:"urls" json:"urls"`
	// Digest is the SHA-256 of the archive in hexadecimal, "" when the index
	// has none.
	Digest string `yaml:"digest" json:"digest"`
	// Created as the index has it: it changes when a version is published
	// again.
	Created string `yaml:"created" json:"created"`
	Removed bool   `yaml:"removed" json:"removed"`
}

// Chart is what an index has of one chart.
type Chart struct {
	Name     string
	Versions []Version
	// Names of other charts, for messages; set when there are no versions.
	Names []string
}

const (
	// maxEntry bounds what an index has of one chart.
	maxEntry = 32 << 20
	maxNames = 5_000
)

var (
	hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// errLayout is about an index that is not written as Helm writes it.
	errLayout = errors.New("the index is not laid out as Helm lays it out")
)

// Find takes charts out of an index in YAML, as Helm writes it, or in JSON, in
// one pass. repository is for messages. A chart that is not there has no
// versions. Code index_invalid.
func Find(index io.Reader, repository string, names ...string) (map[string]Chart, error) {
	f := &finder{wanted: map[string][]Version{}}
	for _, n := range names {
		f.wanted[n] = nil
	}
	buffered := bufio.NewReaderSize(index, 64<<10)
	if head, err := buffered.Peek(3); err == nil && bytes.Equal(head, []byte("\xef\xbb\xbf")) {
		if _, err := buffered.Discard(3); err != nil {
			return nil, err
		}
	}
	head, err := buffered.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")) {
		err = f.json(buffered)
	} else {
		err = f.yaml(buffered)
	}
	if err != nil {
		var known *fault.Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, fault.Wrap(err, fault.Upstream, "index_invalid", "the index of %s cannot be read; the last good state stays", repository)
	}
	out := make(map[string]Chart, len(f.wanted))
	for n, all := range f.wanted {
		c := Chart{Name: n, Versions: usable(all)}
		if len(c.Versions) == 0 {
			c.Names = f.names
		}
		out[n] = c
	}
	return out, nil
}

// usable drops entries that name no version, or nothing to get, as Helm does.
func usable(all []Version) []Version {
	kept := all[:0]
	for _, v := range all {
		if v.Version == "" || len(v.URLs) == 0 || v.Removed {
			continue
		}
		v.Digest = strings.ToLower(strings.TrimPrefix(v.Digest, "sha256:"))
		if !hexDigest.MatchString(v.Digest) {
			v.Digest = ""
		}
		kept = append(kept, v)
	}
	return kept
}

// Pick returns the version that is asked for. Code chart_not_found.
func (c Chart) Pick(repository, want string) (Version, error) {
	if len(c.Versions) == 0 {
		err := fault.New(fault.Unprocessable, "chart_not_found", "%s has no chart %q", repository, clip(c.Name))
		if near := nearest.Word(c.Name, c.Names); near != "" {
			err = fault.New(fault.Unprocessable, "chart_not_found", "%s has no chart %q; closest: %q", repository, clip(c.Name), clip(near))
		}
		return Version{}, err.WithField("spec.source.chart")
	}
	have := make([]string, len(c.Versions))
	for i, v := range c.Versions {
		have[i] = v.Version
	}
	picked, ok := versions.Pick(have, want)
	if !ok {
		return Version{}, versions.NoneOf(c.Name, want, have)
	}
	for _, v := range c.Versions {
		if v.Version == picked {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("version %q is gone", picked)
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:77], "") + "…"
	}
	return s
}

type finder struct {
	wanted map[string][]Version
	names  []string // of other charts
}

// take remembers the name of a chart and reports whether it is wanted.
func (f *finder) take(name string) bool {
	if _, ok := f.wanted[name]; ok {
		return true
	}
	if len(f.names) < maxNames {
		f.names = append(f.names, name)
	}
	return false
}

// json reads {"entries": {"name": [versions]}} token by token.
func (f *finder) json(r io.Reader) error {
	d := json.NewDecoder(r)
	found := false
	err := object(d, func(key string) error {
		if key != "entries" {
			return skip(d)
		}
		found = true
		return object(d, func(name string) error {
			if !f.take(name) {
				return skip(d)
			}
			var all []*Version
			if err := d.Decode(&all); err != nil {
				return err
			}
			f.add(name, all)
			return nil
		})
	})
	if err == nil && !found {
		err = errLayout
	}
	return err
}

func (f *finder) add(name string, all []*Version) {
	for _, v := range all {
		if v != nil {
			f.wanted[name] = append(f.wanted[name], *v)
		}
	}
}

// object calls member for each key of an object; member reads the value.
func object(d *json.Decoder, member func(key string) error) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t == nil {
		return nil // null
	}
	if t != json.Delim('{') {
		return errLayout
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return errLayout
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// skip reads one value and keeps nothing of it.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// yaml finds charts by their indentation: below "entries:" each begins with its
// name, indented as the first one is, and all of it is indented further or an
// item of a list. The lines of a wanted one are then read as YAML.
func (f *finder) yaml(r *bufio.Reader) error {
	var (
		lines  = lineReader{r: r}
		inside = false // of entries
		seen   = false // entries
		chart  = ""    // the wanted one whose lines these are
		indent = -1
		entry  bytes.Buffer
	)
	for {
		line, err := lines.next(chart != "")
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		text := bytes.TrimRight(line.start, "\r\n")
		body := bytes.TrimLeft(text, " ")
		depth := len(text) - len(body)
		name := chart
		switch {
		case len(body) == 0 || body[0] == '#':
		case depth == 0 && !bytes.HasPrefix(body, []byte("- ")):
			inside, name = false, ""
			if rest, ok := strings.CutPrefix(string(body), "entries:"); ok {
				if seen {
					return errLayout
				}
				if seen, inside = true, true; !blockFollows(rest) {
					if inside = false; !isEmpty(rest) {
						return errLayout
					}
				}
			}
		case !inside:
		case indent >= 0 && depth < indent:
			return errLayout
		case indent < 0 || depth == indent && body[0] != '-':
			indent = depth
			var ok bool
			if name, ok = key(string(body)); !ok {
				return errLayout
			}
			if !f.take(name) {
				name = ""
			}
		}
		if name != chart {
			if err := f.decode(chart, entry.Bytes()); err != nil {
				return err
			}
			entry.Reset()
			chart = name
		}
		if chart != "" {
			entry.Write(line.start)
			entry.Write(line.rest)
			if entry.Len() > maxEntry {
				return fault.New(fault.Unprocessable, "too_large", "the index has more than %d MiB of chart %q", maxEntry>>20, clip(chart))
			}
		}
		if err != nil {
			break
		}
	}
	if !seen {
		return errLayout
	}
	return f.decode(chart, entry.Bytes())
}

func blockFollows(rest string) bool {
	rest = strings.TrimSpace(rest)
	return rest == "" || rest[0] == '#'
}

func isEmpty(rest string) bool {
	switch strings.TrimSpace(rest) {
	case "{}", "null", "~":
		return true
	}
	return false
}

// decode reads the lines of one chart.
func (f *finder) decode(chart string, lines []byte) error {
	if chart == "" {
		return nil
	}
	var parsed map[string][]*Version
	err := yaml.Unmarshal(lines, &parsed)
	var wrong *yaml.TypeError
	if err != nil && !errors.As(err, &wrong) { // entries of another shape are left out
		return err
	}
	f.add(chart, parsed[chart])
	return nil
}

// key reads "name:" at the beginning of a line.
func key(body string) (string, bool) {
	if body[0] == '"' || body[0] == '\'' {
		name, rest, ok := strings.Cut(body[1:], body[:1])
		return name, ok && strings.HasPrefix(rest, ":") && !strings.Contains(name, `\`)
	}
	name, rest, ok := strings.Cut(body, ":")
	return name, ok && name != "" && (rest == "" || rest[0] == ' ') && !strings.ContainsAny(name[:1], "[]{}?&*!|>%@`,")
}

// lineReader reads lines of any length and keeps only the beginning of those
// that nobody wants.
type lineReader struct {
	r *bufio.Reader
}

type line struct {
	start []byte // the line, or its first 64 KiB
	rest  []byte
}

func (l *lineReader) next(whole bool) (line, error) {
	start, err := l.r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line{start: start}, err
	}
	out := line{start: bytes.Clone(start)}
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = l.r.ReadSlice('\n')
		if whole {
			if len(out.rest)+len(more) > maxEntry {
				return out, errLayout
			}
			out.rest = append(out.rest, more...)
		}
	}
	return out, err
}
