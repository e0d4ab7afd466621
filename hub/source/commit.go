package source

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Commits and tags are read here and not by go-git, whose reader needs time in
// the square of a signature's length.

// maxTags bounds tags of tags of a commit.
const maxTags = 100

var errNotCommit = errors.New("not a commit")

func errMalformed(id string, err error) error {
	return fault.Wrap(err, fault.Unprocessable, "commit_malformed", "commit %s cannot be read: it is malformed", short(id))
}

// commit reads what users see of a commit. id may be that of an annotated tag.
func (s *objectStore) commit(id string) (*workerv1.GitCommit, error) {
	for range maxTags {
		o, err := s.object(plumbing.AnyObject, id)
		if err != nil {
			return nil, err
		}
		if o.Type() != plumbing.TagObject && o.Type() != plumbing.CommitObject {
			return nil, errNotCommit
		}
		content, err := contentOf(o)
		if err != nil {
			return nil, err
		}
		if o.Type() == plumbing.CommitObject {
			c, err := parseCommit(content)
			if err != nil {
				return nil, errMalformed(id, err)
			}
			c.Id = id
			return c, nil
		}
		target, ok := headerID(content, "object")
		if !ok {
			return nil, errMalformed(id, errors.New("a tag of nothing"))
		}
		id = target
	}
	return nil, errNotCommit
}

// parseCommit reads a commit; its first header has to be its tree.
func parseCommit(content []byte) (*workerv1.GitCommit, error) {
	out := &workerv1.GitCommit{}
	var ok bool
	if out.Tree, ok = headerID(content, "tree"); !ok {
		return nil, errors.New("its first line is no tree")
	}
	header, message, _ := bytes.Cut(content, []byte("\n\n"))
	for line := range bytes.Lines(header) {
		key, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		switch string(key) {
		case "author":
			if name, _, _ := bytes.Cut(value, []byte("<")); out.Author == "" {
				out.Author = clip(oneLine(name), 100)
			}
		case "committer":
			if out.CommittedUnix == 0 {
				out.CommittedUnix = writtenAt(value)
			}
		}
	}
	subject, _, _ := bytes.Cut(message, []byte("\n"))
	out.Subject = clip(oneLine(subject), 200)
	return out, nil
}

// headerID is the object that the first line of an object names.
func headerID(content []byte, key string) (string, bool) {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	value, ok := bytes.CutPrefix(line, []byte(key+" "))
	if !ok || len(value) != 40 {
		return "", false
	}
	raw, err := hex.DecodeString(string(value))
	return hex.EncodeToString(raw), err == nil
}

// lastSecond of the year 9999, the last that has a text.
const lastSecond = 253402300799

// writtenAt reads the time of a signature "NAME <MAIL> SECONDS ZONE", 0 when it
// has none.
func writtenAt(signature []byte) int64 {
	rest := signature[bytes.LastIndexByte(signature, '>')+1:]
	seconds, _, _ := strings.Cut(strings.TrimSpace(string(rest)), " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n < 0 || n > lastSecond {
		return 0
	}
	return n
}

// oneLine is text that a repository has, without what moves a cursor.
func oneLine(text []byte) string {
	return strings.TrimSpace(printableLine(strings.ToValidUTF8(string(text[:min(len(text), 1000)]), "\ufffd")))
}
