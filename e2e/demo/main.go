// Command hawser-demo starts the real thing on one machine: three Kubernetes
// control planes whose agents only dial out, a Git server, and a hub with its own
// Postgres. With --check it walks through six faults and changes, prints one JSON
// line with the time of each, and exits 0 only if all held.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hawser-dev/hawser/e2e/console"
)

func main() {
	bin := flag.String("bin", "bin", "directory with the programs")
	check := flag.Bool("check", false, "walk through the checks without a person, and exit")
	dev := flag.Bool("dev", false, "serve the sources of the console too, with hot reload")
	keep := flag.String("dir", "", "keep data and logs in this directory (default: a temporary one)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *keep, *check, *dev); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, dir string, check, dev bool) error {
	out := io.Writer(os.Stdout)
	if check {
		out = os.Stderr // standard output is the JSON line alone
	}
	progress := newProgress(out)
	d, err := start(ctx, bin, dir, progress)
	if d != nil {
		defer func() {
			progress.step("stopping everything")
			if err := d.Close(); err != nil {
				fmt.Fprintln(os.Stderr, "demo: stopping:", err)
			}
			progress.done("nothing is left behind")
		}()
	}
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return err
	}
	if !check {
		if dev { // the link is for the page that is served here
			d.console = console.DevAddress + strings.TrimPrefix(d.console, d.Hub.URL())
		}
		d.invite(out, bin)
		if dev {
			return console.Dev(ctx, d.Hub.URL(), d.Dir, out)
		}
		<-ctx.Done()
		fmt.Fprintln(out)
		return nil
	}
	result := d.check(ctx, progress)
	line, err := json.Marshal(result)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	if !result.OK {
		return errors.New("a check did not hold; see the line above and the logs of the programs")
	}
	return nil
}

// progress prints one line per step with its duration.
type progress struct {
	w     io.Writer
	begin time.Time
	since time.Time
}

func newProgress(w io.Writer) *progress {
	now := time.Now()
	return &progress{w: w, begin: now, since: now}
}

func (p *progress) step(format string, args ...any) {
	p.since = time.Now()
	fmt.Fprintf(p.w, "  … %s\n", fmt.Sprintf(format, args...))
}

func (p *progress) done(format string, args ...any) {
	fmt.Fprintf(p.w, "✔ %-58s %5.1f s\n", fmt.Sprintf(format, args...), time.Since(p.since).Seconds())
	p.since = time.Now()
}

func (p *progress) failed(format string, args ...any) {
	fmt.Fprintf(p.w, "✖ %s\n", fmt.Sprintf(format, args...))
	p.since = time.Now()
}

// Write takes the progress lines of the testbed.
func (p *progress) Write(b []byte) (int, error) { return p.w.Write(b) }
