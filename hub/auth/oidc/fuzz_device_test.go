package oidc

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
)

// What a provider answers to the beginning of a device login: people are sent to pages
// of https only and given a code of one line, and the login ends soon whatever it says.
func FuzzDeviceAnswer(f *testing.F) {
	for _, s := range []string{
		`{"device_code":"d","user_code":"ABCD-EFGH","verification_uri":"https://idp/device","verification_uri_complete":"https://idp/device?c=ABCD","expires_in":600,"interval":5}`,
		`{"device_code":"d","user_code":"A","verification_uri":"javascript:x","expires_in":600}`, `{"device_code":"d","user_code":"A\u001b[2J","verification_uri":"https://idp","expires_in":600}`,
		`{"device_code":"d","user_code":"A","verification_uri":"https://idp/` + strings.Repeat("\u202e", 200) + `","expires_in":1}`,
		`{"device_code":"d","user_code":"A","verification_uri":"https://idp","verification_uri_complete":"https://u:p@idp","expires_in":9223372036854775807,"interval":-9223372036854775808}`,
		`{"expires_in":1e400}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, ok := readDevice(body)
		if !ok {
			if d != (deviceAnswer{}) {
				t.Fatalf("%q is refused and told", body)
			}
			return
		}
		unseen := func(s string) bool { return strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) }
		for _, at := range []string{d.URI, d.Complete} {
			u, err := url.Parse(at)
			if at == "" && d.URI != "" {
				continue
			}
			if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || unseen(at) {
				t.Fatalf("%q sends people to %q", body, at)
			}
		}
		if d.DeviceCode == "" || d.UserCode == "" || unseen(d.UserCode) || len(d.UserCode) > maxText {
			t.Fatalf("%q has the codes %q, %q", body, d.DeviceCode, d.UserCode)
		}
		if i, l := d.interval(), d.life(); i < minInterval || i > maxInterval || l < time.Second || l > 2*loginTime {
			t.Fatalf("%q is asked about every %s for %s", body, i, l)
		}
	})
}

// What a provider answers to the question whether a login is confirmed: only a success
// says so, and only an error of the protocol ends it.
func FuzzPollAnswer(f *testing.F) {
	for _, s := range []string{`{"error":"authorization_pending"}`, `{"error":"slow_down"}`, `{"id_token":"x","access_token":"a"}`, `{"message":"internal error"}`, `{"error":{"code":1}}`, `null`, `[]`, `<html>`, ``} {
		f.Add(200, []byte(s))
		f.Add(500, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		got, err := readPoll(status, body)
		if err != nil && got != (pollAnswer{}) || err == nil && got.Error == "" && status != 200 {
			t.Fatalf("%d %q is taken as %+v, %v", status, body, got, err)
		}
	})
}
