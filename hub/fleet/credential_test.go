package fleet

import (
	"bytes"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

// full has something in every field; texts hold the word CANARY where they are
// secret.
func full(t *testing.T) Credential {
	t.Helper()
	var c Credential
	secret := map[string]bool{"Password": true, "BearerToken": true, "SSHKey": true, "ClientKey": true, "GitHubAppPrivateKey": true}
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("set-" + name)
			if secret[name] {
				f.SetString("CANARY-" + name)
			}
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int64:
			f.SetInt(7)
		default:
			t.Fatalf("a field of kind %s", f.Kind())
		}
	}
	c.Proxy = "http://user:CANARY-proxy@proxy.example:3128"
	return c
}

func TestCredentialsShowNoSecret(t *testing.T) {
	c := full(t)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "credential", c, "pointer", &c)
	info := c.Info()
	for _, s := range []string{fmt.Sprint(c), fmt.Sprint(&c), fmt.Sprintf("%+v %#v", c, c), fmt.Sprintf("%+v %#v", info, info), log.String()} {
		if strings.Contains(s, "CANARY") {
			t.Errorf("a secret is in %s", s)
		}
	}
	if got := strings.Join(info.Kinds, " "); got != "password bearerToken sshKey knownHosts caBundle clientCertificate githubApp proxy" {
		t.Errorf("kinds %s", got)
	}
	if got := strings.Join(info.Insecure, " "); got != "insecureIgnoreHostKey insecureSkipVerify insecurePlainHTTP" {
		t.Errorf("insecure %s", got)
	}
	if info.Proxy != "http://***@proxy.example:3128" || info.Username != "set-Username" {
		t.Errorf("got %+v", info)
	}
	// A user name alone may be a token.
	if info := (&Credential{Username: "CANARY"}).Info(); info.Username != "" || len(info.Kinds) != 1 || info.Kinds[0] != "username" {
		t.Errorf("got %+v", info)
	}
}

func TestRedaction(t *testing.T) {
	c := full(t)
	c.Password = "p@ss word"
	for in, want := range map[string]string{
		"the server says: bad CANARY-BearerToken":         "the server says: bad ***",
		"GET /x?user=u&p=" + "p%40ss+word":                "GET /x?user=u&p=***",
		"fetch https://u:other@h/x failed":                "fetch https://***@h/x failed",
		"fetch https://token@h/x: 401":                    "fetch https://***@h/x: 401",
		"fetch https://u:a@b@h/x":                         "fetch https://***@h/x",
		"u:pw@h/x is no URL":                              "***@h/x is no URL",
		"ssh://git@h/x and git@h:x":                       "ssh://git@h/x and git@h:x",
		"ssh://git:pw@h/x":                                "ssh://***@h/x",
		"https://h/x?access_token=abc&y=1":                "https://h/x?access_token=***&y=1",
		"image nginx:1.0@sha256:abc":                      "image nginx:1.0@sha256:abc",
		"https://h/a and mail me@example.com, a@b":        "https://h/a and mail me@example.com, a@b",
		`Get "https://h/?X-Amz-Signature=abc": timed out`: `Get "https://h/?X-Amz-Signature=***": timed out`,
	} {
		if got := c.Redact(in); got != want {
			t.Errorf("%s:\n%s, want\n%s", in, got, want)
		}
	}
	if got := (*Credential)(nil).Redact("https://u:p@h"); got != "https://***@h" {
		t.Error(got)
	}
}

func TestInheritance(t *testing.T) {
	template := &Credential{Username: "bot", Password: "p", CABundle: "template's CA", KnownHosts: "template's hosts", Proxy: "http://t", NoProxy: "n", InsecureSkipVerify: true}
	for _, c := range []struct {
		name           string
		own, template  *Credential
		want           Credential
		wantNone, same bool
	}{
		{name: "neither", wantNone: true},
		{name: "no template", own: &Credential{EnableLFS: true}, want: Credential{EnableLFS: true}},
		{name: "only the template", template: template, want: *template},
		{name: "its own says who calls", own: &Credential{Password: "mine"}, template: template, want: Credential{Password: "mine"}},
		{name: "its own is a client certificate", own: &Credential{ClientCert: "c", ClientKey: "k"}, template: template, want: Credential{ClientCert: "c", ClientKey: "k"}},
		{name: "its own says how to connect", own: &Credential{Type: Helm, Name: "charts", CABundle: "mine", Proxy: "http://mine", EnableLFS: true}, template: template,
			want: Credential{Type: Helm, Name: "charts", Username: "bot", Password: "p", CABundle: "mine", KnownHosts: "template's hosts", Proxy: "http://mine", InsecureSkipVerify: true, EnableLFS: true}},
	} {
		got := c.own.Inherit(c.template)
		if got == nil != c.wantNone || got != nil && *got != c.want {
			t.Errorf("%s: %#v", c.name, got)
		}
	}
	if template.CABundle != "template's CA" {
		t.Error("the template was changed")
	}
}
