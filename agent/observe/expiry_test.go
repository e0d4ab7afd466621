package observe

import (
	"net/http"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

func TestExpiryPause(t *testing.T) {
	for n, want := range map[int][2]time.Duration{
		0:    {0, time.Second},
		1:    {0, time.Second},
		2:    {time.Second, 2 * time.Second},
		3:    {2 * time.Second, 4 * time.Second},
		5:    {8 * time.Second, 16 * time.Second},
		6:    {15 * time.Second, 30 * time.Second},
		100:  {15 * time.Second, 30 * time.Second},
		1e18: {15 * time.Second, 30 * time.Second},
	} {
		if least, most := expiryPause(n); least != want[0] || most != want[1] {
			t.Errorf("after %d: %v to %v, want %v", n, least, most, want)
		}
	}
}

// TestExpiriesBackOff: a server that forgets what it has just listed is listed
// ever more rarely; a kind that was live for long is listed again soon.
func TestExpiriesBackOff(t *testing.T) {
	now := time.Unix(1000, 0)
	o := New(Options{Config: &rest.Config{Host: "http://127.0.0.1"}, Now: func() time.Time { return now }})
	r := newReflector(o, gkConfigMap, false)
	expired := &statusError{code: http.StatusGone, reason: "Expired"}
	for _, step := range []struct {
		name        string
		live        bool // the list succeeded
		lasts       time.Duration
		err         *statusError
		least, most time.Duration
	}{
		{"the first", true, 0, expired, 0, time.Second},
		{"the next, at once", true, 0, expired, time.Second, 2 * time.Second},
		{"after some seconds", true, 5 * time.Second, expired, 2 * time.Second, 4 * time.Second},
		{"the version is too large", true, 0, &statusError{code: http.StatusGatewayTimeout, reason: "Timeout"}, 4 * time.Second, 8 * time.Second},
		{"in the middle of the list, which took long", false, time.Hour, expired, 8 * time.Second, 16 * time.Second},
		{"and again", true, 0, expired, 15 * time.Second, 30 * time.Second},
		{"no longer than the cap", true, 0, expired, 15 * time.Second, 30 * time.Second},
		{"after a live period", true, livePeriod, expired, 0, time.Second},
		{"the next", true, 0, expired, time.Second, 2 * time.Second},
		{"as long as the server asks", true, 0, &statusError{code: http.StatusGone, reason: "Expired", retryAfter: time.Minute}, time.Minute, 2 * time.Minute},
	} {
		r.at.version = "7"
		if step.live {
			r.live()
			r.live() // a watch that goes on does not begin another period
		}
		now = now.Add(step.lasts)
		if pause := r.judgeEnd(step.err); pause < step.least || pause > step.most {
			t.Errorf("%s: %v, want %v to %v", step.name, pause, step.least, step.most)
		}
		if r.at.version != "" {
			t.Errorf("%s: it is not listed again", step.name)
		}
	}
}

// TestUnreadableWatchesBackOff: a list that succeeds does not make up for a watch
// that cannot be read each time.
func TestUnreadableWatchesBackOff(t *testing.T) {
	for name, err := range map[string]error{"unreadable": errJSON, "not served": &statusError{code: http.StatusNotFound, reason: "NotFound"}} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			o := New(Options{Config: &rest.Config{Host: "http://127.0.0.1"}, Now: func() time.Time { return now }})
			r := newReflector(o, gkConfigMap, false)
			for n := 1; n <= 5; n++ {
				r.live()
				if r.judgeEnd(err); r.failures != n || r.at.version != "" {
					t.Errorf("%d failures, want %d", r.failures, n)
				}
			}
			r.live()
			now = now.Add(livePeriod)
			if r.judgeEnd(err); r.failures != 1 {
				t.Errorf("%d failures after a live period", r.failures)
			}
		})
	}
}
