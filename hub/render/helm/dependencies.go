package helm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

// maxNesting is how deep charts may depend on charts in other directories.
const maxNesting = 10

// fetchMissing adds the dependencies that a chart does not have in charts/. above
// are the directories of the charts that depend on this one.
func (r *renderer) fetchMissing(c *chart.Chart, tree, dir string, above []string) error {
	var missing []*chart.Dependency
	for _, d := range c.Metadata.Dependencies {
		if d != nil && !slices.ContainsFunc(c.Dependencies(), func(x *chart.Chart) bool { return x.Name() == d.Name }) {
			missing = append(missing, d)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := checkLock(c, dir); err != nil {
		return err
	}
	here := tree + ":" + dir
	if len(above) >= maxNesting || slices.Contains(above, here) {
		return fault.New(fault.Unprocessable, codeChart, "chart %q depends on itself through its file:// dependencies", clip(c.Name()))
	}
	above = append(slices.Clone(above), here)
	got := map[string]bool{}
	for _, d := range missing {
		version := locked(c, d)
		key := strings.Join([]string{d.Repository, d.Name, version}, "\x00")
		if got[key] {
			continue // the same chart under another alias
		}
		got[key] = true
		sub, err := r.dependency(c, d, version, tree, dir, above)
		if err != nil {
			return err
		}
		c.AddDependency(sub)
	}
	settle(c)
	return nil
}

// dependency gets one chart that is not in charts/.
func (r *renderer) dependency(c *chart.Chart, d *chart.Dependency, version, tree, dir string, above []string) (*chart.Chart, error) {
	what := func(e *fault.Error) error {
		return e.WithFix("run helm dependency update and commit charts/, or correct the dependency in Chart.yaml")
	}
	switch {
	case d.Repository == "":
		return nil, what(fault.New(fault.Unprocessable, "chart_not_found", "chart %q depends on %q, which is not in charts/ and has no repository", clip(c.Name()), clip(d.Name)))
	case strings.HasPrefix(d.Repository, "file://"):
		p := strings.TrimPrefix(d.Repository, "file://")
		if path.IsAbs(p) {
			return nil, outside(c, d)
		}
		at, err := workspace.Confine("dependencies", dir, p)
		if err != nil {
			return nil, outside(c, d)
		}
		info, err := r.w.Host.Stat(tree, at)
		if err != nil {
			return nil, err
		}
		if !info.Exists || !info.Dir {
			return nil, what(fault.New(fault.Unprocessable, "chart_not_found", "chart %q depends on %q at %s, and there is no such directory", clip(c.Name()), clip(d.Name), clip(d.Repository)))
		}
		if slices.Contains(above, tree+":"+at) {
			return nil, fault.New(fault.Unprocessable, codeChart, "chart %q depends on itself through %s", clip(c.Name()), clip(d.Repository))
		}
		sub, err := r.chartAt(tree, at, true, above)
		if err != nil {
			return nil, err
		}
		return sub, r.fits(c, d, sub, d.Version)
	}
	fetched, err := r.w.Host.Chart(strings.TrimSuffix(d.Repository, "/"), d.Name, version)
	if err != nil {
		return nil, err
	}
	names, err := r.list(fetched.Tree, fetched.Path, false)
	if err != nil {
		return nil, err
	}
	// A fetched chart is what its author packed, so all of it is read as one.
	files, err := r.read(fetched.Tree, fetched.Path, names)
	if err != nil {
		return nil, err
	}
	sub, err := r.parseChart("chart "+d.Name, files)
	if err != nil {
		return nil, err
	}
	return sub, r.fits(c, d, sub, "")
}

func outside(c *chart.Chart, d *chart.Dependency) error {
	return fault.New(fault.Invalid, "path_escapes_repo", "chart %q depends on %q at %s, which is outside of the repository", clip(c.Name()), clip(d.Name), clip(d.Repository)).
		WithFix("write file:// with a path relative to the chart that stays in the repository")
}

// fits checks that a chart is the one that the dependency means.
func (r *renderer) fits(c *chart.Chart, d *chart.Dependency, sub *chart.Chart, constraint string) error {
	switch {
	case sub.Name() != d.Name:
		return fault.New(fault.Unprocessable, codeChart, "chart %q depends on %q, and the chart at %s is called %q", clip(c.Name()), clip(d.Name), clip(d.Repository), clip(sub.Name()))
	case !compatible(constraint, sub.Metadata.Version):
		return fault.New(fault.Unprocessable, "chart_not_found", "chart %q depends on %q %s, and %s has version %s", clip(c.Name()), clip(d.Name), clip(constraint), clip(d.Repository), clip(sub.Metadata.Version))
	}
	return nil
}

// locked is the version that the lock file has for a dependency, else the
// constraint of the dependency.
func locked(c *chart.Chart, d *chart.Dependency) string {
	if c.Lock != nil {
		for _, l := range c.Lock.Dependencies {
			if l != nil && l.Name == d.Name && (compatible(d.Version, l.Version) || d.Version == l.Version) {
				return l.Version
			}
		}
	}
	return d.Version
}

// checkLock holds the lock file against the dependencies: what was locked for
// others would be the wrong versions.
func checkLock(c *chart.Chart, dir string) error {
	lock := c.Lock
	if lock == nil {
		return nil
	}
	req := c.Metadata.Dependencies
	alias := slices.ContainsFunc(req, func(d *chart.Dependency) bool {
		return d != nil && (strings.HasPrefix(d.Repository, "@") || strings.HasPrefix(d.Repository, "alias:"))
	})
	if lock.Digest == lockDigest([2][]*chart.Dependency{req, lock.Dependencies}) || c.Metadata.APIVersion == chart.APIVersionV1 && lock.Digest == lockDigest(map[string]any{"dependencies": req}) {
		return nil
	}
	// The digest covers the URL behind the name of a repository, which is not
	// known here; then the versions decide.
	if alias && lockCovers(req, lock.Dependencies) {
		return nil
	}
	name := "Chart.lock"
	if c.Metadata.APIVersion == chart.APIVersionV1 {
		name = "requirements.lock"
	}
	return fault.New(fault.Unprocessable, "chart_lock_out_of_sync", "%s does not belong to the dependencies in Chart.yaml: they were changed after it was made", path.Join(dir, name)).
		WithFix("run helm dependency update and commit the lock file")
}

func lockDigest(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func lockCovers(req, lock []*chart.Dependency) bool {
	if len(req) != len(lock) {
		return false
	}
	for i, d := range req {
		if d == nil || lock[i] == nil || lock[i].Name != d.Name || !compatible(d.Version, lock[i].Version) {
			return false
		}
	}
	return true
}
