package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// gitLab sends the secret itself in X-Gitlab-Token, or, where the webhook has a
// signing token, a signature of the Standard Webhooks kind.
var gitLab = &provider{
	name: "GitLab", key: "gitlab", credential: "X-Gitlab-Token",
	sent:   has("X-Gitlab-Event"),
	proven: provenGitLab,
	kind: func(h http.Header) kind {
		switch h.Get("X-Gitlab-Event") {
		case "Push Hook", "Tag Push Hook", "System Hook":
			return push
		}
		return other
	},
	read: readGitLab,
}

func provenGitLab(h http.Header, body, secret []byte) bool {
	token := h.Get("X-Gitlab-Token")
	ok := token != "" && same([]byte(token), secret)
	key := secret
	if encoded, isKey := strings.CutPrefix(string(secret), "whsec_"); isKey {
		if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil && len(decoded) > 0 {
			key = decoded
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("Webhook-Id") + "." + h.Get("Webhook-Timestamp") + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	// There may be several, while a token is replaced.
	for _, one := range strings.Fields(h.Get("Webhook-Signature")) {
		encoded, isV1 := strings.CutPrefix(one, "v1,")
		got, err := base64.StdEncoding.DecodeString(encoded)
		ok = isV1 && err == nil && hmac.Equal(got, want) || ok
	}
	return ok
}

// gitLabCommits is how many commits a push event has at most.
const gitLabCommits = 20

func readGitLab(p *provider, payload object) (Event, error) {
	// Of a system hook only the body says what happened.
	switch name := payload.text("event_name"); name {
	case "", "push", "tag_push", "repository_update":
	default:
		return Event{Ignored: notPush}, nil
	}
	project, repo := payload.object("project"), payload.object("repository")
	if project == nil && repo == nil {
		return Event{}, errPayload(p, `the payload has no object "project"`)
	}
	fields := []string{"git_http_url", "git_ssh_url", "http_url", "ssh_url", "url", "web_url", "homepage"}
	e := Event{Addresses: append(project.texts(fields...), repo.texts(fields...)...), Refs: refOf(payload)}
	if len(e.Addresses) == 0 {
		return Event{}, errPayload(p, "the payload's project has no git_http_url")
	}
	for _, raw := range payload.list("changes") {
		if ref := asObject(raw).text("ref"); strings.HasPrefix(ref, "refs/") {
			e.Refs = append(e.Refs, ref)
		}
	}
	if total, ok := payload.number("total_commits_count"); ok {
		e.Changed = changedIn(payload, total, gitLabCommits+1)
	}
	return e, nil
}
