package command

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppLogs(s *session) *cobra.Command {
	var (
		live                                    liveFlags
		container, grep, exclude, sinceTime     string
		follow, previous, all, timestamps, bare bool
		raw                                     bool
		without                                 *excluder
		since                                   time.Duration
		tail                                    int64
	)
	c := &cobra.Command{
		Use:   "logs NAME",
		Short: "Logs of the application's pods",
		Long: `Logs of the application's pods: of all of them, or of those of the objects that
the flags choose. Several logs come in the order of time; with --follow as they
are written, and pods that come later are followed too.

--tail is of each container. --grep is a regular expression (RE2) that a line
must match, and is applied in the cluster, after --tail; lines that --exclude
matches are left out of what comes. -o raw prints what the containers wrote and
nothing else.`,
		Example: `  hawser app logs shop
  hawser app logs shop --kind deployment --name web -f
  hawser app logs shop --kind pod --name web-5d4f-x7 -c proxy --previous
  hawser app logs shop --all-containers --since 1h --grep '(?i)error'`,
		Args: exactArgs("NAME"),
		PreRunE: func(*cobra.Command, []string) (err error) {
			raw = s.take("raw") != ""
			without, err = newExcluder(exclude)
			return err
		},
		RunE: s.run(func(c *call) error {
			if c.format == output.YAML {
				return fault.New(fault.Invalid, "usage", "logs are printed as text or with -o json")
			}
			q := live.query(c.cmd)
			for name, value := range map[string]string{"container": container, "grep": grep, "sinceTime": sinceTime} {
				if value != "" {
					q.Set(name, value)
				}
			}
			for name, set := range map[string]bool{"follow": follow, "previous": previous, "allContainers": all} {
				if set {
					q.Set(name, "true")
				}
			}
			if since != 0 {
				q.Set("since", since.String())
			}
			if tail >= 0 {
				q.Set("tail", strconv.FormatInt(tail, 10))
			}
			p := &logPrinter{out: bufio.NewWriterSize(c.Out, 32<<10), note: c.note, timestamps: timestamps, bare: bare || raw, many: follow && live.name == "", safe: isTerminal(c.Out) && !raw}
			path := appPath(c.args[0]) + "/logs?" + q.Encode()
			show := func(_ []byte, m streamed) error { return p.print(m, follow) }
			if c.documents() {
				show = func(line []byte, _ streamed) error {
					_, err := fmt.Fprintf(c.Out, "%s\n", line)
					return err
				}
			}
			err := c.lines(path, without.pass(show))
			if held := without.flush(show); err == nil {
				err = held
			}
			if flushed := p.finish(); err == nil {
				err = flushed
			}
			return err
		}),
	}
	live.register(c.Flags())
	f := c.Flags()
	f.StringVarP(&container, "container", "c", "", "container (default: the pod's default one)")
	f.BoolVar(&all, "all-containers", false, "all containers of each pod")
	f.BoolVarP(&follow, "follow", "f", false, "go on, and print what comes")
	f.BoolVarP(&previous, "previous", "p", false, "of the containers' life before their last restart")
	f.DurationVar(&since, "since", 0, "only what is newer than this, as in 10m")
	f.StringVar(&sinceTime, "since-time", "", "only what is newer than this time (RFC 3339)")
	f.Int64Var(&tail, "tail", -1, "the last lines of each container (-1: all)")
	f.StringVar(&grep, "grep", "", "only lines that match this regular expression")
	f.StringVar(&exclude, "exclude", "", "no lines that match this regular expression")
	f.BoolVar(&timestamps, "timestamps", false, "the time before each line")
	f.BoolVar(&bare, "no-prefix", false, "never the pod and container before each line")
	c.MarkFlagsMutuallyExclusive("container", "all-containers")
	c.MarkFlagsMutuallyExclusive("follow", "previous")
	return c
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// logPrinter prints lines for people.
type logPrinter struct {
	out              *bufio.Writer
	note             func(format string, args ...any)
	timestamps, bare bool
	// many: there is or may be more than one source, so that each line says whose
	// it is.
	many bool
	// safe: what a container writes must not do more to the terminal than colour
	// it.
	safe    bool
	sources map[int]string
	open    int // the source whose line was not ended, 0 for none
}

func (p *logPrinter) print(m streamed, live bool) error {
	if len(m.Sources) > 0 {
		p.name(m.Sources)
		return nil
	}
	if m.Notice != nil {
		if err := p.out.Flush(); err != nil {
			return err
		}
		p.note("%s%s", p.sources[m.Notice.Source], m.Notice.Message)
		return nil
	}
	if m.Text == nil {
		return nil
	}
	if p.open != 0 && p.open != m.Source {
		p.out.WriteByte('\n') // errors come with Flush
		p.open = 0
	}
	if p.open == 0 {
		if p.timestamps && m.At != nil {
			p.out.WriteString(m.At.Format(time.RFC3339Nano) + " ")
		}
		if p.many && !p.bare {
			p.out.WriteString(p.sources[m.Source])
		}
	}
	text := *m.Text
	if p.safe {
		text = output.Tame(text)
	}
	p.out.WriteString(text)
	p.open = m.Source
	if !m.Partial {
		p.out.WriteByte('\n')
		p.open = 0
	}
	if live || p.out.Buffered() > 16<<10 {
		return p.out.Flush()
	}
	return nil
}

func (p *logPrinter) name(sources []model.LogSource) {
	if p.sources == nil {
		p.sources = map[int]string{}
	}
	for _, src := range sources {
		p.sources[src.Number] = output.Clean("[" + src.Pod + "/" + src.Container + "] ")
	}
	p.many = p.many || len(p.sources) > 1
}

func (p *logPrinter) finish() error {
	if p.open != 0 {
		p.out.WriteByte('\n')
	}
	return p.out.Flush()
}
