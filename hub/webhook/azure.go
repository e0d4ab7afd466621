package webhook

import (
	"bytes"
	"net/http"
	"strings"
)

// azure is Azure DevOps, as a service and on a server of one's own. It does not
// sign; service hooks send basic authentication. The secret is the password, or
// user:password.
var azure = &provider{
	name: "Azure DevOps", key: "azure-devops", credential: "Authorization",
	sent: func(h http.Header) bool {
		return has("X-Vss-Activityid", "X-Vss-Subscriptionid")(h) || strings.HasPrefix(strings.ToLower(h.Get("Authorization")), "basic ")
	},
	proven: func(h http.Header, _, secret []byte) bool {
		user, password, ok := (&http.Request{Header: h}).BasicAuth()
		whole := bytes.Contains(secret, []byte(":")) && same([]byte(user+":"+password), secret)
		alone := password != "" && same([]byte(password), secret)
		return ok && (whole || alone)
	},
	// Only the body says what happened.
	kind: func(http.Header) kind { return push },
	read: readAzure,
}

// readAzure: the payload never says which files changed.
func readAzure(p *provider, payload object) (Event, error) {
	switch payload.text("eventType") {
	case "git.push":
	case "":
		return Event{}, errPayload(p, `the payload has no "eventType"`)
	default:
		return Event{Ignored: notPush}, nil
	}
	resource := payload.object("resource")
	repo := resource.object("repository")
	if repo == nil {
		return Event{}, errPayload(p, `the payload has no object "resource.repository"`)
	}
	e := Event{Addresses: repo.texts("remoteUrl", "sshUrl", "webUrl")}
	if len(e.Addresses) == 0 {
		return Event{}, errPayload(p, "the payload's repository has no remoteUrl")
	}
	for _, raw := range resource.list("refUpdates") {
		if ref := asObject(raw).text("name"); strings.HasPrefix(ref, "refs/") {
			e.Refs = append(e.Refs, ref)
		}
	}
	return e, nil
}
