package delivery

import (
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// A render can fail although nothing that delivery is told about changes before
// it would succeed: the repository of a chart's dependency or of a remote base is
// away, refuses a credential, or has a version a minute later; a worker had too
// little time. So whoever failed is looked at again.

const (
	// maxRetryPassing is the longest pause after trouble that may pass.
	maxRetryPassing = 3 * time.Minute
	// maxRetryContent is the longest after what the content most likely caused.
	// The first is maxRetryPassing.
	maxRetryContent = time.Hour
)

// retry is the next look at one application.
type retry struct {
	after time.Duration
	timer *time.Timer
}

// retryAfter is the pause after a failed render that follows on one of the
// length last, 0 for the first failure; 0 means that only a change can help.
func retryAfter(first, last time.Duration, err error) time.Duration {
	switch fault.As(err).Kind {
	case fault.Denied, fault.Invalid:
		return 0 // projects, applications and repositories tell of their changes
	case fault.Unprocessable, fault.NotFound, fault.TooLarge:
		return min(max(2*last, 36*first), max(maxRetryContent, first))
	}
	if last == 0 {
		return first
	}
	return min(2*last, max(maxRetryPassing, first))
}

// causedByContent reports whether a failure is about what was to be rendered,
// rather than about trouble on the way to it, which may pass.
func causedByContent(err error) bool {
	switch fault.As(err).Kind {
	case fault.Denied, fault.Invalid, fault.Unprocessable, fault.NotFound, fault.TooLarge:
		return true
	}
	return false
}

// retryLater has an application looked at again.
func (d *Delivery) retryLater(uid model.AppUID, err error) {
	d.retryFrom(uid, d.lastPause(uid), err)
}

// lastPause is how long was waited for the look at an application that was due
// last, 0 when it needed none.
func (d *Delivery) lastPause(uid model.AppUID) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.retries[uid]; r != nil {
		return r.after
	}
	return 0
}

// retryFrom is retryLater after a pause of the length last.
func (d *Delivery) retryFrom(uid model.AppUID, last time.Duration, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := retryAfter(d.RetryRender, last, err)
	d.forget(uid)
	if after == 0 {
		return
	}
	d.retries[uid] = &retry{after: after, timer: time.AfterFunc(after, func() {
		d.mu.Lock()
		d.note(uid, look{})
		d.mu.Unlock()
		d.signal()
	})}
}

// settled notes that an application needs no other attempt.
func (d *Delivery) settled(uid model.AppUID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(uid)
}

// forget needs d.mu.
func (d *Delivery) forget(uid model.AppUID) {
	if r := d.retries[uid]; r != nil {
		r.timer.Stop()
		delete(d.retries, uid)
	}
}

func (d *Delivery) stopRetries() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for uid := range d.retries {
		d.forget(uid)
	}
}
