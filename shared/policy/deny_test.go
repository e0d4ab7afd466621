package policy

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// denyWorld is a small world in which everything can be asked.
var denyWorld = struct {
	clusters   []Destination
	namespaces []string
	repos      []string
	patterns   []string
}{
	[]Destination{
		{Name: "eu-prod", Aliases: []string{"https://eu:6443"}, Labels: map[string]string{"env": "prod"}},
		{Name: "us-prod", Aliases: []string{"https://us:6443"}, Labels: map[string]string{"env": "prod"}},
		{Name: "eu-dev", Labels: map[string]string{"env": "dev"}},
		{Name: "unlabelled"},
	},
	[]string{"", "shop", "pay", "kube-system"},
	[]string{"https://git/pay/api", "https://git/pay/web", "https://git/shop", "https://other/x"},
	[]string{"*", "shop", "kube-*", "!shop", "!kube-*", "eu-prod", "eu-*", "!eu-prod", "!us-*"},
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func randomDestination(r *rand.Rand, patterns []string) model.ProjectDestination {
	d := model.ProjectDestination{Name: pick(r, patterns), Namespace: pick(r, patterns)}
	switch r.IntN(4) {
	case 0:
		d.Name, d.Server = "", pick(r, []string{"*", "https://eu:6443", "https://*"})
	case 1:
		d.ClusterSelector = &model.LabelSelector{MatchLabels: map[string]string{"env": pick(r, []string{"prod", "dev"})}}
	}
	return d
}

// Whatever a project has, a rule that denies never makes allowed what was
// refused, and refuses what it matches; an agent is never more generous.
func TestARuleThatDeniesOnlyNarrows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable
	plain := []string{"*", "shop", "kube-*", "eu-prod", "eu-*", "pay"}
	repos := []string{"*", "**", "https://git/**", "https://git/pay/*", "!https://git/shop", "https://git/shop"}
	denied, kept := 0, 0
	for range 2000 {
		var before model.AppProjectSpec
		for range r.IntN(4) {
			before.Destinations = append(before.Destinations, randomDestination(r, denyWorld.patterns))
		}
		for range r.IntN(3) {
			before.SourceRepos = append(before.SourceRepos, pick(r, repos))
		}
		after := before
		rule, repo := randomDestination(r, plain), pick(r, repos[:4])
		after.DestinationBlacklist = []model.ProjectDestination{rule}
		after.SourceRepoBlacklist = []string{repo}
		was, is := compile(Project{Name: "p", Spec: before}), compile(Project{Name: "p", Spec: after})
		for _, cluster := range denyWorld.clusters {
			agent := compile(Project{Name: "p", Spec: ForCluster(after, cluster.Labels)})
			if cluster.Labels == nil {
				agent = is
			}
			for _, ns := range denyWorld.namespaces {
				old, now := was.permits(cluster, ns) == nil, is.permits(cluster, ns) == nil
				if now && !old {
					t.Fatalf("%+v and %+v denied: %s/%s is allowed now", before.Destinations, rule, cluster.Name, ns)
				}
				if at := agent.permits(cluster, ns) == nil; at != now {
					t.Fatalf("%+v at %s/%s: the hub says %t, the agent %t", after, cluster.Name, ns, now, at)
				}
				if old && !now {
					denied++
				} else if old {
					kept++
				}
			}
			if Reaches(is.Project, cluster) && !Reaches(was.Project, cluster) {
				t.Fatalf("%+v reaches %s", after, cluster.Name)
			}
		}
		for _, url := range denyWorld.repos {
			old, now := CheckSource(was.Project, url).Allowed, CheckSource(is.Project, url).Allowed
			if now && (!old || newPattern(repo, "/", NormaliseRepo).matches(NormaliseRepo(url))) {
				t.Fatalf("%v and %s denied: %s is allowed", before.SourceRepos, repo, url)
			}
		}
	}
	if denied == 0 || kept == 0 {
		t.Fatalf("%d denied, %d kept: the test says nothing", denied, kept)
	}
}

