package policy

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

const inCluster = model.InClusterServer

func TestSources(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []string
		repo  string
		want  bool
	}{
		{"none", nil, "https://github.com/argoproj/test.git", false},
		{"star", []string{"*"}, "https://github.com/argoproj/test.git", true},
		{"equal", []string{"https://github.com/argoproj/test.git"}, "https://github.com/argoproj/test.git", true},
		{"without .git", []string{"https://github.com/argoproj/test"}, "https://github.com/argoproj/test.git", true},
		{"case of the host", []string{"ssh://git@GITHUB.com:argoproj/test"}, "ssh://git@github.com:argoproj/test", true},
		{"scp form", []string{"ssh://git@github.com/argoproj/*"}, "git@github.com:argoproj/test.git", true},
		{"glob", []string{"https://github.com/argoproj/*"}, "https://github.com/argoproj/argoproj.git", true},
		{"second rule", []string{"https://github.com/a/x.git", "https://github.com/b/x.git"}, "https://github.com/b/x.git", true},
		{"other", []string{"https://github.com/argoproj/test1.git"}, "https://github.com/argoproj/test2.git", false},
		{"prefix is not enough", []string{"https://github.com/argoproj/foo"}, "https://github.com/argoproj/foo1", false},
		{"other owner", []string{"https://github.com/argoproj/*.git"}, "https://github.com/argoproj1/test2.git", false},
		{"star stops at slash", []string{"https://gitlab.com/group/*"}, "https://gitlab.com/group/repo/owner", false},
		{"two stars", []string{"https://gitlab.com/group/*/*"}, "https://gitlab.com/group/repo/owner", true},
		{"double star", []string{"https://gitlab.com/group/**"}, "https://gitlab.com/group/sub/repo/owner", true},
		{"denied", []string{"!https://github.com/argoproj/test.git"}, "https://github.com/argoproj/test.git", false},
		{"denied before star", []string{"!https://github.com/argoproj/*", "*"}, "https://github.com/argoproj/x", false},
		{"denied after star", []string{"*", "!https://github.com/argoproj/*"}, "https://github.com/argoproj/x", false},
		{"denied, scp form", []string{"*", "!ssh://git@GITHUB.com:argoproj/test"}, "git@github.com:argoproj/test", false},
		{"denied beats equal", []string{"https://h/a/b", "!https://h/a/*"}, "https://h/a/b", false},
		{"a denial allows the others", []string{"!https://h/secret"}, "https://h/open", true},
		{"other denied", []string{"!https://github.com/argoproj/*.git", "*"}, "https://github.com/argoproj1/x.git", true},
		{"invalid glob", []string{"https://h/[a"}, "https://h/[a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Project{Name: "p", Spec: model.AppProjectSpec{SourceRepos: c.rules, Destinations: anywhere}}
			d := CheckApplication(p, AppFacts{SourceRepos: []string{c.repo}, Destination: Destination{Name: "c", Namespace: "n"}})
			if d.Allowed != c.want {
				t.Fatalf("got %+v", d)
			}
			if !c.want {
				onlyRefusal(t, d, CodeRepository)
			}
		})
	}
}

var anywhere = []model.ProjectDestination{{Server: "*", Namespace: "*"}}

func onlyRefusal(t *testing.T, d Decision, code string) Refusal {
	t.Helper()
	if d.Allowed || len(d.Refusals) != 1 || d.Refused != 1 || d.Refusals[0].Code != code {
		t.Fatalf("want one refusal %s, got %+v", code, d)
	}
	r := d.Refusals[0]
	if r.Message == "" || r.Fix == "" || len(r.Message) > 300 {
		t.Errorf("refusal without message or fix, or too long: %+v", r)
	}
	return r
}

func TestEverySourceIsChecked(t *testing.T) {
	p := Project{Name: "shop", Spec: model.AppProjectSpec{SourceRepos: []string{"https://github.com/shop/*"}, Destinations: anywhere}}
	d := CheckApplication(p, AppFacts{
		SourceRepos: []string{"https://github.com/shop/a", "https://evil/x", "https://evil/y"},
		Destination: Destination{Name: "c", Namespace: "n"},
	})
	if d.Allowed || d.Refused != 2 || d.Refusals[0].Field != "spec.sources[1].repoURL" || d.Refusals[1].Field != "spec.sources[2].repoURL" {
		t.Errorf("got %+v", d)
	}
}

