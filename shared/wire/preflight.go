package wire

import (
	"regexp"
	"strings"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// What a preflight may say at most: it comes from whoever has a token, and is kept
// in a row.
const (
	maxChecks    = 24
	maxCheckText = 1000
)

var (
	checkName = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)
	checkCode = regexp.MustCompile(`^[a-z][a-z0-9_]{1,63}$`)
)

// PreflightToProto writes the results of a preflight.
func PreflightToProto(checks []model.PreflightCheck) []*agentv1.PreflightCheck {
	out := make([]*agentv1.PreflightCheck, len(checks))
	for i, c := range checks {
		out[i] = &agentv1.PreflightCheck{Check: c.Check, Outcome: string(c.Outcome), Code: c.Code, Message: cutCheck(c.Message), Fix: cutCheck(c.Fix)}
	}
	return out
}

// Preflight reads the results of a preflight.
func Preflight(in []*agentv1.PreflightCheck) ([]model.PreflightCheck, error) {
	if len(in) > maxChecks {
		return nil, invalid("a preflight has %d checks; %d are allowed", len(in), maxChecks)
	}
	seen := make(map[string]bool, len(in))
	out := make([]model.PreflightCheck, len(in))
	for i, p := range in {
		c := model.PreflightCheck{Check: p.GetCheck(), Outcome: model.PreflightOutcome(p.GetOutcome()), Code: p.GetCode(), Message: cutCheck(p.GetMessage()), Fix: cutCheck(p.GetFix())}
		switch {
		case !checkName.MatchString(c.Check) || seen[c.Check]:
			return nil, invalid("a check of a preflight is called nothing that it may be called, or is there twice")
		case c.Code != "" && !checkCode.MatchString(c.Code):
			return nil, invalid("the check %s of a preflight has a code that is none", c.Check)
		}
		switch c.Outcome {
		case model.PreflightOK, model.PreflightSkipped, model.PreflightWarning, model.PreflightFailed:
		default:
			return nil, invalid("the check %s of a preflight has an outcome that is none", c.Check)
		}
		seen[c.Check], out[i] = true, c
	}
	return out, nil
}

func cutCheck(s string) string {
	if len(s) <= maxCheckText {
		return s
	}
	return strings.ToValidUTF8(s[:maxCheckText], "") + "…"
}
