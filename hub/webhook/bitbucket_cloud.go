package webhook

import (
	"net/http"
	"strings"
)

// bitbucketCloud signs with X-Hub-Signature, which is SHA-256 here.
var bitbucketCloud = &provider{
	name: "Bitbucket Cloud", key: "bitbucket-cloud", credential: "X-Hub-Signature",
	sent:   func(h http.Header) bool { return h.Get("X-Event-Key") != "" && h.Get("X-Hook-UUID") != "" },
	proven: signedHeader("X-Hub-Signature"),
	kind:   bitbucketKind("repo:push"),
	read:   readBitbucketCloud,
}

func bitbucketKind(pushes ...string) func(http.Header) kind {
	return func(h http.Header) kind {
		key := h.Get("X-Event-Key")
		for _, p := range pushes {
			if key == p {
				return push
			}
		}
		if key == "diagnostics:ping" {
			return ping
		}
		return other
	}
}

// readBitbucketCloud: the payload never says which files changed.
func readBitbucketCloud(p *provider, payload object) (Event, error) {
	repo := payload.object("repository")
	if repo == nil {
		return Event{}, errPayload(p, `the payload has no object "repository"`)
	}
	var e Event
	links := repo.object("links")
	for _, name := range []string{"html", "self"} {
		e.Addresses = append(e.Addresses, links.object(name).texts("href")...)
	}
	for _, raw := range links.list("clone") {
		e.Addresses = append(e.Addresses, asObject(raw).texts("href")...)
	}
	if name := repo.text("full_name"); strings.Count(name, "/") == 1 {
		e.Addresses = append(e.Addresses, "https://bitbucket.org/"+name)
	}
	if len(e.Addresses) == 0 {
		return Event{}, errPayload(p, "the payload's repository has no links and no full_name")
	}
	for _, raw := range payload.object("push").list("changes") {
		change := asObject(raw)
		for _, side := range []object{change.object("new"), change.object("old")} {
			prefix := map[string]string{"branch": "refs/heads/", "named_branch": "refs/heads/", "tag": "refs/tags/", "annotated_tag": "refs/tags/"}[side.text("type")]
			if name := side.text("name"); name != "" && prefix != "" {
				e.Refs = append(e.Refs, prefix+name)
				break
			}
		}
	}
	return e, nil
}
