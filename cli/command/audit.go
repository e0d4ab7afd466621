package command

import (
	"bufio"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

func newAudit(s *session) *cobra.Command {
	return group("audit", "Who did what, and what was refused", newAuditList(s), newAuditVerify(s), newAuditExport(s))
}

// auditFlags narrow records.
type auditFlags struct {
	texts        map[string]*string
	since, until string
}

// auditWords are the flags that the hub takes as they are.
var auditWords = []struct{ name, meaning string }{
	{"actor", "only what this name did"},
	{"action", "only this operation of the API, such as syncApplication"},
	{"resource", "only about this kind of thing, such as applications"},
	{"in-project", "only in this project"},
	{"on-cluster", "only on this cluster"},
	{"name", "only about the thing of this name"},
	{"request", "only of the request with this id"},
	{"operation", "only of this operation or job"},
	{"kind", "only records of this kind: command, refusal, begun, effect, retired, alarm, handover"},
	{"outcome", "only what ended so: done, denied, rejected, failed, unknown"},
}

func (f *auditFlags) register(flags *pflag.FlagSet) {
	f.texts = map[string]*string{}
	for _, w := range auditWords {
		f.texts[w.name] = flags.String(w.name, "", w.meaning)
	}
	flags.StringVar(&f.since, "since", "", "only from then on: a time, or how long ago, as 24h")
	flags.StringVar(&f.until, "until", "", "only before then: a time, or how long ago")
}

// query is what is asked of the hub.
func (f *auditFlags) query(now time.Time) (url.Values, error) {
	q := url.Values{}
	for name, v := range f.texts {
		if *v != "" {
			q.Set(strings.TrimPrefix(strings.TrimPrefix(name, "in-"), "on-"), *v)
		}
	}
	for name, v := range map[string]string{"since": f.since, "until": f.until} {
		if v == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, v)
		if ago, bad := time.ParseDuration(v); bad == nil && ago >= 0 {
			t, err = now.Add(-ago), nil
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "usage", "--%s %q is neither a time nor how long ago", name, v).WithFix("write it as 2026-11-28T10:00:00Z, or as 24h")
		}
		q.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
	return q, nil
}

func newAuditList(s *session) *cobra.Command {
	var flags auditFlags
	var follow bool
	records := listing[audit.Record]{
		kind: "AuditList",
		name: func(r audit.Record) string { return "audit/" + strconv.FormatInt(r.Seq, 10) },
		columns: []output.Column{
			{Title: "SEQ"}, {Title: "AGE", Path: ".at"}, {Title: "ACTOR"}, {Title: "ACTION"}, {Title: "NAME"}, {Title: "PROJECT"}, {Title: "OUTCOME", Status: true}, {Title: "WHY"},
			{Title: "FROM", Wide: true}, {Title: "KIND", Wide: true}, {Title: "CLUSTER", Wide: true}, {Title: "OPERATION", Wide: true}, {Title: "REQUEST", Wide: true},
		},
		row: func(r audit.Record) []string {
			why := orElse(r.Code, r.Reason)
			if r.DryRun {
				why = strings.TrimSpace("dry run " + why)
			}
			if r.Suppressed > 0 {
				why += fmt.Sprintf(" (%d before it are not recorded)", r.Suppressed)
			}
			return []string{strconv.FormatInt(r.Seq, 10), output.Age(s.now(), &r.At), orElse(r.Actor, "<nobody>"), r.Action, r.Name, r.Project, string(r.Outcome), why,
				r.From, string(r.Kind), r.Cluster, r.Operation, r.Request}
		},
	}
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "Records of what was done and refused, newest first", Args: exactArgs(),
		Long: `Records of what was done and refused, the newest first. A command has one record with
its outcome; when it made an operation, a record of the kind effect follows that says how
that ended in its cluster. Who is refused before a command begins has a record of the
kind refusal. For administrators.

With --follow the newest ten come first, the oldest of them on top, and then what comes,
a line for each or with -o json or -o ndjson one JSON document in a line, until Ctrl-C or
until you may not read records any more. The hub is asked every second.`,
		Example: `  hawser audit list --actor ann --since 24h
  hawser audit list --outcome denied
  hawser audit list --name shop --resource applications -o json
  hawser audit list --follow --outcome denied -o ndjson`,
	}
	records.flags(s, c)
	flags.register(c.Flags())
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on, and print what comes")
	c.MarkFlagsMutuallyExclusive("follow", "until")
	c.RunE = s.run(func(c *call) error {
		q, err := flags.query(c.now())
		if err != nil {
			return err
		}
		if follow {
			return c.followAudit(q, records.row)
		}
		return records.fetchWith(c, "/audit", q)
	})
	return c
}

