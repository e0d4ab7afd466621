package source

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/hawser-dev/hawser/shared/fault"
)

// advertised is what a server says it has.
type advertised struct {
	refs         map[string]string // name → object
	peeled       map[string]string // name of a tag → commit
	head         string            // object of HEAD, "" when there is none
	headRef      string            // the branch that HEAD names, when told
	capabilities map[string]string
}

// target is what a revision means at a server.
type target struct {
	ref    string // "" for a commit named directly
	want   string // object to ask for
	commit string // "" when only the object tells (a tag that was not peeled)
	prefix string // set instead of want: the beginning of a commit id
}

var (
	fullCommit  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	shortCommit = regexp.MustCompile(`^[0-9a-fA-F]{4,39}$`)
)

// IsCommit reports whether a revision is a full commit id, which means the same
// for ever.
func IsCommit(revision string) bool { return fullCommit.MatchString(strings.ToLower(revision)) }

// resolve finds what a revision means. tagPrefix is that of the tags which a
// constraint on versions is about. repo is for messages.
func (a *advertised) resolve(repo, revision, tagPrefix string) (target, error) {
	if c := constraintOf(revision); c != nil {
		t, err := a.newest(repo, revision, tagPrefix, c)
		if err == nil {
			return t, nil
		}
		if checkRevision(revision) == nil {
			// "1.x" may be the name of a branch.
			if t, ok := a.ref("refs/heads/" + revision); ok {
				return t, nil
			}
		}
		return target{}, err
	}
	if err := checkRevision(revision); err != nil {
		return target{}, err
	}
	if revision == "" || revision == "HEAD" {
		if a.head == "" {
			if len(a.refs) == 0 {
				return target{}, notFound("%s is empty: it has no commit yet", repo)
			}
			return target{}, notFound("%s has no default branch; name one: %s", repo, strings.Join(a.names(4), ", "))
		}
		ref := a.headRef
		if ref == "" {
			ref = "HEAD"
		}
		return target{ref: ref, want: a.head, commit: a.head}, nil
	}
	if strings.HasPrefix(revision, "refs/") {
		if t, ok := a.ref(revision); ok {
			return t, nil
		}
		return target{}, a.unknown(repo, revision)
	}
	if tagPrefix != "" {
		// A pinned version, written without the prefix as in a constraint.
		if _, err := semver.NewVersion(revision); err == nil {
			if t, ok := a.ref("refs/tags/" + tagPrefix + revision); ok {
				return t, nil
			}
		}
	}
	branch, isBranch := a.ref("refs/heads/" + revision)
	tag, isTag := a.ref("refs/tags/" + revision)
	switch {
	case isBranch && isTag && branch.commit != tag.commit:
		return target{}, fault.New(fault.Unprocessable, "revision_ambiguous",
			"%q is both a tag and a branch; write refs/tags/%s or refs/heads/%s", revision, revision, revision)
	case isBranch:
		return branch, nil
	case isTag:
		return tag, nil
	}
	if t, ok := a.ref("refs/" + revision); ok {
		return t, nil
	}
	if IsCommit(revision) {
		id := strings.ToLower(revision)
		return target{want: id, commit: id}, nil
	}
	if shortCommit.MatchString(revision) {
		return target{prefix: strings.ToLower(revision)}, nil
	}
	return target{}, a.unknown(repo, revision)
}

// constraintOf reads a revision as a constraint on versions, nil when it is none.
// A version such as 1.2 is a name and no constraint.
func constraintOf(revision string) *semver.Constraints {
	if revision == "" || len(revision) > 255 || IsCommit(revision) {
		return nil
	}
	if _, err := semver.NewVersion(revision); err == nil {
		return nil
	}
	c, err := semver.NewConstraint(revision)
	if err != nil {
		return nil
	}
	return c
}