func TestDestinations(t *testing.T) {
	type rules = []model.ProjectDestination
	server := func(s, ns string) Destination { return Destination{Server: s, Namespace: ns} }
	named := func(n, ns string) Destination { return Destination{Name: n, Namespace: ns} }
	aliased := func(n, ns string, aliases ...string) Destination {
		return Destination{Name: n, Namespace: ns, Aliases: aliases}
	}
	for _, c := range []struct {
		name  string
		rules rules
		dest  Destination
		want  bool
	}{
		{"no rule", nil, named("c", "n"), false},
		{"server and namespace", rules{{Server: inCluster, Namespace: "default"}}, server(inCluster, "default"), true},
		{"other namespace", rules{{Server: inCluster, Namespace: "default"}}, server(inCluster, "kube-system"), false},
		{"other server", rules{{Server: "https://my", Namespace: "default"}}, server(inCluster, "default"), false},
		{"any namespace", rules{{Server: inCluster, Namespace: "*"}}, server(inCluster, "kube-system"), true},
		{"server glob", rules{{Server: "https://*.default.svc", Namespace: "default"}}, server(inCluster, "default"), true},
		{"server glob crosses slashes", rules{{Server: "https://*", Namespace: "*"}}, server("https://h/k8s/clusters/c1", "n"), true},
		{"namespace glob", rules{{Server: inCluster, Namespace: "test-*"}}, server(inCluster, "test-foo"), true},
		{"namespace glob needs all", rules{{Server: inCluster, Namespace: "test-*"}}, server(inCluster, "test"), false},
		{"everything", rules{{Server: "*", Namespace: "*"}}, server(inCluster, "x"), true},
		{"everything, cluster without server", rules{{Server: "*", Namespace: "*"}}, named("edge", "x"), true},
		{"name", rules{{Name: "test", Namespace: "*"}}, named("test", "x"), true},
		{"other name", rules{{Name: "test2", Namespace: "*"}}, named("test", "x"), false},
		{"name glob", rules{{Name: "eu-*", Namespace: "shop-*"}}, named("eu-1", "shop-a"), true},
		{"empty server is no rule", rules{{Namespace: "*"}}, named("c", "x"), false},
		{"in-cluster server means the aliased cluster", rules{{Server: inCluster, Namespace: "*"}}, aliased("hub-local", "n", inCluster), true},
		{"in-cluster server does not mean another", rules{{Server: inCluster, Namespace: "*"}}, aliased("eu", "n", "https://eu:6443"), false},
		{"name rule, destination written by server", rules{{Name: "eu", Namespace: "*"}}, Destination{Server: "https://eu:6443", Name: "eu", Namespace: "n"}, true},
		{"second alias", rules{{Server: "https://b", Namespace: "*"}}, aliased("eu", "n", "https://a", "https://b"), true},
		{"name or server", rules{{Name: "other", Server: "https://a", Namespace: "*"}}, aliased("eu", "n", "https://a"), true},

		{"denied server", rules{{Server: "!" + inCluster, Namespace: "default"}}, server(inCluster, "default"), false},
		{"denied server, other", rules{{Server: "!https://my", Namespace: "default"}}, server(inCluster, "default"), true},
		{"denied server glob", rules{{Server: "!https://*.default.svc", Namespace: "*"}}, server(inCluster, "n"), false},
		{"denied server does not concern a cluster without one", rules{{Server: "!https://a", Namespace: "*"}}, named("edge", "n"), true},
		{"denied namespace", rules{{Server: inCluster, Namespace: "!default"}}, server(inCluster, "default"), false},
		{"denied namespace, other", rules{{Server: inCluster, Namespace: "!default"}}, server(inCluster, "x"), true},
		{"denied namespace glob", rules{{Server: inCluster, Namespace: "!test-*"}}, server(inCluster, "test-foo"), false},
		{"denied name", rules{{Name: "!test", Namespace: "*"}}, named("test", "x"), false},
		{"denied name, other", rules{{Name: "!test2", Namespace: "*"}}, named("test", "x"), true},
		{"allow then deny namespace", rules{{Server: "*", Namespace: "*"}, {Server: "*", Namespace: "!kube-system"}}, server(inCluster, "kube-system"), false},
		{"deny then allow namespace", rules{{Server: "*", Namespace: "!kube-system"}, {Server: "*", Namespace: "*"}}, server(inCluster, "kube-system"), false},
		{"equal then deny", rules{{Server: "*", Namespace: "kube-system"}, {Server: "*", Namespace: "!kube-system"}}, server(inCluster, "kube-system"), false},
		{"allow then deny server", rules{{Server: inCluster, Namespace: "*"}, {Server: "!" + inCluster, Namespace: "*"}}, server(inCluster, "kube-system"), false},
		{"denied server counts in every namespace", rules{{Server: "*", Namespace: "*"}, {Server: "!" + inCluster, Namespace: "kube-system"}, {Server: "*", Namespace: "!kube-system"}}, server(inCluster, "default"), false},
		{"denied namespace on another server", rules{{Server: "*", Namespace: "*"}, {Server: "!" + inCluster, Namespace: "kube-system"}, {Server: "*", Namespace: "!kube-system"}}, server("https://dev", "kube-system"), false},
		{"allow then deny name", rules{{Name: "test", Namespace: "*"}, {Name: "!test", Namespace: "*"}}, named("test", "x"), false},
		{"any alias is denied", rules{{Server: "*", Namespace: "*"}, {Server: "!https://b", Namespace: "*"}}, aliased("eu", "n", "https://a", "https://b"), false},
		{"denied by name although the server is allowed", rules{{Name: "!eu", Server: "*", Namespace: "*"}}, aliased("eu", "n", "https://a"), false},

		{"no namespace", rules{{Server: "*", Namespace: "shop"}}, named("c", ""), false},
		{"no namespace, star", rules{{Server: "*", Namespace: "*"}}, named("c", ""), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Project{Name: "p", Spec: model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: c.rules}}
			d := CheckApplication(p, AppFacts{SourceRepos: []string{"https://h/r"}, Destination: c.dest})
			if d.Allowed != c.want {
				t.Fatalf("got %+v", d)
			}
			if !c.want {
				onlyRefusal(t, d, CodeDestination)
			}
		})
	}
}