func TestOneNamespaceOfOneClusterIsDenied(t *testing.T) {
	spec := model.AppProjectSpec{Destinations: []model.ProjectDestination{{Name: "*", Namespace: "shop"}},
		DestinationBlacklist: []model.ProjectDestination{{Name: "eu-prod", Namespace: "shop"}}}
	for _, c := range []struct {
		cluster, namespace string
		allowed            bool
	}{{"eu-prod", "shop", false}, {"eu-prod", "pay", false}, {"us-prod", "shop", true}, {"us-prod", "pay", false}} {
		d := CheckApplication(Project{Name: "shop", Spec: model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: spec.Destinations, DestinationBlacklist: spec.DestinationBlacklist}},
			AppFacts{SourceRepos: []string{"https://git/x"}, Destination: Destination{Name: c.cluster, Namespace: c.namespace}})
		if d.Allowed != c.allowed {
			t.Errorf("%s/%s: %+v", c.cluster, c.namespace, d)
		}
		if c.cluster == "eu-prod" && c.namespace == "shop" && d.Refusals[0].NearestRule != "destinationBlacklist #1 eu-prod/shop" {
			t.Errorf("%+v", d.Refusals)
		}
	}
}

func TestWhatAProjectNewlyAllowsIsNamed(t *testing.T) {
	places := []Destination{{Name: "eu", Labels: map[string]string{}}, {Name: "us", Labels: map[string]string{}}}
	shop := model.AppProjectSpec{Destinations: []model.ProjectDestination{{Name: "*", Namespace: "shop"}}, SourceRepos: []string{"https://git/shop"}}
	with := func(change func(*model.AppProjectSpec)) model.AppProjectSpec {
		out := shop
		change(&out)
		return out
	}
	for name, c := range map[string]struct {
		after model.AppProjectSpec
		want  []string
	}{
		"nothing": {shop, nil},
		"a denying list": {with(func(s *model.AppProjectSpec) {
			s.DestinationBlacklist = []model.ProjectDestination{{Name: "eu", Namespace: "*"}}
		}), nil},
		"a negated namespace": {with(func(s *model.AppProjectSpec) {
			s.Destinations = append(s.Destinations[:1:1], model.ProjectDestination{Name: "eu", Namespace: "!shop"})
		}), []string{"cluster eu: namespaces that no rule names, such as kube-system"}},
		"a namespace": {with(func(s *model.AppProjectSpec) {
			s.Destinations = append(s.Destinations[:1:1], model.ProjectDestination{Name: "us", Namespace: "pay-*"})
		}), []string{"cluster us: namespace pay-x"}},
		"a negated repository": {with(func(s *model.AppProjectSpec) { s.SourceRepos = append(s.SourceRepos[:1:1], "!https://git/bad") }), []string{"repositories that no rule names"}},
		"a kind": {with(func(s *model.AppProjectSpec) {
			s.ClusterResourceWhitelist = []model.KindRule{{Kind: "Namespace", Name: "shop-*"}}
		}), []string{"cluster-scoped kinds: Namespace"}},
	} {
		if got := Widened(Project{Name: "p", Spec: shop}, Project{Name: "p", Spec: c.after}, places); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestP13_ASensitiveFieldThatIsNoneAnyMoreIsNamed(t *testing.T) {
	fields := func(pointers ...string) Project {
		return Project{Name: "p", Spec: model.AppProjectSpec{SensitiveFields: []model.SensitiveFields{{Kind: "ConfigMap", JSONPointers: pointers}}}}
	}
	for _, c := range []struct {
		before, after Project
		want          []string
	}{
		{fields("/data/a", "/data/b"), fields("/data/b"), []string{"to see /data/a of ConfigMap"}},
		{fields("/data/a"), Project{Name: "p"}, []string{"to see /data/a of ConfigMap"}},
		{fields("/data/a"), fields("/data/b", "/data/a"), nil},
	} {
		if got := Widened(c.before, c.after, nil); !slices.Equal(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestANegatedNamespaceBesideNarrowerRulesIsWarnedOf(t *testing.T) {
	prod := model.ProjectDestination{Namespace: "pay-*", ClusterSelector: &model.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}}
	wide := model.ProjectDestination{Name: "*", Namespace: "!kube-*"}
	for _, c := range []struct {
		rules []model.ProjectDestination
		want  int
	}{{[]model.ProjectDestination{prod, wide}, 1}, {[]model.ProjectDestination{wide}, 0}, {[]model.ProjectDestination{prod}, 0},
		{[]model.ProjectDestination{wide, {Name: "*", Namespace: "*"}}, 0}} {
		if got := meaningless(c.rules); len(got) != c.want {
			t.Errorf("%+v: %q", c.rules, got)
		}
	}
}
