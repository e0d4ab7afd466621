package app

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/vault"
)

// keysProgram is hawser-hub keys, with a database and a key.
type keysProgram struct {
	t         *testing.T
	path, dsn string
	env       []string
}

// run returns what a command says on standard output and on standard error.
func (k keysProgram) run(args ...string) (string, string, error) {
	k.t.Helper()
	cmd := exec.CommandContext(k.t.Context(), k.path, append(append([]string{"keys"}, args...), "--data", k.t.TempDir(), "--database-url", k.dsn)...)
	cmd.Env = append(os.Environ(), k.env...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	return out.String(), said.String(), err
}

func (k keysProgram) must(args ...string) string {
	k.t.Helper()
	out, said, err := k.run(args...)
	if err != nil {
		k.t.Fatalf("hawser-hub keys %s: %v\n%s%s", strings.Join(args, " "), err, out, said)
	}
	return out
}

func (k keysProgram) status() (s fleet.KeyStatus) {
	k.t.Helper()
	if err := json.Unmarshal([]byte(k.must("status", "-o", "json")), &s); err != nil {
		k.t.Fatal(err)
	}
	return s
}

// The program rotates and retires the key under two hubs that run: each of them learns
// the new version by itself before anything is sealed with it.
func TestKeysAreRotatedByTheProgramUnderTwoHubs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hawser-hub")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../cmd/hawser-hub").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dsn := dbtest.Postgres(t)
	k := keysProgram{t, path, dsn, []string{"HAWSER_VAULT_KEY_FILE=", vault.EnvKey + "=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, vault.KeySize))}}
	hubs := [2]hubProcess{startHubOf(t, dsn), startHubOf(t, dsn)}

	before := k.status()
	if len(before.Keys) != 1 || before.Keys[0].State != fleet.KeySealing || before.Keys[0].Count() == 0 {
		t.Fatalf("before: %+v", before)
	}
	old := before.Keys[0].Version
	_, said, err := k.run("rotate", "-o", "json")
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if !strings.Contains(said, "waiting for") {
		t.Errorf("nobody was waited for: %s", said)
	}
	after := k.status()
	live, versions := 0, map[string]fleet.VaultKey{}
	for _, v := range after.Keys {
		versions[v.Version] = v
	}
	var sealing string
	for v, key := range versions {
		if key.State == fleet.KeySealing {
			sealing = v
		}
	}
	if sealing == "" || sealing == old || versions[old].Count() != 0 || versions[sealing].Count() < before.Keys[0].Count() {
		t.Errorf("after: %+v", after)
	}
	for _, r := range after.Readers {
		if r.Live {
			live++
			if !strings.Contains(strings.Join(r.Versions, " "), sealing) {
				t.Errorf("hub %s has versions %v and not %s", r.Instance, r.Versions, sealing)
			}
		}
	}
	if live != len(hubs) {
		t.Errorf("%d hubs are known: %+v", live, after.Readers)
	}
	if out := k.must("status"); !strings.Contains(out, "VERSION") || !strings.Contains(out, sealing) {
		t.Errorf("status: %s", out)
	}
	k.must("retire")
	for _, v := range k.status().Keys {
		if v.Version == old && (v.State != fleet.KeyRetired || v.KeptUnder != "") {
			t.Errorf("the old version is kept: %+v", v)
		}
	}
	// The hubs serve on.
	for _, h := range hubs {
		resp, err := h.client.Get("https://" + h.addr + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.Body.Close(); resp.StatusCode != 200 {
			t.Errorf("readyz: %d", resp.StatusCode)
		}
	}
	// Another key than the hubs' opens nothing.
	k.env[1] = vault.EnvKey + "=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{8}, vault.KeySize))
	if out, said, err := k.run("status"); err == nil {
		t.Errorf("a stranger's key is taken: %s%s", out, said)
	}
}
