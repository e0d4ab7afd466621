package model

// PreflightOutcome of one check.
type PreflightOutcome string

const (
	PreflightOK      PreflightOutcome = "ok"
	PreflightWarning PreflightOutcome = "warning"
	PreflightFailed  PreflightOutcome = "failed"
	// PreflightSkipped: what it asks cannot be told, because of another check, or it
	// is of no matter here.
	PreflightSkipped PreflightOutcome = "skipped"
)

// PreflightCheck is what an agent found out about one thing that it needs, before
// it enrols.
type PreflightCheck struct {
	// Check is its name, such as "dns".
	Check   string           `json:"check"`
	Outcome PreflightOutcome `json:"outcome"`
	// Code says what is wrong, with a warning or a failure.
	Code string `json:"code,omitempty"`
	// Message says what was found and where, Fix what to do.
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}
