package importer

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"go.yaml.in/yaml/v3"
)

// manifestOf is the manifest of a ConfigMap of Argo CD.
func manifestOf(t *testing.T, name string, data map[string]string) string {
	t.Helper()
	b, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "argocd"}, "data": data})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t *testing.T, texts ...string) []Object {
	t.Helper()
	out, err := Parse("test", []byte(strings.Join(texts, "\n---\n")))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnRBACPolicyIsKeptAsItIsWritten(t *testing.T) {
	data := map[string]string{
		"policy.csv": "# ours\np, role:dev, applications, get, */*, allow\nnonsense\n", "policy.team.csv": "g, ann, role:dev", "policy.default": " role:readonly\n", "scopes": "[groups, email]",
		"policy.matchMode": "regex", "policy..csv": "", "poilcy.csv": "p, x",
	}
	objects := parse(t, manifestOf(t, "argocd-rbac-cm", data))
	plan := Translate(objects, hub)
	want := maps.Clone(data)
	delete(want, "poilcy.csv")
	delete(want, "policy..csv")
	delete(want, "scopes")
	if !maps.Equal(plan.RBAC, want) {
		t.Errorf("kept %q", plan.RBAC)
	}
	i := item(t, plan, "ConfigMap", "argocd-rbac-cm")
	if i.Becomes != "settings/rbac" || i.line(`data["policy.csv"][line 3]`).Outcome != Attention || i.line(`data["poilcy.csv"]`).Outcome != Attention || i.line("data.scopes").Outcome != Attention && i.line(`data["scopes"]`).Outcome != Attention {
		t.Errorf("%+v", i)
	}
	if p := plan.Policy; p.Default != "role:readonly" || p.MatchMode != "regex" || len(p.Lines) != 2 {
		t.Errorf("%+v", p)
	}

	// What the hub keeps stays.
	o := hub
	o.RBAC = map[string]string{"policy.default": "role:admin", "policy.matchMode": "regex"}
	plan = Translate(objects, o)
	if i := item(t, plan, "ConfigMap", "argocd-rbac-cm"); i.line(`data["policy.default"]`).Outcome != Attention {
		t.Errorf("%+v", i)
	}
	if _, there := plan.RBAC["policy.default"]; there || plan.RBAC["policy.matchMode"] == "" {
		t.Errorf("kept %q", plan.RBAC)
	}
	bad := Translate(parse(t, manifestOf(t, "argocd-rbac-cm", map[string]string{"policy.matchMode": "fuzzy"})), hub)
	if i := item(t, bad, "ConfigMap", "argocd-rbac-cm"); len(bad.RBAC) != 0 || !i.NeedsAttention() {
		t.Errorf("%+v %+v", bad.RBAC, i)
	}
}

// publicKey is a key as a ConfigMap of Argo CD has it.
func publicKey(t *testing.T) (id, armored string) {
	t.Helper()
	id, armored, _ = gpgKey(t)
	return id, armored
}

func gpgKey(t *testing.T) (id, public, secret string) {
	t.Helper()
	entity, err := openpgp.NewEntity("Ann", "", "ann@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, write func(*bytes.Buffer) error) string {
		var raw, out bytes.Buffer
		if err := write(&raw); err != nil {
			t.Fatal(err)
		}
		w, err := armor.Encode(&out, kind, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(raw.Bytes())
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	public = text(openpgp.PublicKeyType, func(b *bytes.Buffer) error { return entity.Serialize(b) })
	secret = text(openpgp.PrivateKeyType, func(b *bytes.Buffer) error { return entity.SerializePrivate(b, nil) })
	return entity.PrimaryKey.KeyIdString(), public, secret
}

func TestPublicKeysGoToTheHubAndSecretOnesDoNot(t *testing.T) {
	id, public, secret := gpgKey(t)
	plan := Translate(parse(t, manifestOf(t, "argocd-gpg-keys-cm", map[string]string{id: public, "SECRET": secret, "NONE": "no key"})), hub)
	if len(plan.GPGKeys) != 1 || plan.GPGKeys[0].ID != id || !strings.HasPrefix(plan.GPGKeys[0].Armored, "-----BEGIN PGP PUBLIC KEY") {
		t.Fatalf("%+v", plan.GPGKeys)
	}
	i := item(t, plan, "ConfigMap", "argocd-gpg-keys-cm")
	for key, want := range map[string]Outcome{id: Translated, "SECRET": Attention, "NONE": Attention} {
		if f := i.line(join("data", key)); f.Outcome != want || want == Attention && f.Fix == "" {
			t.Errorf("%s: %+v", key, f)
		}
	}
}

func TestTrustIsTakenWhereARepositoryUsesIt(t *testing.T) {
	const repos = `{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository}}, stringData: {url: "https://git.example.com:8443/a.git"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: b, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repo-creds}}, stringData: {url: "ssh://git@ssh.example.com:2222/b"}}`
	certificates := manifestOf(t, "argocd-tls-certs-cm", map[string]string{"git.example.com": "PEM", "idle.example.com": "PEM"})
	hosts := manifestOf(t, "argocd-ssh-known-hosts-cm", map[string]string{"ssh_known_hosts": "[ssh.example.com]:2222 ssh-ed25519 AAAA\ngithub.com ssh-ed25519 BBBB\n"})

	plan := Translate(parse(t, repos, certificates, hosts), hub)
	i := item(t, plan, "ConfigMap", "argocd-tls-certs-cm")
	if f := i.line(join("data", "git.example.com")); f.Outcome != Translated || !strings.Contains(f.To, "1 repositories") {
		t.Errorf("%+v", f)
	}
	if f := i.line(join("data", "idle.example.com")); f.Outcome != Attention || !strings.Contains(f.Fix, "--ca-file") {
		t.Errorf("%+v", f)
	}
	if plan.Repositories[0].CABundle != "PEM" || !strings.HasPrefix(plan.Templates[0].KnownHosts, "[ssh.example.com]") || strings.Contains(plan.Templates[0].KnownHosts, "github") {
		t.Errorf("%q %q", plan.Repositories[0].CABundle, plan.Templates[0].KnownHosts)
	}
	i = item(t, plan, "ConfigMap", "argocd-ssh-known-hosts-cm")
	if f := i.line("data.ssh_known_hosts"); f.Outcome != Translated || !strings.Contains(f.To, "1 hosts") {
		t.Errorf("%+v", f)
	}
	// Every Argo CD has the keys of the public forges.
	plan = Translate(parse(t, hosts), hub)
	i = item(t, plan, "ConfigMap", "argocd-ssh-known-hosts-cm")
	if f := i.line("data.ssh_known_hosts"); f.Outcome != Ignored || i.NeedsAttention() {
		t.Errorf("%+v", f)
	}
}

func TestScriptsThatDoNotCompileAreLeftOut(t *testing.T) {
	const health, actions, good = "resource.customizations.health.apps_Bad", "resource.customizations.actions.apps_Bad", "resource.customizations.health.apps_Good"
	plan := Translate(parse(t, manifestOf(t, "argocd-cm", map[string]string{
		health: "hs = {}\nif then\n", actions: "discovery.lua: return {}\ndefinitions: [{name: go, action.lua: 'return ('}]", good: "return {}",
	})), hub)
	if len(plan.Customizations) != 1 || plan.Customizations[good] == "" {
		t.Errorf("taken: %v", plan.Customizations)
	}
	i := item(t, plan, "ConfigMap", "argocd-cm")
	for key, want := range map[string]string{health: health + ": line 2: ", actions: actions + ": go: action.lua: "} {
		line := i.line(`data["` + key + `"]`)
		if line.Outcome != Attention || !strings.Contains(line.Why, want) || line.Fix == "" {
			t.Errorf("%s: %+v", key, line)
		}
	}
}
