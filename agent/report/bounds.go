package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Bounds of one report.
const (
	// MaxReport bounds the JSON of status and tree together, in bytes.
	MaxReport = 256 << 10
	// MaxDifferences per object.
	MaxDifferences = 20
	// MaxValue is the longest value of a difference, in bytes.
	MaxValue = 512

	maxStatus     = 160 << 10 // leaves room for a tree
	maxMessage    = 1000
	maxConditions = 20
	maxHistory    = 20
)

// bound makes a status fit to be sent and returns its JSON. It copies what it
// changes: the caller's slices stay as they are.
func bound(s *model.AppStatus) []byte {
	manifest.GuardStatus(s)
	s.Health.Message = cut(s.Health.Message, maxMessage)
	s.Conditions = slices.Clone(s.Conditions[:min(len(s.Conditions), maxConditions)])
	for i := range s.Conditions {
		s.Conditions[i].Message = cut(s.Conditions[i].Message, maxMessage)
	}
	s.History = s.History[max(0, len(s.History)-maxHistory):]
	s.Resources = slices.Clone(s.Resources)
	for i := range s.Resources {
		r := &s.Resources[i]
		r.Health.Message = cut(r.Health.Message, maxMessage)
		r.Differences = slices.Clone(r.Differences[:min(len(r.Differences), MaxDifferences)])
		for j := range r.Differences {
			clean(&r.Differences[j])
		}
	}
	if s.Operation != nil {
		op := *s.Operation
		op.Message = cut(op.Message, maxMessage)
		s.Operation = &op
	}
	b := encode(s)
	for _, shrink := range []func(*model.AppStatus){dropValues, dropDifferences, dropResults, dropWell} {
		if len(b) <= maxStatus {
			return b
		}
		shrink(s)
		b = encode(s)
	}
	for len(b) > maxStatus && len(s.Resources) > 0 { // more troubled objects than fit
		n := min(len(s.Resources)*maxStatus/len(b), len(s.Resources)-1)
		s.Resources = s.Resources[:n]
		b = encode(s)
	}
	return b
}

// clean bounds one difference.
func clean(d *model.FieldDifference) {
	d.Desired, d.Live, d.Path = cut(d.Desired, MaxValue), cut(d.Live, MaxValue), cut(d.Path, MaxValue)
}

func dropValues(s *model.AppStatus) {
	for i := range s.Resources {
		for j := range s.Resources[i].Differences {
			d := &s.Resources[i].Differences[j]
			d.Desired, d.Live = cut(d.Desired, 32), cut(d.Live, 32)
		}
	}
}

func dropDifferences(s *model.AppStatus) {
	for i := range s.Resources {
		s.Resources[i].Differences = nil
		s.Resources[i].Health.Message = cut(s.Resources[i].Health.Message, 100)
	}
}

func dropResults(s *model.AppStatus) {
	if s.Operation != nil && s.Operation.Result != nil {
		res := *s.Operation.Result
		res.Resources = nil
		s.Operation.Result = &res
	}
}

// dropWell keeps objects that need attention before the others, and says how
// many are not shown.
func dropWell(s *model.AppStatus) {
	all := len(s.Resources)
	size := len(encode(s))
	keep := all * maxStatus / size * 9 / 10
	if keep >= all {
		return
	}
	byNeed := slices.Clone(s.Resources)
	slices.SortStableFunc(byNeed, func(a, b model.ResourceStatus) int { return cmp.Compare(need(b), need(a)) })
	s.Resources = byNeed[:keep]
	s.Conditions = append(s.Conditions, model.Condition{
		Type: "StatusTruncated", Code: "status_truncated",
		Message: fmt.Sprintf("The application has %d objects; the %d least troubled are not listed, to keep the report small.", all, all-keep),
	})
}

func need(r model.ResourceStatus) int {
	n := 0
	if r.Sync.Status != model.SyncSynced && r.Hook == "" || r.RequiresPruning {
		n++
	}
	if r.Health.Status != model.HealthHealthy && r.Health.Status != "" {
		n++
	}
	return n
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const mark = "…"
	return strings.ToValidUTF8(s[:max(0, n-len(mark))], "") + mark
}
