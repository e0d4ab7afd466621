package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestSelection(t *testing.T) {
	web := model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	api := model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "api"}
	other := model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "other", Name: "web"}
	settings := model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
	role := model.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:shop:reader"}
	ns := model.ObjectKey{Kind: "Namespace", Name: "shop"}
	names := map[model.ObjectKey]string{web: "web", api: "api", other: "other", settings: "settings", role: "role", ns: "ns"}
	all := []model.ObjectKey{web, api, other, settings, role, ns}
	for _, c := range []struct {
		name    string
		entries []string
		want    string
	}{
		{"nothing said is everything", nil, "web api other settings role ns"},
		{"an empty list is everything", []string{}, "web api other settings role ns"},
		{"one object", []string{"apps:Deployment:shop/web"}, "web"},
		{"a name in any namespace", []string{"apps:Deployment:web"}, "web other"},
		{"an empty namespace is any", []string{"apps:Deployment:/web"}, "web other"},
		{"the core group is empty", []string{":ConfigMap:settings"}, "settings"},
		{"the core group is not any group", []string{":*:*"}, "settings ns"},
		{"several are joined", []string{"apps:Deployment:shop/web", ":ConfigMap:shop/settings"}, "web settings"},
		{"twice the same", []string{":Namespace:shop", ":Namespace:shop"}, "ns"},
		{"any group", []string{"*:Deployment:*"}, "web api other"},
		{"any kind", []string{"apps:*:shop/*"}, "web api"},
		{"everything", []string{"*:*:*"}, "web api other settings role ns"},
		{"any namespace matches none as well", []string{"*:*:*/*"}, "web api other settings role ns"},
		{"part of a group", []string{"rbac.*:*:*"}, "role"},
		{"part of a kind", []string{"*:Config*:*"}, "settings"},
		{"part of a namespace", []string{"*:*:ot*/*"}, "other"},
		{"part of a name", []string{"*:*:w*b"}, "web other"},
		{"a star is not a prefix", []string{"*:*:we*x"}, ""},
		{"one character", []string{"*:*:w?b"}, "web other"},
		{"alternatives", []string{"apps:Deployment:shop/{web,api}"}, "web api"},
		{"colons in the name", []string{"rbac.authorization.k8s.io:ClusterRole:system:shop:reader"}, "role"},
		{"colons and globs in the name", []string{"*:ClusterRole:system:*"}, "role"},
		{"kinds are case-sensitive", []string{"apps:deployment:web"}, ""},
		{"a literal does not match a part", []string{"apps:Deployment:we"}, ""},
		{"only what is left out", []string{"!apps:Deployment:shop/web"}, "api other settings role ns"},
		{"only what is left out, by glob", []string{"!apps:*:*", "!:Namespace:*"}, "settings role"},
		{"leaving out beats", []string{"apps:*:*", "!apps:Deployment:shop/*"}, "other"},
		{"leaving out beats whatever the order", []string{"!apps:Deployment:shop/*", "apps:*:*"}, "other"},
		{"an exact one beats a glob", []string{"*:*:*", "!:Namespace:shop"}, "web api other settings role"},
		{"a glob beats an exact one", []string{"apps:Deployment:shop/web", "!*:*:*"}, ""},
		{"blanks around", []string{"  apps:Deployment:shop/web\n"}, "web"},
		{"escaped", []string{`\*:*:*`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ParseSelection(c.entries)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range all {
				if s.Matches(k) {
					got = append(got, names[k])
				}
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("selects %q, want %q", g, c.want)
			}
		})
	}
}

func TestSelectionSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ entry, says string }{
		{"", "it is empty"},
		{"!", "it is empty"},
		{"   ", "it is empty"},
		{"web", "1 of the 3 parts"},
		{"apps:web", "2 of the 3 parts; write group:kind:name"},
		{"ConfigMap:settings", "write :ConfigMap:settings for a kind of the core group"},
		{"apps::web", `the kind is missing; write "*"`},
		{"apps:Deployment:", `the name is missing; write "*"`},
		{"apps:Deployment:shop/", "the name is missing"},
		{"apps:Deployment:a/b/c", "more than one \"/\""},
		{"apps:Deployment:[web", "the name cannot be used"},
		{"{apps:Deployment:web", "the group cannot be used"},
		{"apps:Depl[]:web", "the kind cannot be used"},
		{"apps:Deployment:sh}op/web", "the namespace cannot be used"},
		{strings.Repeat("x", 2000), "2000 characters"},
	} {
		s, err := ParseSelection([]string{"apps:Deployment:ok", c.entry})
		f := fault.As(err)
		if s != nil || f == nil || f.Kind != fault.Invalid || f.Code != "selection_invalid" || f.Field != "resources[1]" || !strings.Contains(f.Message, c.says) {
			t.Errorf("%q: %v", c.entry, err)
			continue
		}
		if n := len([]rune(f.Message)); n > 300 {
			t.Errorf("%q: a message of %d characters", c.entry, n)
		}
		if f.Allowed == "" {
			t.Errorf("%q: the error does not say how it is written", c.entry)
		}
	}
	if _, err := ParseSelection(make([]string, maxSelected+1)); !fault.HasCode(err, "selection_invalid") {
		t.Errorf("too many: %v", err)
	}
}

func TestFormatKeySelectsThatObject(t *testing.T) {
	keys := []model.ObjectKey{
		{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"},
		{Kind: "ConfigMap", Namespace: "shop", Name: "web"},
		{Kind: "Namespace", Name: "shop"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:*"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:all"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: `a?[b]{c,d}\e`},
	}
	for _, k := range keys {
		s, err := ParseSelection([]string{FormatKey(k)})
		if err != nil {
			t.Fatalf("%s: %v", FormatKey(k), err)
		}
		for _, o := range keys {
			if s.Matches(o) != (o == k) {
				t.Errorf("%s: matches %s: %v", FormatKey(k), FormatKey(o), s.Matches(o))
			}
		}
	}
}

// Thousands of named objects, as a program or a user interface sends them, must
// not cost their product.
func TestLargeSelection(t *testing.T) {
	var entries []string
	for i := range maxSelected {
		entries = append(entries, fmt.Sprintf("apps:Deployment:shop/web-%d", i))
	}
	s, err := ParseSelection(entries)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.include) > 0 || len(s.exactIn) != maxSelected {
		t.Errorf("%d globs and %d exact entries", len(s.include), len(s.exactIn))
	}
	for i := range maxSelected {
		if k := (model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: fmt.Sprintf("web-%d", i)}); !s.Matches(k) {
			t.Fatalf("%v is not selected", k)
		}
	}
}

// No text makes the parser panic; what it accepts keeps its meaning when the
// sign before it is taken away or added.
func FuzzSelection(f *testing.F) {
	for _, s := range []string{"apps:Deployment:shop/web", "!*:*:*", ":ConfigMap:a", "a:b:c:d", `a:b:\*`, "[:x:]", "{a,b}:c:d/e", "", "!"} {
		f.Add(s, "apps", "Deployment", "shop", "web")
	}
	f.Fuzz(func(t *testing.T, entry, group, kind, namespace, name string) {
		k := model.ObjectKey{Group: group, Kind: kind, Namespace: namespace, Name: name}
		s, err := ParseSelection([]string{entry})
		if err != nil {
			if f := fault.As(err); f.Kind != fault.Invalid || f.Field != "resources[0]" {
				t.Errorf("%q: %v", entry, err)
			}
			return
		}
		trimmed := strings.TrimSpace(entry)
		opposite, isOut := strings.CutPrefix(trimmed, "!")
		if !isOut {
			opposite = "!" + trimmed
		}
		o, err := ParseSelection([]string{opposite})
		if err != nil {
			if strings.HasPrefix(opposite, "!") && isOut {
				return // "!!x" names a group that begins with "!"
			}
			t.Fatalf("%q is accepted and %q is not: %v", entry, opposite, err)
		}
		if isOut && strings.HasPrefix(opposite, "!") {
			return
		}
		if s.Matches(k) == o.Matches(k) {
			t.Errorf("%q and %q both say %v about %v", entry, opposite, s.Matches(k), k)
		}
	})
}
