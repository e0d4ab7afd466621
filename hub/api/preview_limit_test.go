package api

import (
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// One token keeps so many renders busy and no more; others are not held up by it.
func TestPreviewsOfATokenAreBounded(t *testing.T) {
	w, p := previewWorld(t)
	p.rendering, p.rendered = make(chan struct{}), make(chan struct{})
	other := w.as(false, fleet.Grant{Project: "*", Role: "viewer"})
	const path = "/api/v1/applications/web/manifests?revision=v2"
	var wg sync.WaitGroup
	ask := func(token string) {
		wg.Go(func() { w.call("GET", path, "", "Authorization: Bearer "+token).ok(200) })
		<-p.rendering
	}
	for range previewsAtOnce {
		ask(w.token)
	}
	refused := w.call("GET", path, "")
	if refused.problem(429, "preview_limit"); refused.header.Get("Retry-After") == "" {
		t.Error("nobody is told when to ask again")
	}
	w.call("POST", "/api/v1/applications/web/compare?revision=v2", "").problem(429, "preview_limit")
	ask(other)
	for range previewsAtOnce + 1 {
		p.rendered <- struct{}{}
	}
	wg.Wait()
	ask(w.token) // there is room again
	p.rendered <- struct{}{}
	wg.Wait()
}
