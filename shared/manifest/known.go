package manifest

import (
	"regexp"
	"strconv"
	"strings"
)

// Some secrets are known by their form, wherever they are: in a ConfigMap, in the
// environment of a container, in the status of a custom resource, in a message. What
// has no form of its own, as most passwords, is not found.

// Known stands for what was found, as text.
const Known = "redacted:heuristic"

// form is how secrets of a kind look. Only texts with one of its signs are searched.
type form struct {
	signs []string
	// re finds them; with a group only that is the secret.
	re *regexp.Regexp
}

var forms = []form{
	// Private keys in PEM, also cut ones, and with line ends that are written out.
	{[]string{"PRIVATE KEY-----"}, regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=\s\\:,;-]*?-----END [A-Z0-9 ]*PRIVATE KEY-----|[A-Za-z0-9+/=\s\\:,;-]*)`)},
	// Signed JWTs: tokens of service accounts and of identity providers.
	{[]string{"eyJ"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}`)},
	// Passwords in URLs of databases, brokers, repositories.
	{[]string{"://"}, regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"'?#]*:([^\s/@"']+)@[^\s@]`)},
	{[]string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36,}`)},
	{[]string{"github_pat_"}, regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9_]{50,}`)},
	{[]string{"glpat-"}, regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{20,}`)},
	{[]string{"xox"}, regexp.MustCompile(`\bxox[abeoprs]-[A-Za-z0-9-]{10,}`)},
	{[]string{"sk_live_", "rk_live_"}, regexp.MustCompile(`\b[sr]k_live_[A-Za-z0-9]{20,}`)},
	{[]string{"AIza"}, regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{35}`)},
	{[]string{"npm_"}, regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36,}`)},
	// The hub's own: tokens, sessions, login codes, tokens of roles.
	{[]string{"hwt_", "hws_", "hwl_", "hwr_"}, regexp.MustCompile(`\bhw[tslr]_[A-Za-z0-9]{38}\b`)},
}

// HideKnown is text without the secrets in it that are known by their form, each
// replaced by what stand says of it.
func HideKnown(text string, stand func(secret string) string) string {
	if len(text) < 8 {
		return text
	}
	for i := range forms {
		f := &forms[i]
		for _, sign := range f.signs {
			if strings.Contains(text, sign) {
				text = f.hide(text, stand)
				break
			}
		}
	}
	return text
}

func (f *form) hide(text string, stand func(string) string) string {
	var out strings.Builder
	rest := 0
	for _, at := range f.re.FindAllStringSubmatchIndex(text, -1) {
		at = at[len(at)-2:]
		if secret := text[at[0]:at[1]]; !strings.HasPrefix(secret, Known) {
			out.WriteString(text[rest:at[0]])
			out.WriteString(stand(secret))
			rest = at[1]
		}
	}
	if rest == 0 {
		return text
	}
	out.WriteString(text[rest:])
	return out.String()
}

// unsaid stands for a secret in a text for people.
func unsaid(string) string { return Known }

// HideKnownIn is a copy of v, a field of an object, without the secrets in its texts
// that are known by their form. A change of one shows, as that of a value of a Secret
// does (see Tag); where is the field, so that nobody sees that two hold the same.
func HideKnownIn(object map[string]any, where string, v any, key []byte) any {
	return hideKnownIn(object, where, deepCopy(v), key)
}

// hideKnownIn is HideKnownIn that modifies v, but for a text.
func hideKnownIn(object map[string]any, where string, v any, key []byte) any {
	switch v := v.(type) {
	case string:
		return HideKnown(v, func(secret string) string {
			tag, _ := Tag(object, where, secret, key).(string) // of a text it is one
			return Known + strings.TrimPrefix(tag, "redacted")
		})
	case map[string]any:
		for k, item := range v {
			if hidden := hideKnownIn(object, where+"."+k, item, key); changes(item) {
				v[k] = hidden
			}
		}
	case []any:
		for i, item := range v {
			if hidden := hideKnownIn(object, where+"["+strconv.Itoa(i)+"]", item, key); changes(item) {
				v[i] = hidden
			}
		}
	}
	return v
}

// changes reports whether something is replaced as a whole.
func changes(v any) bool { _, ok := v.(string); return ok }
