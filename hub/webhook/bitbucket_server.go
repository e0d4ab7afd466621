package webhook

import "strings"

// bitbucketServer is Bitbucket Data Center, too.
var bitbucketServer = &provider{
	name: "Bitbucket Data Center", key: "bitbucket-server", credential: "X-Hub-Signature",
	sent:   has("X-Event-Key"),
	proven: signedHeader("X-Hub-Signature"),
	kind:   bitbucketKind("repo:refs_changed", "mirror:repo_synchronized"),
	read:   readBitbucketServer,
}

// readBitbucketServer: the payload never says which files changed, and older
// versions do not say the server's name.
func readBitbucketServer(p *provider, payload object) (Event, error) {
	if payload.isTrue("test") && payload["repository"] == nil {
		return Event{Ignored: "this is a test of the connection"}, nil
	}
	repo := payload.object("repository")
	if repo == nil {
		return Event{}, errPayload(p, `the payload has no object "repository"`)
	}
	var e Event
	links := repo.object("links")
	for _, name := range []string{"clone", "self"} {
		for _, raw := range links.list(name) {
			e.Addresses = append(e.Addresses, asObject(raw).texts("href")...)
		}
	}
	slug, key := repo.text("slug"), repo.object("project").text("key")
	if len(e.Addresses) == 0 && slug != "" && key != "" && !strings.ContainsRune(slug+key, '/') {
		e.HostlessPaths = []string{strings.ToLower(key + "/" + slug)}
	}
	if len(e.Addresses)+len(e.HostlessPaths) == 0 {
		return Event{}, errPayload(p, "the payload's repository has neither links nor a project's key and a slug")
	}
	changes := payload.list("changes")
	if changes == nil {
		changes = payload.list("refUpdates")
	}
	for _, raw := range changes {
		change := asObject(raw)
		ref := change.object("ref").text("id")
		if ref == "" {
			ref = change.text("refId")
		}
		if strings.HasPrefix(ref, "refs/") {
			e.Refs = append(e.Refs, ref)
		}
	}
	return e, nil
}
