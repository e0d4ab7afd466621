package directory

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestGlobs(t *testing.T) {
	tests := []struct {
		pattern  string
		yes, not []string
	}{
		{"*.yaml", []string{"a.yaml", "sub/a.yaml", ".yaml"}, []string{"a.yml", "a.yaml.bak"}},
		{"**/*.yaml", []string{"sub/a.yaml", "a/b/c.yaml"}, []string{"a.yaml"}},
		{"a?.yaml", []string{"ab.yaml", "aé.yaml"}, []string{"a.yaml", "abc.yaml"}},
		{"{a,b}.yaml", []string{"a.yaml", "b.yaml"}, []string{"c.yaml", "{a,b}.yaml"}},
		{"{config.json,env-usw2/*}", []string{"config.json", "env-usw2/x.yaml"}, []string{"env-use1/x.yaml"}},
		{"{a{b,c},d*}", []string{"ab", "ac", "d", "dx"}, []string{"a", "b"}},
		{"[abc].yaml", []string{"a.yaml"}, []string{"d.yaml"}},
		{"[a-c]x", []string{"bx"}, []string{"dx", "-x"}},
		{"[!a-c]x", []string{"dx"}, []string{"ax"}},
		{"[a-]", []string{"a", "-"}, []string{"b"}},
		{"[-a]", []string{"a", "-"}, []string{"b"}},
		{`[\]]`, []string{"]"}, []string{`\`}},
		{"[[]", []string{"["}, []string{"a"}},
		{`a\*b`, []string{"a*b"}, []string{"axb"}},
		{"a.b+(c)$", []string{"a.b+(c)$"}, []string{"aXb+(c)$"}},
		{"a,b", []string{"a,b"}, []string{"a"}},
		{"", nil, []string{"a"}},
	}
	for _, tt := range tests {
		re, err := compileGlob(tt.pattern, "f")
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		for _, s := range tt.yes {
			if !re.MatchString(s) {
				t.Errorf("%q does not match %q", tt.pattern, s)
			}
		}
		for _, s := range tt.not {
			if re.MatchString(s) {
				t.Errorf("%q matches %q", tt.pattern, s)
			}
		}
	}
	for _, bad := range []string{"{a", "a}", "[a", "[]", "[!]", `a\`, `[\`, "[z-a]", strings.Repeat("{", 20), strings.Repeat("a", 5000), "\xff", "{a,b}}"} {
		if _, err := compileGlob(bad, "field"); !fault.HasCode(err, "expression_invalid") || fault.As(err).Field != "field" {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("{a,b[!c-d]}*?\\x", "abc")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if re, err := compileGlob(pattern, "f"); err == nil {
			re.MatchString(s)
		}
	})
}
