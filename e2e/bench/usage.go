package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// usage is what the parts of Hawser have used: CPU in seconds since their start,
// memory in bytes.
type usage struct {
	HubCPU, PostgresCPU, AgentCPU, APIServerCPU float64
	HubRSS, HubPeak                             int64
	// WorkersPeak is the sum over the hub's worker processes of now.
	WorkersPeak         int64
	AgentRSS, AgentPeak int64
}

func usageOf(r *rig.Rig, c *rig.Cluster) (u usage, err error) {
	table, err := processes()
	if err != nil {
		return u, err
	}
	hub, agent := r.Hub.PID(), c.AgentPID()
	postgres, err := r.Hub.PostgresPID()
	if err != nil {
		return u, err
	}
	for _, pid := range table.tree(hub, postgres) {
		u.HubCPU += table[pid].cpu
		if pid == hub {
			continue
		}
		worker, err := testbed.ProcessUsage(pid)
		if err != nil {
			continue // it ended meanwhile
		}
		u.WorkersPeak += worker.PeakRSS
	}
	for _, pid := range table.tree(postgres, 0) {
		u.PostgresCPU += table[pid].cpu
	}
	h, err := testbed.ProcessUsage(hub)
	if err != nil {
		return u, err
	}
	a, err := testbed.ProcessUsage(agent)
	if err != nil {
		return u, err
	}
	u.HubRSS, u.HubPeak = h.RSS, h.PeakRSS
	u.AgentRSS, u.AgentPeak = a.RSS, a.PeakRSS
	u.AgentCPU = table[agent].cpu
	u.APIServerCPU, err = apiServerCPU(c.ControlPlane)
	return u, err
}

// process is a line of the process table. cpu includes ended children that it
// has waited for.
type process struct {
	parent int
	cpu    float64
}

type processTable map[int]process

func processes() (processTable, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	table := processTable{}
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		p, err := parseStat(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		table[pid] = p
	}
	return table, nil
}

// ticks is the kernel's USER_HZ.
const ticks = 100

func parseStat(stat []byte) (p process, err error) {
	// The name in parentheses may hold anything.
	end := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[end+1:]))
	if end < 0 || len(fields) < 15 {
		return p, fmt.Errorf("unexpected content %.60q", stat)
	}
	if p.parent, err = strconv.Atoi(fields[1]); err != nil {
		return p, err
	}
	for _, f := range fields[11:15] { // utime stime cutime cstime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return p, err
		}
		p.cpu += float64(n) / ticks
	}
	return p, nil
}

// tree is a process and its descendants, without the tree of another.
func (t processTable) tree(root, without int) []int {
	if _, ok := t[root]; !ok || root == without {
		return nil
	}
	all := []int{root}
	for pid, p := range t {
		if p.parent == root {
			all = append(all, t.tree(pid, without)...)
		}
	}
	return all
}