func TestReservedClusters(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		name    string
		only    bool
		cluster *string
		want    bool
	}{
		{"not asked for", false, text("other"), true},
		{"reserved for us", true, text("p"), true},
		{"reserved for another", true, text("other"), false},
		{"reserved for nobody", true, text(""), false},
		{"unknown here", true, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Project{Name: "p", Spec: model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: anywhere, PermitOnlyProjectScopedClusters: c.only}}
			d := CheckApplication(p, AppFacts{Destination: Destination{Name: "c", Namespace: "n", ClusterProject: c.cluster}})
			if d.Allowed != c.want {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestSourceNamespaces(t *testing.T) {
	for _, c := range []struct {
		namespace string
		rules     []string
		want      bool
	}{
		{"", nil, true}, {"argocd", nil, true}, {"team-a", nil, false},
		{"team-a", []string{"team-*"}, true}, {"x", []string{"team-*"}, false}, {"argocd", []string{"team-*"}, true},
	} {
		p := Project{Name: "p", Spec: model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: anywhere, SourceNamespaces: c.rules}}
		d := CheckApplication(p, AppFacts{Namespace: c.namespace, Destination: Destination{Name: "c", Namespace: "n"}})
		if d.Allowed != c.want {
			t.Errorf("namespace %q, rules %q: got %+v", c.namespace, c.rules, d)
		}
		if !c.want {
			onlyRefusal(t, d, CodeSourceNamespace)
		}
	}
}

func TestDefaultProjectAllowsEverything(t *testing.T) {
	p := Project{Name: model.DefaultProject, Spec: model.DefaultProjectSpec()}
	d := CheckApplication(p, AppFacts{SourceRepos: []string{"https://h/a/b/c"}, Destination: Destination{Name: "c", Namespace: "kube-system"}})
	if !d.Allowed {
		t.Errorf("got %+v", d)
	}
	d = CheckObjects(p, Destination{Name: "c", Namespace: "n"}, []ObjectFacts{
		{Key: model.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "x"}},
		{Key: model.ObjectKey{Kind: "Secret", Namespace: "other", Name: "x"}, Namespaced: true},
	})
	if !d.Allowed {
		t.Errorf("got %+v", d)
	}
}

