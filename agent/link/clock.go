package link

import (
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// mostSkew is how far this clock may be from the hub's without a word in the log.
const mostSkew = time.Minute

// skewed is whether the log has said last that the clocks differ.
type skewed bool

// judge compares the clocks with an answer that took some time to be here, and says
// when it is another judgement than the one before. The hub read its clock at some
// moment of that time.
func (s *skewed) judge(l *Link, hub time.Time, took time.Duration) {
	ahead := l.opts.Now().Add(-took / 2).Sub(hub)
	if now := skewed(ahead.Abs() > mostSkew+took/2); now == *s {
		return
	} else if *s = now; !now {
		l.log.Info("the clocks agree again", "difference", ahead.Round(time.Millisecond).String())
		return
	}
	which := "ahead of"
	if ahead < 0 {
		which = "behind"
	}
	err := fault.New(fault.Precondition, "clock_skewed", "this machine's clock is %s %s the hub's", ahead.Abs().Round(time.Second), which).
		WithFix("have the nodes of this cluster, and the hub's machine, set their clocks by NTP")
	l.log.Warn("the clocks differ; the hub corrects ages, and nobody corrects certificates", "code", err.Code, "id", err.ID(), "error", err, "fix", err.Fix)
}
