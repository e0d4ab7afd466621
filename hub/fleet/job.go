package fleet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// NewJob is a job to be stored, together with its items.
type NewJob struct {
	ID   string // a UUIDv7
	Kind model.JobKind
	Spec []byte // JSON, nil for none
	// InitiatedBy is who asked, and Token the API token that was used: the items
	// may do what that may do when their turn comes.
	InitiatedBy, Token string
	Applications       []string
	// Request is the idempotency key with its caller, "" for none, and Digest what
	// was asked for.
	Request string
	Digest  []byte
}

// StoredJob is a job with what is not shown of it.
type StoredJob struct{ model.Job }

// JobFilter says which jobs are listed, the newest first.
type JobFilter struct {
	Token string // that they were submitted with, "" for any
	Limit int
	// Before is the id that the list goes on after, "" for the beginning.
	Before string
}

// JobKey is the idempotency key of the command to one item: a hub that was killed
// between the command and its record gives the command again, and it is taken
// once.
func JobKey(job string, number int) string { return fmt.Sprintf("job/%s/%d", job, number) }

// RunningJob is a job that has not ended, with the API token it was submitted with.
type RunningJob struct{ ID, Token string }

// NextJob chooses whose turn it is after one of a token, "" for the first: that of
// the next token in their order, and of its jobs the oldest. It reports false when
// none is running.
func NextJob(running []RunningJob, after string) (RunningJob, bool) {
	if len(running) == 0 {
		return RunningJob{}, false
	}
	turn := func(j RunningJob) (int, string, string) {
		if j.Token > after {
			return 0, j.Token, j.ID
		}
		return 1, j.Token, j.ID // the others' turns come first
	}
	return slices.MinFunc(running, func(a, b RunningJob) int {
		pass, token, id := turn(a)
		otherPass, otherToken, otherID := turn(b)
		return cmp.Or(cmp.Compare(pass, otherPass), cmp.Compare(token, otherToken), cmp.Compare(id, otherID))
	}), true
}

// CheckJob decides whether a request can be a job, whatever the applications.
func CheckJob(r model.JobRequest) error {
	var problems fault.List
	if !slices.Contains([]model.JobKind{model.JobSync, model.JobRefresh, model.JobRollback, model.JobDelete, model.JobAction}, r.Kind) {
		problems = append(problems, fault.New(fault.Invalid, "value_unknown", "kind is %q; allowed: sync, refresh, rollback, delete, action", r.Kind).
			WithField("kind").WithFound(string(r.Kind), "sync, refresh, rollback, delete, action"))
	}
	chosen := r.Project != "" || r.Cluster != "" || r.Selector != "" || r.Filter != ""
	switch {
	case len(r.Applications) > 0 && chosen:
		problems = append(problems, fault.New(fault.Invalid, "job_ambiguous", "applications are named, and chosen by project, cluster, selector or filter; one of both is needed").WithField("applications"))
	case len(r.Applications) == 0 && !chosen:
		// Nothing said must not mean everything.
		problems = append(problems, fault.New(fault.Invalid, "job_empty", "no application is meant").WithField("applications").
			WithFix("name applications, or a project, cluster, selector or filter"))
	case len(r.Applications) > model.MaxJobItems:
		problems = append(problems, TooManyItems(len(r.Applications)))
	}
	seen := map[string]bool{}
	for i, name := range r.Applications {
		if seen[name] {
			problems = append(problems, fault.New(fault.Invalid, "duplicate_object", "application %q is named twice", name).WithField(fmt.Sprintf("applications[%d]", i)))
			break
		}
		seen[name] = true
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// MaxRunningJobs bounds the jobs that one API token has running at a time: they
// are run one after the other, and others wait for them.
const MaxRunningJobs = 10

// TooManyJobs is the refusal of a job of a token that has n running.
func TooManyJobs(n int) *fault.Error {
	return fault.New(fault.RateLimited, "too_many_jobs", "%d jobs of your API token are running; at most %d are at a time", n, MaxRunningJobs).
		WithFix("wait until one has ended, or cancel one: hawser job list --filter is:open")
}

// JobDryRun reports whether the commands of a job only say what they would do.
func JobDryRun(kind model.JobKind, spec []byte) bool {
	var s struct {
		DryRun bool `json:"dryRun"`
	}
	return (kind == model.JobSync || kind == model.JobRollback) && json.Unmarshal(spec, &s) == nil && s.DryRun
}

// TooManyItems is the refusal of a job with n items.
func TooManyItems(n int) *fault.Error {
	return fault.New(fault.TooLarge, "job_too_large", "%d applications are meant; a job has at most %d", n, model.MaxJobItems).
		WithField("applications").WithFix("submit several jobs")
}

// ItemResult is what came of the command to one item.
type ItemResult struct {
	Phase         model.JobItemPhase
	Operation     model.OperationID
	Code, Message string
}

// DecideItem is what becomes of an item after its command was tried. again: it
// stays pending, because the hub could not know or could not yet; nothing was
// lost, and the key makes the next try the same command.
func DecideItem(op model.OperationID, err error) (r ItemResult, again bool) {
	switch {
	case err == nil:
		return ItemResult{Phase: model.ItemAccepted, Operation: op}, false
	case fault.Is(err, fault.Unavailable) || fault.Is(err, fault.RateLimited):
		return ItemResult{}, true
	}
	e := fault.As(err)
	return ItemResult{Phase: model.ItemFailed, Code: e.Code, Message: e.Message}, false
}

// JobEnd decides whether a job has ended.
func JobEnd(j model.Job) (model.JobPhase, bool) {
	switch {
	case j.Phase != model.JobRunning:
		return j.Phase, false
	case j.Pending > 0:
		return model.JobRunning, false
	case j.CancelledBy != "":
		return model.JobCancelled, true
	}
	return model.JobFinished, true
}

// JobPause is how long a job waits before it tries again what could not be done.
func JobPause(attempt int) time.Duration {
	return min(time.Second<<min(attempt, 6), 30*time.Second)
}

// Requests are kept for so long under their idempotency keys.
const KeptRequests = 24 * time.Hour

// KeptJobs is how long a job is kept after its end.
const KeptJobs = 14 * 24 * time.Hour

// RequestRecord is a request that was made under an idempotency key.
type RequestRecord struct {
	Caller, Key string
	// Digest of what was asked for.
	Digest []byte
	// Status and Answer are set when it was answered; 0 while it is under way.
	Status int
	Answer []byte
}

// DecideRequest decides about a request whose key has a record: nil when the
// record's answer is given again.
func DecideRequest(old RequestRecord, digest []byte) error {
	switch {
	case string(old.Digest) != string(digest):
		return fault.New(fault.Conflict, "idempotency_key_reused", "the idempotency key belongs to another request").
			WithField("Idempotency-Key").WithFix("use a new key for a new request")
	case old.Status == 0:
		return fault.New(fault.Unavailable, "request_in_flight", "a request with this idempotency key is under way").WithFix("ask again with the same key")
	}
	return nil
}
