package app

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// An instance names one process for ever: host, boot, process id and the time
// at which the process started, in the kernel's ticks. A process that starts
// again on the same host (the usual crash of a container: same pod, same host
// name) can therefore tell that the holder of the Lease is gone, and need not
// wait for the Lease to run out.
func newInstance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	pid := os.Getpid()
	return fmt.Sprintf("%s_%s_%d_%s", host, bootID(), pid, startTicks(pid))
}

// instanceGone reports whether an instance is known to have ended: it ran on
// this host, in this boot, and no process with its id and start time exists.
// Whatever is not certain is false.
func instanceGone(instance string) bool {
	parts := strings.Split(instance, "_")
	if len(parts) != 4 {
		return false
	}
	host, err := os.Hostname()
	if err != nil || parts[0] != host || parts[1] != bootID() || parts[1] == "" || parts[3] == "" {
		return false
	}
	pid, err := strconv.Atoi(parts[2])
	if err != nil || pid <= 0 {
		return false
	}
	if startTicks(os.Getpid()) == "" {
		return false // no process table to look at
	}
	return startTicks(pid) != parts[3]
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// startTicks is when a process started, "" when there is no such process, or no
// /proc.
func startTicks(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the command in parentheses, which may hold anything.
	end := strings.LastIndex(string(b), ") ")
	if end < 0 {
		return ""
	}
	fields := strings.Fields(string(b)[end+2:])
	if len(fields) < 20 {
		return ""
	}
	return fields[19] // starttime is field 22 of all, the third of all is the first here
}
