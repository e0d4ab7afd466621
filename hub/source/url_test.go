package source

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://github.com/x/y":             "https://github.com/x/y",
		"https://GitHub.com:443/x/y.git":     "https://github.com/x/y.git",
		"http://git.corp:8080/x":             "http://git.corp:8080/x",
		"ssh://git@github.com/x/y.git":       "ssh://git@github.com/x/y.git",
		"ssh://git@host:2222/x":              "ssh://git@host:2222/x",
		"ssh://host:22/x":                    "ssh://host/x",
		"git@GitHub.com:x/y.git":             "git@github.com:x/y.git",
		"git@github.com:/x/y.git":            "ssh://git@github.com/x/y.git",
		"https://[2001:db8::1]:8443/x":       "https://[2001:db8::1]:8443/x",
		"https://dev.azure.com/o/p/_git/r":   "https://dev.azure.com/o/p/_git/r",
		"https://host/with%20space/and~more": "https://host/with%20space/and~more",
		"HTTPS://host/x":                     "https://host/x",
	} {
		u, err := ParseURL(raw, false)
		if err != nil || u.String() != want {
			t.Errorf("%s: %s %v", raw, u, err)
		}
	}
	if u, err := ParseURL("file:///srv/git/x", true); err != nil || u.Path != "/srv/git/x" {
		t.Errorf("file: %v %v", u, err)
	}
	for raw, want := range map[string]struct{ code, text string }{
		"":                                     {"repo_url_invalid", "is empty"},
		"github.com/x/y":                       {"repo_url_invalid", "has no scheme; did you mean https://github.com/x/y ?"},
		"/srv/git/x":                           {"repo_url_invalid", "is a path"},
		"../x":                                 {"repo_url_invalid", "is a path"},
		"-oProxyCommand=id":                    {"repo_url_invalid", "may not start with"},
		"ssh://-oProxyCommand=id/x":            {"repo_url_invalid", "host may not start with \"-\""},
		"ssh://-l@host/x":                      {"repo_url_invalid", "user may not start with"},
		"-x@host:y":                            {"repo_url_invalid", "may not start with"},
		"git@-host:y":                          {"repo_url_invalid", "host may not start with"},
		"git@host:-oX":                         {"repo_url_invalid", "the path of a repository may not start"},
		"ssh://host/-x":                        {"repo_url_invalid", "the path of a repository may not start"},
		"https://evil.example%0ahost=x.com/y":  {"repo_url_invalid", ""},
		"https://evil.example/%0ahost=x.com":   {"repo_url_invalid", "escaped control character"},
		"https://evil.example\nhost=x.com/y":   {"repo_url_invalid", "control character"},
		"https://host/x\x00":                   {"repo_url_invalid", "control character"},
		"https://host/x\u0085":                 {"repo_url_invalid", "control character"},
		"https://host /x":                      {"repo_url_invalid", "space"},
		"https://host\\@other/x":               {"repo_url_invalid", "backslash"},
		"https:///x":                           {"repo_url_invalid", "no host"},
		"https://host":                         {"repo_url_invalid", "no repository"},
		"https://host/":                        {"repo_url_invalid", "no repository"},
		"https://host/x?a=b":                   {"repo_url_invalid", "\"?\""},
		"https://host/x#a":                     {"repo_url_invalid", "\"#\""},
		"https://host:port/x":                  {"repo_url_invalid", "cannot be read"},
		"https://exa$mple.com/x":               {"repo_url_invalid", "not a host name"},
		"https://" + strings.Repeat("x", 2100): {"repo_url_invalid", "2048"},
		"file:///etc":                          {"repo_scheme_forbidden", "scheme \"file\" is not allowed; allowed: https, ssh, http (without credentials)"},
		"ext::sh -c id":                        {"repo_scheme_forbidden", "scheme \"ext\""},
		"ext::sh":                              {"repo_scheme_forbidden", "scheme \"ext\""},
		"git://host/x":                         {"repo_scheme_forbidden", "scheme \"git\""},
		"oci://host/x":                         {"repo_scheme_forbidden", "scheme \"oci\""},
		"javascript://host/x":                  {"repo_scheme_forbidden", "javascript"},
		"https://user:CANARY@host/x":           {"repo_url_has_credentials", "https://***@host/x"},
		"https://CANARY@host/x":                {"repo_url_has_credentials", "https://***@host/x"},
		"ssh://git:CANARY@host/x":              {"repo_url_has_credentials", "ssh://***@host/x"},
		"ftp://user:CANARY@host/x":             {"repo_scheme_forbidden", ""},
		"user:CANARY@host/x":                   {"repo_url_invalid", ""},
	} {
		u, err := ParseURL(raw, false)
		e := fault.As(err)
		if err == nil || e.Code != want.code || e.Kind != fault.Invalid || !strings.Contains(e.Message, want.text) {
			t.Errorf("%q: %v %v", raw, u, err)
			continue
		}
		if strings.Contains(e.Message+e.Found+e.Fix, "CANARY") || len(e.Message) > 300 {
			t.Errorf("%q: message %q found %q fix %q", raw, e.Message, e.Found, e.Fix)
		}
	}
	for _, raw := range []string{"file://host/x", "file://x"} {
		if _, err := ParseURL(raw, true); !fault.HasCode(err, "repo_url_invalid") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestIdentity(t *testing.T) {
	same := []string{"https://Host.example/x/y", "https://host.example:443/x/y/", "https://host.example/x/y//"}
	var first string
	for i, raw := range same {
		u, err := ParseURL(raw, false)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = u.Identity()
		} else if u.Identity() != first {
			t.Errorf("%s has identity %s, not %s", raw, u.Identity(), first)
		}
	}
}

