package plugin

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// proc is a process as /proc has it.
type proc struct {
	pid, parent, group int
	state              byte
	threads            int
	pages              int64 // resident
}

// processes lists all that this process can see.
func processes() []proc {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = d.Close() }() // only read
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil
	}
	out := make([]proc, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := readProcess(pid); ok {
			out = append(out, p)
		}
	}
	return out
}

func readProcess(pid int) (proc, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return proc{}, false
	}
	// The name, in parentheses, may hold anything.
	_, rest, ok := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 22 {
		return proc{}, false
	}
	p := proc{pid: pid, state: fields[0][0]}
	p.parent, _ = strconv.Atoi(fields[1])
	p.group, _ = strconv.Atoi(fields[2])
	p.threads, _ = strconv.Atoi(fields[17])
	p.pages, _ = strconv.ParseInt(fields[21], 10, 64)
	return p, true
}

// below are the descendants of a process, without those that have ended.
func below(root int, all []proc) []proc {
	children := map[int][]proc{}
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
	}
	var out []proc
	queue := []int{root}
	for len(queue) > 0 {
		next := children[queue[0]]
		delete(children, queue[0]) // a list read in pieces may show a circle
		queue = queue[1:]
		for _, p := range next {
			queue = append(queue, p.pid)
			if p.state != 'Z' && p.state != 'X' {
				out = append(out, p)
			}
		}
	}
	return out
}

// killTime is how long descendants are killed for before it is given up.
const killTime = 10 * time.Second

// killBelow kills all descendants of a process, none of which is in the group of
// this one. It kills whole groups: the kernel does that at once, so that a
// process that forks faster than it is found does not get away.
func killBelow(root int) {
	own := syscall.Getpgrp()
	for end := time.Now().Add(killTime); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		groups := map[int]bool{}
		for _, p := range below(root, processes()) {
			if p.group != own {
				groups[p.group] = true
			}
		}
		if len(groups) == 0 {
			return
		}
		for group := range groups {
			_ = syscall.Kill(-group, syscall.SIGKILL) // it may have ended
		}
	}
}

// memoryOf is the memory of processes in bytes. What they share is counted once,
// which costs so much to find out that it is done only when it matters.
func memoryOf(list []proc, limit int64) int64 {
	var sum int64
	for _, p := range list {
		sum += p.pages * int64(os.Getpagesize())
	}
	if sum <= limit {
		return sum
	}
	sum = 0
	for _, p := range list {
		data, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/smaps_rollup")
		if err != nil {
			sum += p.pages * int64(os.Getpagesize())
			continue
		}
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
				sum += kb << 10
				break
			}
		}
	}
	return sum
}
