package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const contexts = `current: one
contexts:
- {name: one, url: "https://one.example:8443", caHash: "sha256:aa", token: hwt_one}
- {name: two, url: "https://two.example:8443", caHash: "sha256:bb", token: hwt_two}
`

func TestHubOfTheEnvironmentAndOfContexts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(contexts), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HAWSER_CONFIG", path)
	for _, c := range []struct {
		name, context      string
		hub, caHash, token string
		want               string // URL, CA hash, token
	}{
		{name: "the current context", want: "https://one.example:8443 sha256:aa hwt_one"},
		{name: "a context by name", context: "two", want: "https://two.example:8443 sha256:bb hwt_two"},
		{name: "another token", token: "hwt_x", want: "https://one.example:8443 sha256:aa hwt_x"},
		{name: "the same hub by address", hub: "one.example:8443", want: "https://one.example:8443 sha256:aa hwt_one"},
		{name: "another hub gets no token of this one", hub: "evil.example", want: "https://evil.example  "},
		{name: "nor its pin", hub: "https://evil.example", token: "hwt_x", want: "https://evil.example  hwt_x"},
		{name: "all from the environment", hub: "new.example", caHash: "sha256:cc", token: "hwt_x", want: "https://new.example sha256:cc hwt_x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("HAWSER_HUB", c.hub)
			t.Setenv("HAWSER_CA_HASH", c.caHash)
			t.Setenv("HAWSER_TOKEN", c.token)
			s := &session{context: c.context}
			hub, err := s.hub()
			if got := hub.URL + " " + hub.CAHash + " " + hub.Token; err != nil || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestATimeoutSaysWhatIsNotKnown(t *testing.T) {
	var out bytes.Buffer
	s := &session{Streams: Streams{Err: &out}}
	if code := s.report(context.Background(), context.DeadlineExceeded); code != ExitTimeout {
		t.Errorf("exit status %d", code)
	}
	if !strings.Contains(out.String(), "may have been accepted") {
		t.Errorf("said %q", out.String())
	}
}
