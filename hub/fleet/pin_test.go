package fleet

import (
	"slices"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func at(commits ...string) []SourceAt {
	out := make([]SourceAt, len(commits))
	for i, c := range commits {
		out[i] = SourceAt{RepoURL: "https://git/x", Path: string(rune('a' + i)), TargetRevision: "main", Commit: c}
	}
	return out
}

// TestPin tries every combination of what can be known of two sources.
func TestPin(t *testing.T) {
	const unknown, aside, newer = "", "bad", "newer"
	commits := []string{unknown, aside, newer}
	elsewhere := func(s []SourceAt, change func(*SourceAt)) []SourceAt {
		change(&s[1])
		return s
	}
	places := map[string]func([]SourceAt) []SourceAt{
		"same": func(s []SourceAt) []SourceAt { return s },
		"another repository": func(s []SourceAt) []SourceAt {
			return elsewhere(s, func(x *SourceAt) { x.RepoURL = "https://git/y" })
		},
		"another path":     func(s []SourceAt) []SourceAt { return elsewhere(s, func(x *SourceAt) { x.Path = "z" }) },
		"another revision": func(s []SourceAt) []SourceAt { return elsewhere(s, func(x *SourceAt) { x.TargetRevision = "v2" }) },
		"another chart":    func(s []SourceAt) []SourceAt { return elsewhere(s, func(x *SourceAt) { x.Chart = "c" }) },
		"another ref":      func(s []SourceAt) []SourceAt { return elsewhere(s, func(x *SourceAt) { x.Ref = "values" }) },
		"another prefix":   func(s []SourceAt) []SourceAt { return elsewhere(s, func(x *SourceAt) { x.TagPrefix = "v" }) },
		"one more":         func(s []SourceAt) []SourceAt { return append(s, at("c")...) },
		"one less":         func(s []SourceAt) []SourceAt { return s[:1] },
	}
	// What the deployment that was gone back to was rendered from.
	held := map[string][]SourceAt{
		"known": at("good", "good"), "not known": nil, "of other sources": at("good"), "at a commit that is not known": at("good", ""),
	}
	for place, move := range places {
		for from, sources := range held {
			for _, first := range commits {
				for _, second := range commits {
					for _, sameOptions := range []bool{true, false} {
						for _, sameContent := range []bool{true, false} {
							p := Pin{Aside: at(aside, aside), Sources: sources, Options: "old"}
							f := PinFacts{Sources: move(at(first, second)), Options: "new", SameContent: sameContent}
							if sameOptions {
								f.Options = "old"
							}
							want := PinOutdated
							switch {
							case place != "same":
								want = PinEnded
							case !sameContent && (first == newer || second == newer):
								want = PinMoved
							case sameOptions:
								want = PinHolds
							case from == "known":
								want = PinRenders
							}
							if got := p.Decide(f); got != want {
								t.Errorf("%s places, sources %s, at %q and %q, same options %v, same content %v: %v, want %v",
									place, from, first, second, sameOptions, sameContent, got, want)
							}
						}
					}
				}
			}
		}
	}
}

// A source that was not resolved when its application was rolled back has no
// revision that is set aside: whatever it is resolved to is newer.
func TestPinOfWhatWasNotKnown(t *testing.T) {
	p := Pin{Aside: at("")}
	if got := p.Decide(PinFacts{Sources: at("")}); got != PinHolds {
		t.Errorf("still not known: %v", got)
	}
	if got := p.Decide(PinFacts{Sources: at("any")}); got != PinMoved {
		t.Errorf("known now: %v", got)
	}
}

func TestOptions(t *testing.T) {
	spec := func(change func(*model.ApplicationSpec, *model.Source)) model.ApplicationSpec {
		s := model.Source{RepoURL: "https://git/x", Path: "p", TargetRevision: "main", Helm: &model.HelmSource{ReleaseName: "r"}}
		out := model.ApplicationSpec{Project: "p", Destination: model.Destination{Name: "eu", Namespace: "shop"}}
		change(&out, &s)
		out.Source = &s
		return out
	}
	base := OptionsOf(spec(func(*model.ApplicationSpec, *model.Source) {}))
	for name, change := range map[string]func(*model.ApplicationSpec, *model.Source){
		"repository": func(_ *model.ApplicationSpec, s *model.Source) { s.RepoURL = "y" },
		"path":       func(_ *model.ApplicationSpec, s *model.Source) { s.Path = "y" },
		"revision":   func(_ *model.ApplicationSpec, s *model.Source) { s.TargetRevision = "y" },
		"name":       func(_ *model.ApplicationSpec, s *model.Source) { s.Name = "y" },
		"policy":     func(a *model.ApplicationSpec, _ *model.Source) { a.SyncPolicy = &model.SyncPolicy{} },
		"history":    func(a *model.ApplicationSpec, _ *model.Source) { a.RevisionHistoryLimit = new(int64(1)) },
		"project":    func(a *model.ApplicationSpec, _ *model.Source) { a.Project = "q" },
	} {
		if OptionsOf(spec(change)) != base {
			t.Errorf("%s is taken for an option", name)
		}
	}
	for name, change := range map[string]func(*model.ApplicationSpec, *model.Source){
		"parameter": func(_ *model.ApplicationSpec, s *model.Source) {
			s.Helm = &model.HelmSource{ReleaseName: "r", Parameters: []model.HelmParameter{{Name: "a", Value: "1"}}}
		},
		"tool":      func(_ *model.ApplicationSpec, s *model.Source) { s.Helm, s.Kustomize = nil, &model.KustomizeSource{} },
		"namespace": func(a *model.ApplicationSpec, _ *model.Source) { a.Destination.Namespace = "other" },
	} {
		if OptionsOf(spec(change)) == base {
			t.Errorf("%s is not taken for an option", name)
		}
	}
	several := spec(func(*model.ApplicationSpec, *model.Source) {})
	several.Sources, several.Source = []model.Source{*several.Source}, nil
	if OptionsOf(several) != base {
		t.Error("source and a list of one differ")
	}
}

func TestPlaces(t *testing.T) {
	spec := model.ApplicationSpec{Sources: []model.Source{
		{RepoURL: "https://git/x", Path: "p"}, {RepoURL: "https://charts/x", Chart: "c", TargetRevision: "1.x"}, {RepoURL: "https://charts/x", Chart: "c"},
	}}
	got := PlacesOf(spec)
	if got[0].TargetRevision != "HEAD" || got[1].TargetRevision != "1.x" || got[2].TargetRevision != "" {
		t.Errorf("%+v", got)
	}
	named := model.ApplicationSpec{Sources: append([]model.Source{}, spec.Sources...)}
	named.Sources[0].TargetRevision = "HEAD"
	if !SamePlaces(got, PlacesOf(named)) {
		t.Error("HEAD written and HEAD by default differ")
	}
}

// Until a newer commit: one that was there before is none.
func TestPinWhereTheSourcesWereBefore(t *testing.T) {
	for name, c := range map[string]struct {
		held     []SourceAt
		byItself bool
		earlier  [][]SourceAt
		now      []SourceAt
		want     PinVerdict
	}{
		"set back to what is held":                          {held: at("good", "good"), now: at("good", "good"), want: PinHolds},
		"set back in one source":                            {held: at("good", "good"), now: at("bad", "good"), want: PinHolds},
		"set back in one source, newer in the other":        {held: at("good", "good"), now: at("newer", "good"), want: PinMoved},
		"set back to what is held in the other source":      {held: at("good", "old"), now: at("bad", "good"), want: PinMoved},
		"set back, and what is held is of other sources":    {held: at("good"), now: at("good", "good"), want: PinMoved},
		"set back, and nobody asked for the pin":            {held: at("good", "good"), byItself: true, now: at("good", "good"), want: PinMoved},
		"what an earlier rollback has set aside":            {earlier: [][]SourceAt{at("a", "b"), at("worse", "bad")}, now: at("worse", "bad"), want: PinHolds},
		"a part of what an earlier rollback has set aside":  {earlier: [][]SourceAt{at("worse", "worse")}, now: at("worse", "bad"), want: PinMoved},
		"what an earlier one has set aside of other places": {earlier: [][]SourceAt{at("worse")}, now: at("worse", "bad"), want: PinMoved},
	} {
		p := Pin{Aside: at("bad", "bad"), Sources: c.held, Pin: model.Pin{HistoryID: 7}}
		if c.byItself {
			p.HistoryID = 0
		}
		if got := p.Decide(PinFacts{Sources: c.now, SetAside: c.earlier}); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if WasSetAside([][]SourceAt{at("")}, at("")) {
		t.Error("what is not resolved was set aside")
	}
}

func TestWhatIsToldByTheManifestsThatWereSetAside(t *testing.T) {
	for want, p := range map[bool]Pin{true: {AsideBundle: "b", AsideOptions: "o"}, false: {AsideOptions: "o"}} {
		if p.Tells("o") != want || p.Tells("other") {
			t.Errorf("%+v", p)
		}
	}
}

// Pins of before a hub kept tags have none, and a commit may be tagged anew.
func TestTagsTellNoSourcesApart(t *testing.T) {
	tagged := func(tag string, commits ...string) []SourceAt {
		out := at(commits...)
		for i := range out {
			out[i].Tag = tag
		}
		return out
	}
	for _, tags := range [][2]string{{"", "t1"}, {"t1", ""}, {"t1", "t2"}} {
		before, now := tags[0], tags[1]
		p := Pin{Aside: tagged(before, "bad", "bad"), Sources: tagged(before, "good", "good"), Options: "old", Pin: model.Pin{HistoryID: 7}}
		for name, c := range map[string]struct {
			facts PinFacts
			want  PinVerdict
		}{
			"set aside":          {PinFacts{Sources: tagged(now, "bad", "bad"), Options: "old"}, PinHolds},
			"set back":           {PinFacts{Sources: tagged(now, "good", "good"), Options: "old"}, PinHolds},
			"set aside earlier":  {PinFacts{Sources: tagged(now, "worse", "bad"), Options: "old", SetAside: [][]SourceAt{tagged(before, "worse", "bad")}}, PinHolds},
			"with other options": {PinFacts{Sources: tagged(now, "bad", "bad"), Options: "new"}, PinRenders},
			"newer":              {PinFacts{Sources: tagged(now, "bad", "newer"), Options: "old"}, PinMoved},
		} {
			if got := p.Decide(c.facts); got != c.want {
				t.Errorf("%s, tagged %q and then %q: %v, want %v", name, before, now, got, c.want)
			}
		}
		if !SameSources(p.Aside, tagged(now, "bad", "bad")) || SameSources(p.Aside, tagged(before, "bad", "newer")) || !SamePlaces(p.Aside, tagged(now, "x", "y")) {
			t.Errorf("tagged %q and then %q: %+v", before, now, p.Aside)
		}
	}
	from := tagged("t1", "a", "b")
	if got := Untagged(from); !slices.Equal(got, at("a", "b")) || from[0].Tag != "t1" {
		t.Errorf("%+v of %+v", got, from)
	}
}
