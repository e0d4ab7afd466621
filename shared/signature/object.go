package signature

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
)

// object is a commit or tag with what its signature is of.
type object struct {
	payload   []byte
	signature []byte // armored; nil for none
	parents   []string
	target    string // of a tag
	author    string
	message   []byte
}

var (
	errHeaders   = errors.New("its headers are not those that Git writes")
	errSignature = errors.New("it has more than one signature")
)

// readCommit reads a commit as Git stores it. An error means that it is written
// such that programs may read it differently: Git itself writes the headers tree,
// parent, author and committer in this order and once each, but for parents.
func readCommit(content []byte) (object, error) {
	var o object
	header, message, found := bytes.Cut(content, []byte("\n\n"))
	if !found {
		if header, found = bytes.CutSuffix(content, []byte("\n")); !found {
			return o, errHeaders
		}
	}
	if bytes.IndexByte(content, 0) >= 0 || bytes.IndexByte(header, '\r') >= 0 {
		return o, errHeaders
	}
	o.message = message
	const (
		wantTree = iota
		wantParents
		wantCommitter
		wantOthers
	)
	stage := wantTree
	inSignature, mayContinue := false, false
	seen := map[string]bool{}
	for _, line := range bytes.SplitAfter(content[:len(header)+1], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		text := bytes.TrimSuffix(line, []byte("\n"))
		if len(text) == 0 {
			return o, errHeaders
		}
		if text[0] == ' ' {
			switch {
			case inSignature:
				o.signature = append(append(o.signature, text[1:]...), '\n')
			case mayContinue:
				o.payload = append(o.payload, line...)
			default:
				return o, errHeaders
			}
			continue
		}
		inSignature, mayContinue = false, false
		key, value, ok := strings.Cut(string(text), " ")
		if !ok || key == "" {
			return o, errHeaders
		}
		switch {
		case stage == wantTree && key == "tree" && isID(value):
			stage = wantParents
		case stage == wantParents && key == "parent" && isID(value):
			o.parents = append(o.parents, value)
		case stage == wantParents && key == "author":
			o.author = clean(value[:max(0, strings.LastIndexByte(value, '>')+1)])
			stage = wantCommitter
		case stage == wantCommitter && key == "committer":
			stage = wantOthers
		case stage != wantOthers, key == "tree", key == "parent", key == "author", key == "committer", key == "object", key == "type", key == "tag", key == "tagger":
			return o, errHeaders
		case key == "gpgsig":
			if o.signature != nil {
				return o, errSignature
			}
			o.signature = append([]byte(value), '\n')
			inSignature = true
			continue
		case strings.HasPrefix(strings.ToLower(key), "gpgsig"):
			return o, errSignature // of another algorithm: Git would take it out as well
		case key == "mergetag":
			mayContinue = true
		case seen[key] && key == "encoding":
			return o, errHeaders
		default:
			mayContinue = true
		}
		seen[key] = true
		o.payload = append(o.payload, line...)
	}
	if stage != wantOthers {
		return o, errHeaders
	}
	o.payload = append(o.payload, content[min(len(header)+1, len(content)):]...)
	return o, nil
}

// signatureStarts are the first lines of signatures that Git makes.
var signatureStarts = []string{"-----BEGIN PGP SIGNATURE-----", "-----BEGIN PGP MESSAGE-----", "-----BEGIN SSH SIGNATURE-----", "-----BEGIN SIGNED MESSAGE-----"}

// readTag reads an annotated tag. Its signature is the end of its message.
func readTag(content []byte) (object, error) {
	var o object
	header, message, found := bytes.Cut(content, []byte("\n\n"))
	if !found || bytes.IndexByte(content, 0) >= 0 || bytes.IndexByte(header, '\r') >= 0 {
		return o, errHeaders
	}
	order := []string{"object", "type", "tag", "tagger"}
	for i, line := range strings.Split(string(header), "\n") {
		key, value, ok := strings.Cut(line, " ")
		if !ok || i >= len(order) || key != order[i] {
			return o, errHeaders
		}
		switch key {
		case "object":
			if !isID(value) {
				return o, errHeaders
			}
			o.target = value
		case "tagger":
			o.author = clean(value[:max(0, strings.LastIndexByte(value, '>')+1)])
		}
	}
	at, starts, offset := -1, 0, len(content)-len(message)
	for line := range bytes.Lines(message) {
		for _, start := range signatureStarts {
			if bytes.HasPrefix(line, []byte(start)) {
				at = offset
				starts++
			}
		}
		offset += len(line)
	}
	if starts > 1 {
		return o, errSignature
	}
	o.payload, o.message = content, message
	if at >= 0 {
		o.payload, o.signature = content[:at], content[at:]
	}
	return o, nil
}

func isID(text string) bool {
	_, err := hex.DecodeString(text)
	return len(text) == 40 && err == nil && text == strings.ToLower(text)
}

// SealTrailer is the trailer of a commit that vouches for what is before it, as in
// Argo CD.
const SealTrailer = "Argocd-gpg-seal"

// seals reports whether a commit's message ends with trailers, of which one is
// SealTrailer with a reason. Trailers are the last paragraph, if all of its lines
// are "Name: value" or go on from the line before, and it is not the first one.
func seals(message []byte) bool {
	text := strings.TrimRight(strings.ReplaceAll(string(message), "\r\n", "\n"), "\n \t")
	at := strings.LastIndex(text, "\n\n")
	if at < 0 {
		return false
	}
	sealed := false
	for i, line := range strings.Split(text[at+2:], "\n") {
		if i > 0 && line != "" && (line[0] == ' ' || line[0] == '\t') {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimRight(name, " \t"); !ok || name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
		sealed = sealed || strings.EqualFold(name, SealTrailer) && strings.TrimSpace(value) != ""
	}
	return sealed
}
