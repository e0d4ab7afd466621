package webhook

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// addressFields are where GitHub's push format, and those of servers that
// imitate it, name the repository.
var addressFields = []string{"clone_url", "ssh_url", "git_url", "html_url", "url", "svn_url", "git_http_url", "git_ssh_url"}

func errPayload(what string) error {
	return fault.New(fault.Invalid, "payload_invalid", "%s; expected is GitHub's push event", what)
}

func formValue(body, name string) (string, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return "", errPayload("the form cannot be read")
	}
	text := values.Get(name)
	if text == "" {
		return "", errPayload("the form has no field \"payload\"")
	}
	return text, nil
}

// repositories are the addresses of the pushed repository in a payload. Values
// of unexpected types are passed over.
func repositories(payload []byte) ([]string, error) {
	var event map[string]json.RawMessage
	if err := json.Unmarshal(payload, &event); err != nil || event == nil {
		return nil, errPayload("the payload is not a JSON object")
	}
	var repo map[string]json.RawMessage
	if err := json.Unmarshal(event["repository"], &repo); err != nil || repo == nil {
		return nil, errPayload("the payload has no object \"repository\"")
	}
	var out []string
	for _, field := range addressFields {
		var s string
		if raw, ok := repo[field]; ok && json.Unmarshal(raw, &s) == nil && s != "" {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, errPayload("the payload's repository has no clone_url")
	}
	return out, nil
}

// match returns the known repositories that one of the addresses names.
func match(addresses, known []string) []string {
	names := map[string]bool{}
	for _, a := range addresses {
		if n := canonical(a); n != "" {
			names[n] = true
		}
	}
	var out []string
	for _, k := range known {
		if n := canonical(k); n != "" && names[n] {
			out = append(out, k)
		}
	}
	return out
}

var scpLike = regexp.MustCompile(`^(?:[^@/\s]+@)?([^:/\s]+):([^/].*|/.*)$`)

// canonical is equal for all addresses of one repository: without scheme, user,
// port and ".git", in lower case. Two repositories that differ only in those
// are looked at both, which does no harm.
func canonical(address string) string {
	address = strings.TrimSpace(address)
	var host, path string
	switch scheme, _, ok := strings.Cut(address, "://"); {
	case ok && scheme == "file":
		path = strings.TrimPrefix(address, "file://")
	case ok:
		u, err := url.Parse(address)
		if err != nil {
			return ""
		}
		host, path = u.Hostname(), u.Path
	default:
		m := scpLike.FindStringSubmatch(address)
		if m == nil {
			return ""
		}
		host, path = m[1], m[2]
	}
	path = strings.Trim(path, "/")
	path = strings.TrimSuffix(path, ".git")
	if path == "" {
		return ""
	}
	return strings.ToLower(host + "/" + path)
}