func TestRefusalsExplain(t *testing.T) {
	p := Project{Name: "shop", Spec: model.AppProjectSpec{
		SourceRepos: []string{"https://git.example.org/base/**", "https://github.com/shop/*"},
		Destinations: []model.ProjectDestination{
			{Name: "us-*", Namespace: "web"}, {Name: "eu-*", Namespace: "shop-*"},
		},
	}}
	d := CheckApplication(p, AppFacts{
		SourceRepos: []string{"https://github.com/shops/x"},
		Destination: Destination{Name: "eu-1", Namespace: "kube-system"},
	})
	if d.Allowed || len(d.Refusals) != 2 {
		t.Fatalf("got %+v", d)
	}
	src, dst := d.Refusals[0], d.Refusals[1]
	if want := `project "shop" allows https://git.example.org/base/**, https://github.com/shop/*; this is https://github.com/shops/x`; src.Message != want {
		t.Errorf("got %q", src.Message)
	}
	if src.NearestRule != "#2 https://github.com/shop/*" {
		t.Errorf("got %q", src.NearestRule)
	}
	if want := `project "shop" may deploy to us-*/web, eu-*/shop-*; this is eu-1/kube-system`; dst.Message != want {
		t.Errorf("got %q", dst.Message)
	}
	if dst.NearestRule != "#2 eu-*/shop-*" || dst.Differs != "the namespace is kube-system" {
		t.Errorf("got %q, %q", dst.NearestRule, dst.Differs)
	}
	var order []string
	for _, c := range d.Checks {
		order = append(order, c.Rule+"="+string(c.Result))
	}
	if got := strings.Join(order, " "); got != "source=failed source namespace=passed signature=passed destination=failed kinds=not evaluated limits=passed" {
		t.Errorf("checks: %s", got)
	}
}

func TestCredentialsInURLsAreNotRepeated(t *testing.T) {
	p := Project{Name: "p", Spec: model.AppProjectSpec{SourceRepos: []string{"https://h/x"}, Destinations: anywhere}}
	d := CheckApplication(p, AppFacts{SourceRepos: []string{"https://user:CANARY@h/y"}, Destination: Destination{Name: "c"}})
	r := onlyRefusal(t, d, CodeRepository)
	for _, s := range []string{r.Message, r.Found, d.Checks[0].Message} {
		if strings.Contains(s, "CANARY") || !strings.Contains(s, "https://***@h/y") {
			t.Errorf("got %q", s)
		}
	}
	if got := redactURL("ssh://git@h/x"); got != "ssh://git@h/x" {
		t.Errorf("got %q", got)
	}
}

func TestMessagesAreShort(t *testing.T) {
	var rules []string
	for range 10 {
		rules = append(rules, "https://h/"+strings.Repeat("long", 30))
	}
	p := Project{Name: "p", Spec: model.AppProjectSpec{SourceRepos: rules, Destinations: anywhere}}
	d := CheckApplication(p, AppFacts{SourceRepos: []string{"https://h/" + strings.Repeat("ü", 400)}, Destination: Destination{Name: "c"}})
	r := onlyRefusal2(t, d)
	if n := len([]rune(r.Message)); n > 300 {
		t.Errorf("message has %d characters", n)
	}
}

func onlyRefusal2(t *testing.T, d Decision) Refusal {
	t.Helper()
	if len(d.Refusals) != 1 {
		t.Fatalf("got %+v", d)
	}
	return d.Refusals[0]
}

func TestUnknownProject(t *testing.T) {
	r := onlyRefusal(t, Unknown("shp", []string{"default", "shop"}), CodeProjectUnknown)
	if r.Field != "spec.project" || r.Allowed != "default, shop" {
		t.Errorf("got %+v", r)
	}
}
