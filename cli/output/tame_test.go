package output

import "testing"

func TestS08_TextsThatSteerATerminalAreShown(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":                 "plain text",
		"":                           "",
		"a\tb":                       "a\tb",
		"äöü 日本 🚢":                   "äöü 日本 🚢",
		"\x1b[31mred\x1b[0m":         "\x1b[31mred\x1b[0m\x1b[0m",
		"\x1b[1;38;5;196mx":          "\x1b[1;38;5;196mx\x1b[0m",
		"\x1b[38:2::1:2:3mx":         "\x1b[38:2::1:2:3mx\x1b[0m",
		"\x1b[mx":                    "\x1b[mx\x1b[0m",
		"windows\r":                  "windows",
		"50%\r100%":                  "50%\uFFFD100%",
		"\x1b[2Jclear":               "\uFFFD[2Jclear",
		"\x1b[10;10Hmove":            "\uFFFD[10;10Hmove",
		"\x1b]0;title\x07":           "\uFFFD]0;title\uFFFD",
		"\x1b]52;c;ZXZpbA==\x07":     "\uFFFD]52;c;ZXZpbA==\uFFFD",
		"\x1b[6nwhere":               "\uFFFD[6nwhere",
		"\x1bP+q544e\x1b\\":          "\uFFFDP+q544e\uFFFD\\",
		"\u009b31mc1":                "\uFFFD31mc1",
		"\x1b[":                      "\uFFFD[",
		"\x1b":                       "\uFFFD",
		"bell\a nul\x00":             "bell\uFFFD nul\uFFFD",
		"\u202eright to left":        "\uFFFDright to left",
		"bad \xff bytes":             "bad \uFFFD bytes",
		"\x1b[31\x1b[2J":             "\uFFFD[31\uFFFD[2J",
		"\x1b[" + thirtyDigits + "m": "\uFFFD[" + thirtyDigits + "m",
	} {
		if got := Tame(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

const thirtyDigits = "0000000000000000000000000000000000000000"
