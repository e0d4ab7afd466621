package access

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestFollowingEndsWithWhatWasChosen(t *testing.T) {
	pod := reached{Record: object("Pod a/p", "")}
	job := func(h model.Health) reached {
		r := object("batch/Job a/j", "")
		r.Health.Status = h
		return reached{Record: r}
	}
	deployment := reached{Record: object("apps/Deployment a/d", "")}
	for name, c := range map[string]struct {
		chosen []reached
		want   bool
	}{
		"nothing is left":                {nil, true},
		"pods":                           {[]reached{pod, pod}, true},
		"a Job that has succeeded":       {[]reached{job(model.HealthHealthy)}, true},
		"a Job that has failed":          {[]reached{job(model.HealthDegraded), pod}, true},
		"a Job that makes another try":   {[]reached{job(model.HealthProgressing)}, false},
		"a Job that is not judged yet":   {[]reached{job("")}, false},
		"a Job of another group":         {[]reached{{Record: object("x/Job a/j", "")}}, false},
		"a Deployment, which has pods":   {[]reached{deployment, pod}, false},
		"an object that never has a pod": {[]reached{{Record: object("ConfigMap a/c", "")}}, false},
	} {
		if got := finished(c.chosen); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A container's lives are told apart although a status may name them in three
// places.
func TestLivesOfAContainer(t *testing.T) {
	state := func(kind, id, started string) (s containerState) {
		switch kind {
		case "running":
			s.Running = &struct {
				StartedAt string `json:"startedAt"`
			}{started}
		case "terminated":
			s.Terminated = &struct {
				ContainerID string `json:"containerID"`
				StartedAt   string `json:"startedAt"`
			}{id, started}
		case "waiting":
			s.Waiting = &struct {
				Reason string `json:"reason"`
			}{"CrashLoopBackOff"}
		}
		return s
	}
	for name, c := range map[string]struct {
		status containerStatus
		want   string
	}{
		"none yet":                        {containerStatus{State: state("waiting", "", "")}, ""},
		"unknown":                         {containerStatus{}, ""},
		"the first":                       {containerStatus{ContainerID: "1", State: state("running", "", "t1")}, "1@t1"},
		"the first, which has ended":      {containerStatus{ContainerID: "1", State: state("terminated", "1", "t1")}, "1@t1"},
		"ended, and waits for the second": {containerStatus{ContainerID: "1", State: state("waiting", "", ""), LastState: state("terminated", "1", "t1")}, "1@t1"},
		"the second":                      {containerStatus{ContainerID: "2", State: state("running", "", "t2"), LastState: state("terminated", "1", "t1")}, "2@t2"},
		"the second did not start":        {containerStatus{State: state("terminated", "", "t2"), LastState: state("terminated", "1", "t1")}, "1@t1"},
		"without ids":                     {containerStatus{State: state("terminated", "", "t1")}, "@t1"},
	} {
		if got := c.status.life(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestPausesGrowAndChangesWakeEarly(t *testing.T) {
	l := &logFollower{}
	pause := 4 * time.Second
	changed := make(chan struct{})
	close(changed)
	began := time.Now()
	l.wait(t.Context(), changed, &pause)
	if took := time.Since(began); took > 2*time.Second || pause != mostPause {
		t.Errorf("a change woke after %s, the next pause is %s", took, pause)
	}
}