const (
	// followEvery is how often records that are followed are asked for, and
	// followFirst how many come first.
	followEvery = time.Second
	followFirst = 10
)

// followAudit prints records in their order as they come, until the command is
// interrupted, which is how it ends well. While the hub is away it goes on asking;
// what it refuses ends it.
func (c *call) followAudit(q url.Values, row func(audit.Record) []string) error {
	if c.format != output.Table && c.format != output.JSON && c.format != output.NDJSON {
		return fault.New(fault.Invalid, "usage", "records that are followed are printed as text, or as JSON lines with -o json or -o ndjson")
	}
	q.Set("limit", strconv.Itoa(followFirst))
	last := int64(0)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for first, away := true, false; ; {
		news, err := c.auditAfter(q, last, first)
		switch {
		case c.ctx.Err() != nil:
			return nil
		case err != nil && (first || fault.As(err).Kind != fault.Unavailable):
			return err
		case err != nil && !away:
			c.note("the hub does not answer; it is asked again: %s", fault.As(err).Message)
		}
		away = err != nil
		for _, r := range slices.Backward(news) {
			last = r.Seq
			text, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if c.format == output.Table {
				cells := row(r) // SEQ and AGE are its first
				cells[1] = r.At.Local().Format(time.DateTime)
				text = []byte(output.Clean(strings.Join(slices.DeleteFunc(cells[:8], func(s string) bool { return s == "" }), "  ")))
			}
			if _, err := fmt.Fprintf(c.Out, "%s\n", text); err != nil {
				return err
			}
		}
		if !away && first {
			first = false
			q.Set("limit", strconv.Itoa(pageSize))
		}
		select {
		case <-c.ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// auditAfter are the records after one, the newest first; of a first look one page.
func (c *call) auditAfter(q url.Values, last int64, first bool) (news []audit.Record, err error) {
	q.Del("cursor")
	for {
		var page list[audit.Record]
		if err := c.get("/audit?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			if r.Seq <= last {
				return news, nil
			}
			news = append(news, r)
		}
		if first || page.NextCursor == "" || page.NextCursor == q.Get("cursor") {
			return news, nil
		}
		q.Set("cursor", page.NextCursor)
	}
}

func newAuditExport(s *session) *cobra.Command {
	var flags auditFlags
	var file string
	c := &cobra.Command{
		Use: "export", Short: "Write the signed records as JSON lines", Args: exactArgs(),
		Long: `Write the signed records as JSON lines, the oldest first: one line that names the hub
and the key, the records, and one line that says how many there were. Whoever has the
file can verify it with hawser audit verify FILE, without the hub. Of a filtered export
only the signatures can be verified, for it has gaps.`,
		Example: `  hawser audit export --file audit.jsonl
  hawser audit export --since 24h | jq -c 'select(.record) | .record'`,
		RunE: s.run(func(c *call) (err error) {
			if c.format != output.Table && c.format != output.NDJSON {
				return fault.New(fault.Invalid, "usage", "records are exported as JSON lines, for other programs to verify").
					WithFix("leave out the format; hawser audit list takes every one")
			}
			q, err := flags.query(c.now())
			if err != nil {
				return err
			}
			out := c.Out
			if file != "" {
				f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return fault.Wrap(err, fault.Invalid, "file_unwritable", "the file cannot be made: %v", err)
				}
				defer func() {
					if closed := f.Close(); err == nil && closed != nil {
						err = fault.Wrap(closed, fault.Invalid, "file_unwritable", "the file cannot be written: %v", closed)
					}
				}()
				out = f
			}
			// What comes is verified on the way, so that a bad chain is not filed away.
			v := &audit.Verifier{}
			var bad error
			err = c.auditLines(q, func(line []byte) error {
				if bad == nil {
					bad = v.Line(line)
				}
				_, err := fmt.Fprintf(out, "%s\n", line)
				return err
			})
			if err != nil {
				return err
			}
			sum, err := v.Done()
			if bad != nil {
				err = bad
			}
			if err != nil {
				return chainBroken(err)
			}
			c.note("%s records; head %s", output.Thousands(int(sum.Records)), sum.Head)
			return nil
		}),
	}
	flags.register(c.Flags())
	c.Flags().StringVar(&file, "file", "", "write to this file, which must not exist (default: standard output)")
	return c
}

func (c *call) auditLines(q url.Values, f func([]byte) error) error {
	path := "/audit/export"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return c.api.Lines(c.ctx, http.MethodGet, path, nil, f)
}

func newAuditVerify(s *session) *cobra.Command {
	var heads []string
	var key string
	c := &cobra.Command{
		Use: "verify [FILE]", Short: "Verify that no record was changed, removed or put in", Args: cobra.MaximumNArgs(1),
		Long: `Verify the chain of records, of the hub or of an exported FILE ("-" is standard input):
that each record is the one that was signed, and follows the one before it. The first that
is not right is named, and the exit status is 10. The work is done here: the hub is
asked for the records only, and for a file not even that.

Two things can only be known from elsewhere. That the newest records were not taken away
is seen with --head, which the hub writes to its log once an hour ("audit head") and this
command prints. That the key is the hub's is seen with --key, which both tell too. When the key was
rotated (hawser-hub keys rotate-audit), give the newest that you know: who has an older
one, and the database, can make another chain up to there.`,
		Example: `  hawser audit verify
  hawser audit verify audit.jsonl --key 3b6a27bc… --head 1042:9f86d081…`,
	}
	v := &audit.Verifier{}
	c.PreRunE = func(*cobra.Command, []string) error {
		*v = audit.Verifier{}
		for _, text := range heads {
			h, err := audit.ParseHead(text)
			if err != nil {
				return fault.New(fault.Invalid, "usage", "--head %s", err).WithFix("give it as hawser audit verify prints it")
			}
			v.Heads = append(v.Heads, h)
		}
		if key != "" {
			var b audit.Hex
			if err := b.UnmarshalText([]byte(key)); err != nil || len(b) != ed25519.PublicKeySize {
				return fault.New(fault.Invalid, "usage", "--key %q is not %d bytes in hexadecimal", key, ed25519.PublicKeySize).WithFix("give it as hawser audit verify prints it")
			}
			v.Key = ed25519.PublicKey(b)
		}
		return nil
	}
	verdict := func(c *call) error {
		sum, err := v.Done()
		if err != nil {
			return chainBroken(err)
		}
		return c.one(sum, "audit", func() error {
			if _, err := fmt.Fprintln(c.Out, summaryText(sum)); err != nil {
				return err
			}
			for _, seq := range sum.Alarms {
				fmt.Fprintf(c.Err, "warning: in record %d a hub says that the database is not as it was left: hawser audit list --kind alarm\n", seq)
			}
			return nil
		})
	}
	online := s.run(func(c *call) error {
		if err := c.auditLines(nil, v.Line); err != nil {
			return chainBrokenUnlessOther(err)
		}
		return verdict(c)
	})
	offline := s.offline(func(c *call) error {
		in := io.Reader(os.Stdin)
		if name := c.args[0]; name != "-" {
			f, err := os.Open(name)
			if err != nil {
				return fault.Wrap(err, fault.Invalid, "file_unreadable", "the file cannot be read: %v", err)
			}
			defer f.Close()
			in = f
		}
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, 64<<10), 1<<20)
		for lines.Scan() {
			if err := v.Line(lines.Bytes()); err != nil {
				return chainBroken(err)
			}
		}
		if err := lines.Err(); err != nil {
			return fault.Wrap(err, fault.Invalid, "file_unreadable", "the file cannot be read: %v", err)
		}
		return verdict(c)
	})
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return offline(cmd, args)
		}
		return online(cmd, args)
	}
	c.Flags().StringArrayVar(&heads, "head", nil, "NUMBER:HASH of a record that must be there; may be repeated")
	c.Flags().StringVar(&key, "key", "", "a key of the hub, the newest that you know, in hexadecimal (default: as the records say)")
	return c
}

