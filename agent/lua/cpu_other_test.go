//go:build !linux

package lua

import "time"

// mostWork is in real time, and on a busy machine that is others' too.
const mostWork = 20 * maxTime

func cpuOf(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}
