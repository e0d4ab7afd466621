package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// decisionBenchmarks are Go benchmarks of the packages that decide, by the name that
// `go test` prints.
var decisionBenchmarks = []struct {
	pkg, name    string
	metric, what string
	goal         float64 // µs; 0: none
}{
	{"./agent/health", "BenchmarkOf/typed", "health-typed", "health of a Deployment", 0},
	{"./agent/health", "BenchmarkOf/rule", "health-rule", "health of a cert-manager Certificate, by our rule", 0},
	{"./agent/health", "BenchmarkOf/others", "health-kstatus", "health of a kind without a rule, by its conditions", 0},
	{"./agent/lua", "BenchmarkHealth/2KB", "health-lua", "health of an object of 2 KB by a Lua script in a pooled state", 20},
	{"./agent/lua", "BenchmarkHealth/100KB", "health-lua-100KB", "health of an object of 100 KB by the same script", 0},
	{"./agent/diff", "BenchmarkCompare/2KB/same", "diff-2KB", "comparison of a Deployment of 2 KB with its live object", 0},
	{"./agent/diff", "BenchmarkCompare/2KB/differs", "diff-2KB-differs", "the same when a field differs", 0},
	{"./agent/diff", "BenchmarkCompare/2KB/jq", "diff-2KB-jq", "the same with a jq rule", 0},
	{"./agent/diff", "BenchmarkCompare/100KB/same", "diff-100KB", "comparison of a Deployment of 100 KB", 0},
}

// decisions measures health and comparisons in the packages' own benchmarks, one
// process for each package.
func (b *bench) decisions(ctx context.Context) error {
	found := map[string][]float64{}
	for _, pkg := range []string{"./agent/health", "./agent/lua", "./agent/diff"} {
		if err := b.goBenchmarks(ctx, pkg, "^(BenchmarkOf|BenchmarkHealth|BenchmarkCompare)$", found); err != nil {
			return err
		}
	}
	for _, d := range decisionBenchmarks {
		if len(found[d.name]) == 0 {
			return errors.New(d.name + " was not measured")
		}
		for _, ns := range found[d.name] {
			m := b.add("decisions/"+d.metric, d.what, "µs", round(ns/1000))
			if d.goal > 0 {
				m.atMost("median", d.goal)
			}
			b.add("decisions/"+d.metric+"-rate", "so many a second on one core", "1/s", float64(int(1e9/ns)))
		}
	}
	return nil
}

// goBenchmarks runs Go benchmarks of a package in a process of their own.
func (b *bench) goBenchmarks(ctx context.Context, pkg, which string, into map[string][]float64) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", which, "-benchtime", "0.5s", "-count", strconv.Itoa(b.repeat), pkg)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &complaint, os.Environ()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s%s", cmd, err, &out, &complaint)
	}
	nanoseconds(out.String(), into)
	return nil
}

// nanoseconds reads ns/op from the lines of Go benchmarks, by name without the
// number of processors.
func nanoseconds(output string, into map[string][]float64) {
	for line := range strings.Lines(output) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") || f[3] != "ns/op" {
			continue
		}
		name := f[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		if ns, err := strconv.ParseFloat(f[2], 64); err == nil {
			into[name] = append(into[name], ns)
		}
	}
}