// chainBroken is the error of a chain that is not right.
func chainBroken(err error) error {
	return exitWith(ExitBad, fault.Wrap(err, fault.Unprocessable, "audit_broken", "the audit records are not as they were written: %v", err).
		WithFix("find out who could write the hub's database, and compare with an earlier export"))
}

// chainBrokenUnlessOther tells what the hub or the network says from what the records do.
func chainBrokenUnlessOther(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return chainBroken(err)
}

func summaryText(s audit.Summary) string {
	if s.Records == 0 {
		return "there are no records"
	}
	text := fmt.Sprintf("%s records from %s to %s are as they were signed", output.Thousands(int(s.Records)), s.From.Format(time.RFC3339), s.To.Format(time.RFC3339))
	if s.Filtered {
		return text + "; whether some are missing cannot be seen in a filtered export"
	}
	text += fmt.Sprintf(", and none is missing\nhead %s\nkey  %s", s.Head, s.Key)
	if n := len(s.Handovers); n > 0 {
		text += fmt.Sprintf("\nthe key was rotated %d times, last by record %d", n, s.Handovers[n-1])
	}
	if s.ClockBack > 0 {
		text += fmt.Sprintf("\nthe clock went back %d times", s.ClockBack)
	}
	if s.Suppressed > 0 {
		text += fmt.Sprintf("\n%s are not recorded: refusals that came too fast, or what did not fit in memory while the database was away", output.Thousands(int(s.Suppressed)))
	}
	return text
}
