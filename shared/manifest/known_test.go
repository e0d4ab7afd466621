package manifest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// found are secrets that are known by their form. Put together here, so that none is
// one that somebody's scanner reports.
var found = map[string]string{
	"a private key":             "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEcanaryCANARY+/=\nmore\n-----END " + "RSA PRIVATE KEY-----",
	"one that was cut":          "-----BEGIN " + "PRIVATE KEY-----\nMIIEcanaryCANARY+/=\nmore",
	"one of OpenSSH":            "-----BEGIN " + "OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjEcanary\\n-----END " + "OPENSSH PRIVATE KEY-----",
	"a service account's token": "eyJ" + "hbGciOiJSUzI1NiJ9." + "eyJ" + "pc3MiOiJrdWJlcm5ldGVzIn0" + ".canarycanarycanarycanary_-canary",
	"GitHub's":                  "ghp" + "_canary" + strings.Repeat("0aB", 12),
	"GitHub's, fine-grained":    "github" + "_pat_canary" + strings.Repeat("0aB", 20),
	"GitLab's":                  "glpat" + "-canary" + strings.Repeat("0aB", 6),
	"Slack's":                   "xoxb" + "-canary-0123456789",
	"Stripe's":                  "sk" + "_live_canary" + strings.Repeat("0aB", 6),
	"Google's":                  "AIza" + "canary" + strings.Repeat("0", 29),
	"npm's":                     "npm" + "_canary" + strings.Repeat("0", 30),
	"the hub's own":             "hwt" + "_canary" + strings.Repeat("0", 32),
}

var inURLs = map[string]string{
	"a database's URL": "postgres://app:canary-p4ss@db.shop:5432/app?sslmode=require",
	"a broker's":       "amqp://:canary@mq/%2f",
	"a repository's":   "https://user:canary%40x@git.example.org/a.git",
}

// A secret in a ConfigMap, the environment of a container, a status or a message leaves
// no cluster when it is known by its form; what is around it does.
func TestP13_SecretsThatAreKnownByTheirFormAreHidden(t *testing.T) {
	key := []byte("a key")
	all := map[string]string{}
	for name, secret := range found {
		all[name] = "user=app token=" + secret
		all[name+", with a quote behind"] = `{"token":"` + secret + `"}`
	}
	for name, url := range inURLs {
		all[name] = "at " + url + " now"
	}
	for name, text := range all {
		body := map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c", "annotations": map[string]any{"note": text}},
			"data":   map[string]any{"config": text},
			"spec":   map[string]any{"containers": []any{map[string]any{"env": []any{map[string]any{"name": "A", "value": text}}}}},
			"status": map[string]any{"secret": text, "list": []any{text, 1.0, nil, true}},
		}
		before, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(Redact(body, key))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "canary") || strings.Count(string(out), Known+":") != 5 {
			t.Errorf("%s: %s", name, out)
		}
		if after, _ := json.Marshal(body); string(after) != string(before) {
			t.Errorf("%s: the object itself was changed", name)
		}
		d := model.FieldDifference{Path: ".data.config", Desired: quoted(text), Live: quoted("before " + text)}
		if GuardDifference(model.ObjectKey{Kind: "ConfigMap", Name: "c"}, &d); strings.Contains(d.Desired+d.Live, "canary") || !strings.HasPrefix(d.Live, `"before `) {
			t.Errorf("%s: the difference is %+v", name, d)
		}
		if said := GuardText(model.ObjectKey{Kind: "Pod", Name: "p"}, "failed: "+text); strings.Contains(said, "canary") || !strings.HasPrefix(said, "failed: ") {
			t.Errorf("%s: a message says %s", name, said)
		}
		// What was hidden stays as it is when it is judged again, as the hub does.
		once := HideKnownIn(body, "x", text, key)
		if again := HideKnown(once.(string), unsaid); again != once {
			t.Errorf("%s: %q becomes %q", name, once, again)
		}
	}
	// A change shows; that two fields or objects hold the same does not.
	text := found["GitHub's"]
	tag := func(name, where, text string) string {
		got, _ := HideKnownIn(map[string]any{"metadata": map[string]any{"name": name}}, where, text, key).(string)
		return got
	}
	if one := tag("c", "a", text); one != tag("c", "a", text) || one == tag("c", "a", text+"x") || one == tag("c", "b", text) || one == tag("d", "a", text) {
		t.Error("masks tell more, or less, than that a value changed")
	}
	for _, text := range []string{
		"", "plain", "https://git.example.org/a.git", "http://host:8080/path@x", "registry.example.org:5000/app@sha256:0123", "git@example.org:a.git", "mailto:ann@example.org",
		"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----", "eyJhIjoxfQ", "ghp_short", "a boxox-b", "npm_config_registry", "https://user@git.example.org",
	} {
		if got := HideKnown(text, unsaid); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}
