package lua

import (
	"runtime"
	"syscall"
	"time"
)

// mostWork is what a run may work: five times the limit.
const mostWork = 5 * maxTime

// cpuOf is the CPU time of what do does in its own goroutine. What other programs
// and other goroutines do meanwhile is not in it.
func cpuOf(do func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	do()
	return threadTime() - before
}

func threadTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		panic(err) // Linux has it since 2.6.26
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