// newest is the tag with the highest version that satisfies a constraint.
// Branches are never versions.
func (a *advertised) newest(repo, revision, prefix string, c *semver.Constraints) (target, error) {
	var best, highest *semver.Version
	var name, highestName string
	tags := 0
	for ref := range a.refs {
		tag, ok := strings.CutPrefix(ref, "refs/tags/"+prefix)
		if !ok {
			continue
		}
		v, err := semver.NewVersion(tag)
		if err != nil {
			continue
		}
		tags++
		if newer(v, ref, highest, highestName) {
			highest, highestName = v, ref
		}
		if c.Check(v) && newer(v, ref, best, name) {
			best, name = v, ref
		}
	}
	if best != nil {
		t, _ := a.ref(name)
		return t, nil
	}
	what := "tag"
	if prefix != "" {
		what = fmt.Sprintf("tag that begins with %q", clip(prefix, 60))
	}
	if tags == 0 {
		return target{}, notFound("no %s of %s is a version, so none satisfies %q", what, repo, clip(revision, 80))
	}
	newest := strings.TrimPrefix(highestName, "refs/tags/")
	e := notFound("no %s of %s satisfies %q; the newest is %q", what, repo, clip(revision, 80), clip(newest, 60)).WithFound(revision, newest)
	if highest.Prerelease() != "" {
		e = e.WithFix("write -0 behind the version of the constraint to take prereleases")
	}
	return target{}, e
}

// newer compares versions; of equal ones the name decides, so that the answer
// does not depend on the order.
func newer(v *semver.Version, name string, than *semver.Version, thanName string) bool {
	if than == nil {
		return true
	}
	if n := v.Compare(than); n != 0 {
		return n > 0
	}
	return name > thanName
}

func (a *advertised) ref(name string) (target, bool) {
	object, ok := a.refs[name]
	if !ok {
		return target{}, false
	}
	commit := object
	if p, ok := a.peeled[name]; ok {
		commit = p
	}
	return target{ref: name, want: object, commit: commit}, true
}

// isTip reports whether a server will hand out the object without further
// permission.
func (a *advertised) isTip(object string) bool {
	for _, o := range a.refs {
		if o == object {
			return true
		}
	}
	return a.head == object
}

// checkRevision refuses what Git itself does not take as a name.
func checkRevision(revision string) error {
	bad := strings.HasPrefix(revision, "-") || strings.Contains(revision, "..") || strings.Contains(revision, "@{") ||
		strings.HasSuffix(revision, "/") || strings.HasSuffix(revision, ".lock") || len(revision) > 255
	for _, r := range revision {
		bad = bad || r <= 0x20 || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r)
	}
	if bad {
		return notFound("%q is not the name of a branch, tag or commit", clip(revision, 80))
	}
	return nil
}

func notFound(format string, args ...any) *fault.Error {
	return fault.New(fault.Unprocessable, "revision_not_found", "%s", clip(fmt.Sprintf(format, args...), 300))
}

func (a *advertised) unknown(repo, revision string) error {
	near := nearest(strings.TrimPrefix(strings.TrimPrefix(revision, "refs/heads/"), "refs/tags/"), a.names(0), 3)
	if len(near) > 0 {
		return notFound("branch, tag or commit %q not found in %s; closest: %s", revision, repo, quoted(near)).
			WithFound(revision, strings.Join(near, ", "))
	}
	if some := a.names(4); len(some) > 0 {
		return notFound("branch, tag or commit %q not found in %s; it has %s", revision, repo, quoted(some)).
			WithFound(revision, strings.Join(some, ", "))
	}
	return notFound("branch, tag or commit %q not found in %s, which is empty", revision, repo)
}

// names are branches first, then tags; max 0 means all.
func (a *advertised) names(max int) []string {
	var branches, tags []string
	for name := range a.refs {
		if s, ok := strings.CutPrefix(name, "refs/heads/"); ok {
			branches = append(branches, s)
		} else if s, ok := strings.CutPrefix(name, "refs/tags/"); ok {
			tags = append(tags, s)
		}
	}
	sort.Strings(branches)
	sort.Strings(tags)
	all := append(branches, tags...)
	if max > 0 && len(all) > max {
		all = all[:max]
	}
	return all
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", clip(n, 60))
	}
	return strings.Join(out, ", ")
}

// nearest returns up to max of the names that differ least from s, and none
// when all differ much.
func nearest(s string, names []string, max int) []string {
	type candidate struct {
		name     string
		distance int
	}
	limit := len(s)/3 + 1
	var found []candidate
	for _, n := range names {
		if diff := len(n) - len(s); diff > limit || -diff > limit {
			continue
		}
		if d := editDistance(s, n); d <= limit {
			found = append(found, candidate{n, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.distance - b.distance })
	var out []string
	for _, c := range found[:min(len(found), max)] {
		out = append(out, c.name)
	}
	return out
}

// editDistance counts insertions, deletions, replacements and swaps of
// neighbours, in bytes.
func editDistance(a, b string) int {
	if len(a) > 255 || len(b) > 255 {
		return 255
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "…"
}
