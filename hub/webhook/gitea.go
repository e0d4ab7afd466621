package webhook

import "net/http"

// gitea is also Forgejo and Gogs. They send the digits alone under their own
// names, and GitHub's header beside it.
var gitea = &provider{
	name: "Gitea", key: "gitea", credential: "X-Gitea-Signature",
	sent: has("X-Forgejo-Event", "X-Gitea-Event", "X-Gogs-Event"),
	proven: func(h http.Header, body, secret []byte) bool {
		// The first that is there counts: one that is wrong is not saved by
		// another.
		for _, name := range []string{"X-Forgejo-Signature", "X-Gitea-Signature", "X-Gogs-Signature"} {
			if digits := h.Get(name); digits != "" {
				return signedHex(digits, body, secret)
			}
		}
		return signedHeader("X-Hub-Signature-256")(h, body, secret)
	},
	kind: func(h http.Header) kind {
		for _, name := range []string{"X-Forgejo-Event", "X-Gitea-Event", "X-Gogs-Event"} {
			if h.Get(name) != "" {
				return pushOrPing(name)(h)
			}
		}
		return push
	},
	read: readGitea,
}

// giteaCommits bounds what is taken of servers that do not say how many commits
// there are.
const giteaCommits = 1000

func readGitea(p *provider, payload object) (Event, error) {
	repo := payload.object("repository")
	if repo == nil {
		return Event{}, errPayload(p, `the payload has no object "repository"`)
	}
	total, ok := payload.number("total_commits")
	if !ok {
		total = -1
	}
	e := Event{Addresses: repo.texts(addressFields...), Refs: refOf(payload), Changed: changedIn(payload, total, giteaCommits)}
	if len(e.Addresses) == 0 {
		return Event{}, errPayload(p, "the payload's repository has no clone_url")
	}
	return e, nil
}