func TestMask(t *testing.T) {
	for raw, want := range map[string]string{
		"https://u:p@h/x": "https://***@h/x", "https://h/x": "https://h/x", "git@h:x": "git@h:x", "u:p@h/x": "***@h/x", "https://u@h": "https://***@h",
		"https://u:a@b@h/x": "https://***@h/x", "https://u:a/b@h/x": "https://***@h/x", "https://h/x?token=t": "https://h/x?***", "ssh://git@h/x": "ssh://git@h/x",
	} {
		if got := Mask(raw); got != want {
			t.Errorf("%s: %s", raw, got)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for addr, blocked := range map[string]bool{
		"169.254.169.254": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true, "0.0.0.0": true, "::": true, "224.0.0.1": true,
		"255.255.255.255": true, "ff02::1": true, "fd00:ec2::254": true,
		"64:ff9b::a9fe:a9fe": true, "2002:a9fe:a9fe::1": true, "::a9fe:a9fe": true, "64:ff9b::0808:0808": false, "2002:808:808::1": false,
		"127.0.0.1": false, "10.0.0.1": false, "140.82.112.3": false, "2001:db8::1": false, "::1": false,
	} {
		err := checkAddress("h", netip.MustParseAddr(addr), DefaultBlocked())
		if (err != nil) != blocked || (blocked && !fault.HasCode(err, "address_blocked")) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for host, want := range map[string]bool{"git.example.com": true, "GIT.example.com": true, "example.com": false, "git.example.com.evil": false} {
		if got := hostAllowed(host, []string{"*.example.com", "["}); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}

// TestA24_UserinfoInAURLIsRefusedAndNeverRepeated: whatever is wrong with a URL, what
// it carries before the @ is not in the error, nor in the fix.
func TestA24_UserinfoInAURLIsRefusedAndNeverRepeated(t *testing.T) {
	for _, raw := range []string{
		"https://u:CANARY@host/x", "https://CANARY@host/x", "HTTPS://u:CANARY@host/x", "http://u:CANARY@host/x", "ssh://git:CANARY@host/x",
		"https://u:CANARY@host", "https://u:CANARY@/x", "https://u:CANARY@host/x?a=b", "https://u:CANARY@host:99999999/x", "https://u:CANARY@-host/x",
		"https://u:CANARY@2130706433/x", "ftp://u:CANARY@host/x", "oci://u:CANARY@host/x", "file://u:CANARY@host/x", "u:CANARY@host/x",
		"https://u:CANARY@host/%zz", "https://u:CANARY%zz@host/x", "https://u:CAN/ARY@host/x", "//u:CANARY@host/x", "/u:CANARY@host/x", "//CANARY@host/x",
	} {
		u, err := ParseURL(raw, true)
		if err == nil {
			t.Errorf("%q is taken as %v", raw, u)
			continue
		}
		e := fault.As(err)
		if e.Kind != fault.Invalid || strings.Contains(fmt.Sprintf("%+v %s %s", *e, e.Error(), e.Fix), "CANARY") {
			t.Errorf("%q: %+v", raw, e)
		}
	}
}
