package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hawser-dev/hawser/e2e/console"
)

// consoleRate is how many changes a second arrive while the console is measured.
const consoleRate = 50

// measured is a sample that the steps in the browser wrote.
type measured struct {
	Name, What, Unit string
	Value            float64
	// Goal of the statistic Of, such as "median"; 0 for none.
	Goal float64
	Of   string
}

// console measures the console in Chromium, over a hub of goal size whose agents
// report changes all the while. The steps are in hub/console/e2e/bench.
func (b *bench) console(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Minute)
	defer cancel()
	p, err := console.Find(ctx, b.log)
	if err != nil {
		return err
	}
	h, err := startSeededHub(ctx, b.bin, seedApplications, b.log)
	if err != nil {
		return err
	}
	defer h.Close()
	b.Versions.ofHub(ctx, h.Rig, h.db.Version())
	if err := h.connectAgents(ctx); err != nil {
		return err
	}
	if err := h.settled(ctx); err != nil {
		return err
	}
	changes, stop := context.WithCancel(ctx)
	defer stop()
	go h.change(changes, consoleRate)
	file := filepath.Join(h.dir, "measured.jsonl")
	run := p.Run(ctx, console.Steps{
		Project: "bench", Hub: h.Hub.URL(), User: seedPerson, Password: seedPassword,
		Output: filepath.Join(h.dir, "playwright"), Env: []string{"HAWSER_MEASURED=" + file},
	}, b.log)
	// What was measured before something failed counts.
	if err := b.read(file); err != nil {
		return err
	}
	return run
}

func (b *bench) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("nothing was measured: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		var m measured
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("a sample of the browser: %w", err)
		}
		metric := b.add("console/"+m.Name, m.What, m.Unit, round(m.Value))
		if m.Goal > 0 {
			metric.atMost(m.Of, m.Goal)
		}
	}
}
