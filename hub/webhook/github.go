package webhook

import "net/http"

// gitHub signs with X-Hub-Signature-256. The older X-Hub-Signature, with SHA-1,
// is not looked at.
var gitHub = &provider{
	name: "GitHub", key: "github", credential: "X-Hub-Signature-256",
	sent:   has("X-GitHub-Event"),
	proven: signedHeader("X-Hub-Signature-256"),
	kind:   pushOrPing("X-GitHub-Event"),
	read:   readGitHub,
}

// addressFields are where GitHub's push format, and those of servers that
// imitate it, name the repository.
var addressFields = []string{"clone_url", "ssh_url", "git_url", "html_url", "url", "svn_url", "git_http_url", "git_ssh_url"}

// gitHubCommits is how many commits a push event has at most.
const gitHubCommits = 2048

func readGitHub(p *provider, payload object) (Event, error) {
	repo := payload.object("repository")
	if repo == nil {
		return Event{}, errPayload(p, `the payload has no object "repository"`)
	}
	e := Event{Addresses: repo.texts(addressFields...), Refs: refOf(payload), Changed: changedIn(payload, -1, gitHubCommits)}
	if len(e.Addresses) == 0 {
		return Event{}, errPayload(p, "the payload's repository has no clone_url")
	}
	return e, nil
}

// pushOrPing reads the event from a header; without it, it is a push.
func pushOrPing(header string) func(http.Header) kind {
	return func(h http.Header) kind {
		switch h.Get(header) {
		case "", "push":
			return push
		case "ping":
			return ping
		}
		return other
	}
}
