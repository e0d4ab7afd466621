// Package versions chooses among version numbers as Helm does: an exact version
// as it is written, else the highest that a constraint allows. It is for charts
// and for tags of OCI artifacts.
package versions

import (
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/hawser-dev/hawser/shared/fault"
)

// IsConstraint reports whether want can be met by a version that is written
// otherwise: "^1.2", ">=1 <3", "1.x", "*", "", and also "1.2.3", which "v1.2.3"
// meets.
func IsConstraint(want string) bool {
	_, err := constraint(want)
	return err == nil
}

func constraint(want string) (*semver.Constraints, error) {
	if strings.TrimSpace(want) == "" {
		want = "*"
	}
	return semver.NewConstraint(want)
}

// Pick returns the one of have that want asks for. What equals want to the
// letter comes first, then the same version with or without "v", then the
// highest that meets want as a constraint; "" and "*" are the highest without a
// prerelease. Prereleases count only where the constraint names one. What is no
// version counts only to the letter.
func Pick(have []string, want string) (version string, ok bool) {
	if slices.Contains(have, want) {
		return want, true
	}
	if want != "" {
		other := "v" + want
		if bare, has := strings.CutPrefix(want, "v"); has {
			other = bare
		}
		if slices.Contains(have, other) {
			return other, true
		}
	}
	c, err := constraint(want)
	if err != nil {
		return "", false
	}
	return highest(have, c.Check)
}

// Newest returns the highest of have, with prereleases only when there is
// nothing else; "" when none is a version.
func Newest(have []string) string {
	v, ok := highest(have, func(v *semver.Version) bool { return v.Prerelease() == "" })
	if !ok {
		v, _ = highest(have, func(*semver.Version) bool { return true })
	}
	return v
}

func highest(have []string, fits func(*semver.Version) bool) (found string, ok bool) {
	var best *semver.Version
	for _, s := range have {
		v, err := semver.NewVersion(s)
		if err != nil || !fits(v) {
			continue
		}
		// Of versions that differ in nothing that has an order, the greater
		// text: the result must not depend on the order of have.
		if best != nil {
			if c := v.Compare(best); c < 0 || c == 0 && s <= found {
				continue
			}
		}
		best, found, ok = v, s, true
	}
	return found, ok
}

// NoneOf is the error for a chart that has other versions than the one that is
// asked for. Code chart_not_found.
func NoneOf(chart, want string, have []string) error {
	newest := Newest(have)
	var err *fault.Error
	switch {
	case newest == "":
		err = fault.New(fault.Unprocessable, "chart_not_found", "chart %q has no version matching %q, and none that is a version number", clip(chart), clip(want))
	case want == "" || want == "*":
		err = fault.New(fault.Unprocessable, "chart_not_found", "chart %q has prereleases only; the newest is %s", clip(chart), newest).
			WithFix("write the version, or >0-0 for the newest prerelease")
	default:
		err = fault.New(fault.Unprocessable, "chart_not_found", "chart %q has no version matching %q; newest is %s", clip(chart), clip(want), newest)
	}
	return err.WithField("spec.source.targetRevision")
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:77], "") + "…"
	}
	return s
}
