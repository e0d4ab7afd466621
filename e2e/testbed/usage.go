package testbed

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Usage is what a process has used since it started.
type Usage struct {
	// CPUSeconds is user and system time.
	CPUSeconds float64
	// RSS and PeakRSS are resident memory in bytes, now and at most.
	RSS, PeakRSS int64
}

// clockTicks is the kernel's USER_HZ, which is 100 on every platform of Go.
const clockTicks = 100

// ProcessUsage reads the usage of a process from /proc; it needs Linux. Threads
// are included, child processes are not.
func ProcessUsage(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("testbed: usage of process %d: %w", pid, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("testbed: usage of process %d: %w", pid, err)
	}
	return parseUsage(stat, status)
}

func parseUsage(stat, status []byte) (Usage, error) {
	var u Usage
	// The second field is the name in parentheses and may hold anything.
	end := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[end+1:]))
	if end < 0 || len(fields) < 13 {
		return u, fmt.Errorf("testbed: usage: unexpected content of /proc/PID/stat: %.80q", stat)
	}
	for _, field := range fields[11:13] { // utime and stime
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return u, fmt.Errorf("testbed: usage: /proc/PID/stat: %w", err)
		}
		u.CPUSeconds += float64(ticks) / clockTicks
	}
	for line := range strings.Lines(string(status)) {
		var to *int64
		switch key, _, _ := strings.Cut(line, ":"); key {
		case "VmRSS":
			to = &u.RSS
		case "VmHWM":
			to = &u.PeakRSS
		default:
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "kB" {
			return u, fmt.Errorf("testbed: usage: unexpected line in /proc/PID/status: %.80q", line)
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return u, fmt.Errorf("testbed: usage: /proc/PID/status: %w", err)
		}
		*to = kib << 10
	}
	return u, nil
}

// Usage reports the running processes of the control plane by name (ProcEtcd and
// so on). Processes that are not running are missing.
func (cp *ControlPlane) Usage() (map[string]Usage, error) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	all := map[string]Usage{}
	for name, p := range cp.procs {
		if !p.Running() {
			continue
		}
		u, err := ProcessUsage(p.PID())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = u
	}
	return all, nil
}
