package policy

import (
	"fmt"
	"strconv"
)

// Usage is what other applications have of a project's limits.
type Usage struct {
	// Applications of the project besides the one that is asked about, and
	// Objects of all of these together.
	Applications, Objects int
	// Member: the application is in the project already. It may stay, whatever
	// the limit is now.
	Member bool
	// Present is how many objects the application has at the moment. It may keep
	// as many, or fewer, although the project has too many.
	Present int
}

// applications checks maxApplications. A limit that was lowered below what there
// is refuses what is new, not what is there.
func (c compiled) applications(d *Decision, usage *Usage) {
	l := c.Spec.Limits
	switch {
	case l == nil || l.MaxApplications == nil && l.MaxObjects == nil && l.MaxObjectsPerApplication == nil:
		d.pass(RuleLimits, "the project has no limits")
	case l.MaxApplications == nil:
		d.skip(RuleLimits, "decided after rendering, by the number of objects")
	case usage == nil:
		d.skip(RuleLimits, "decided by the hub, which counts the project's applications")
	case usage.Member || int64(usage.Applications) < *l.MaxApplications:
		n := usage.Applications + 1
		d.passBy(RuleLimits, fmt.Sprintf("with this one the project has %d of at most %d applications", n, *l.MaxApplications),
			fmt.Sprintf("maxApplications %d", *l.MaxApplications))
	default:
		d.fail(RuleLimits, Refusal{Code: CodeQuota, Field: "spec.project", Found: strconv.Itoa(usage.Applications + 1),
			Allowed:     fmt.Sprintf("at most %d applications", *l.MaxApplications),
			Message:     fmt.Sprintf("project %s may have %d applications and has %d", quote(c.Name), *l.MaxApplications, usage.Applications),
			NearestRule: fmt.Sprintf("limits.maxApplications %d", *l.MaxApplications),
			Fix:         "delete an application of project " + quote(c.Name) + ", or raise limits.maxApplications"})
	}
}

// objectLimits checks maxObjectsPerApplication and maxObjects.
func (c compiled) objectLimits(d *Decision, n int, usage *Usage) {
	l := c.Spec.Limits
	if l == nil || l.MaxObjects == nil && l.MaxObjectsPerApplication == nil {
		return
	}
	if most := l.MaxObjectsPerApplication; most != nil && int64(n) > *most {
		d.fail(RuleLimits, Refusal{Code: CodeQuota, Found: strconv.Itoa(n), Allowed: fmt.Sprintf("at most %d objects", *most),
			Message:     fmt.Sprintf("an application of project %s may have %d objects; this one has %d", quote(c.Name), *most, n),
			NearestRule: fmt.Sprintf("limits.maxObjectsPerApplication %d", *most),
			Fix:         "split the application, or raise limits.maxObjectsPerApplication of project " + quote(c.Name)})
		return
	}
	if most := l.MaxObjects; most != nil && usage != nil && n > usage.Present && int64(usage.Objects)+int64(n) > *most {
		d.fail(RuleLimits, Refusal{Code: CodeQuota, Found: strconv.Itoa(usage.Objects + n), Allowed: fmt.Sprintf("at most %d objects", *most),
			Message: fmt.Sprintf("the applications of project %s may have %d objects together; with the %d of this one they would have %d",
				quote(c.Name), *most, n, usage.Objects+n),
			NearestRule: fmt.Sprintf("limits.maxObjects %d", *most),
			Fix:         "remove objects from applications of project " + quote(c.Name) + ", or raise limits.maxObjects"})
		return
	}
	d.pass(RuleLimits, fmt.Sprintf("%d objects are within the limits", n))
}
