package webhook

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Event is what a payload says. Nothing of it is believed.
type Event struct {
	// Addresses of the repository that was pushed to, as the server spells them.
	Addresses []string
	// Paths of the repository without a host, for servers that do not say their
	// own name: the end of an address, such as "key/slug".
	HostlessPaths []string
	// Refs that changed, in full (refs/heads/main).
	Refs []string
	// Changed are the files that changed, each once; nil when the payload does
	// not say, or not completely.
	Changed []string
	// Ignored says why the event is of no interest.
	Ignored string
}

const notPush = "only push events are of interest"

// errPayload says what is missing in a payload.
func errPayload(p *provider, what string) error {
	return fault.New(fault.Invalid, "payload_invalid", "%s; expected is the push event of %s", what, p.name)
}

// object is a JSON object of which only what is asked for is decoded. What has
// another type than expected, or is not there, is empty.
type object map[string]json.RawMessage

func asObject(raw json.RawMessage) object {
	var o object
	if json.Unmarshal(raw, &o) != nil {
		return nil
	}
	return o
}

func (o object) object(name string) object { return asObject(o[name]) }

func (o object) text(name string) string { return asText(o[name]) }

func asText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func (o object) list(name string) []json.RawMessage {
	var l []json.RawMessage
	if json.Unmarshal(o[name], &l) != nil {
		return nil
	}
	return l
}

func (o object) number(name string) (n int64, ok bool) {
	return n, o[name] != nil && json.Unmarshal(o[name], &n) == nil && string(o[name]) != "null"
}

func (o object) isTrue(name string) bool { return string(o[name]) == "true" }

// texts are the values of fields that are there.
func (o object) texts(names ...string) []string {
	var out []string
	for _, n := range names {
		if s := o.text(n); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// refOf a push of one ref, as GitHub, GitLab and Gitea send it.
func refOf(payload object) []string {
	if ref := payload.text("ref"); strings.HasPrefix(ref, "refs/") {
		return []string{ref}
	}
	return nil
}

// isZero is the commit "none": of a ref that is new, or gone.
func isZero(commit string) bool { return commit != "" && strings.Trim(commit, "0") == "" }

// changedIn collects the files of the commits of a push. It is nil when one does
// not say, and when the ref is new, gone or was moved elsewhere by force: then
// the commits are not all that makes the difference. total is how many commits
// there are, -1 when the payload does not say; longer pushes are cut off at
// limit.
func changedIn(payload object, total int64, limit int) []string {
	commits := payload.list("commits")
	if len(commits) == 0 || len(commits) >= limit || total > int64(len(commits)) ||
		isZero(payload.text("before")) || isZero(payload.text("after")) || payload.text("before") == "" ||
		payload.isTrue("created") || payload.isTrue("deleted") || payload.isTrue("forced") {
		return nil
	}
	out := []string{}
	for _, raw := range commits {
		commit := asObject(raw)
		for _, field := range []string{"added", "modified", "removed"} {
			var paths []string
			if commit[field] == nil || json.Unmarshal(commit[field], &paths) != nil {
				return nil
			}
			out = append(out, paths...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
