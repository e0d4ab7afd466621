package upgrade

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/wire"
)

// The hub first, then the agents, as docs/operate.md says; and one agent that was
// ahead of its hub.
func TestUpgrade(t *testing.T) {
	w := start(t)
	spoken := fmt.Sprintf("protocol=%d", negotiated(t))

	laggard := w.enrol("laggard", w.before)
	laggard.upgraded(previousVersion())
	pioneer := w.enrol("pioneer", w.now)
	ours := w.version(pioneer)

	// A newer agent with an older hub.
	w.logged(pioneer.Log(), "session open", "hub_version="+previousVersion(), spoken)
	laggard.works("old-hub")
	pioneer.works("old-hub")

	// The hub on its own database, under both.
	w.untouched("the upgrade of the hub", func() {
		w.hubOf(w.now)
		laggard.upgraded(previousVersion())
		pioneer.upgraded(ours)
	})
	w.logged(w.Hub.LogPath(), "session open", "agent_version="+previousVersion(), spoken)
	laggard.works("new-hub")
	pioneer.works("new-hub")

	// The agent, from its own journal.
	w.untouched("the upgrade of an agent", func() {
		laggard.Stop()
		laggard.Bin = w.now
		w.check(laggard.Start("laggard-upgraded.log"))
		laggard.upgraded(ours)
	})
	laggard.works("all-new")

	// Of all that agents wrote, nothing was a deletion until Git asked for one.
	w.writes()
	for _, e := range w.written {
		if strings.HasPrefix(e.Verb, "delete") {
			t.Errorf("an agent deleted: %s", e)
		}
	}
	laggard.commit("without-the-banner", false)
	laggard.settled()
	if _, kept := laggard.objects()["ConfigMap banner"]; kept {
		t.Error("what is gone from Git is not pruned")
	}
}

// negotiated is the newest revision of the protocol that both releases speak. There
// has to be one: the hub is upgraded before its agents.
func negotiated(t *testing.T) uint32 {
	t.Helper()
	root, err := testbed.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), "git", "-C", root, "show", commit()+":shared/wire/wire.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	revision := func(name string) uint32 {
		m := regexp.MustCompile(name + `\s+uint32 = (\d+)`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("the previous release has no %s", name)
		}
		n, err := strconv.ParseUint(string(m[1]), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(n)
	}
	least, most := revision("ProtocolMin"), revision("ProtocolMax")
	if most < wire.ProtocolMin || least > wire.ProtocolMax {
		t.Fatalf("the previous release speaks %d to %d of the protocol, this one %d to %d", least, most, wire.ProtocolMin, wire.ProtocolMax)
	}
	return min(most, wire.ProtocolMax)
}
