package command

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

const (
	// mostSkew is how far clocks may be apart: tokens and certificates have limits
	// of a minute and more.
	mostSkew = 30 * time.Second
	// certificateSoon is when a certificate that ends is worth a word.
	certificateSoon = 7 * 24 * time.Hour
	// doctorLimit is how long all checks take at most, unless --timeout says so.
	doctorLimit = 30 * time.Second
)

// finding is something that is not as it ought to be.
type finding struct {
	ID      string `json:"id"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// check is one thing that doctor looked at.
type check struct {
	Name     string    `json:"name"`
	OK       bool      `json:"ok"`
	Skipped  bool      `json:"skipped,omitempty"` // it could not be looked at
	Detail   string    `json:"detail,omitempty"`
	Findings []finding `json:"findings,omitempty"`
}

// diagnosis is the document of doctor.
type diagnosis struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	AsOf       time.Time `json:"asOf"`
	Client     string    `json:"client"`
	Hub        string    `json:"hub,omitempty"`
	HubVersion string    `json:"hubVersion,omitempty"`
	Checks     []check   `json:"checks"`
	Findings   int       `json:"findings"`
}

// facts are what doctor found; the checks are made of them and of nothing else.
type facts struct {
	now           time.Time
	client        string // version
	hubURL        string
	hub           string // version
	configErr     error
	hasKeyring    bool
	tokenInFile   bool
	connectErr    error // of the first request
	probe         client.Probe
	parts         []part // of the hub; nil when it does not say
	whoErr        error
	who           string
	hold          bool
	holdErr       error
	clusters      []model.Cluster
	clustersErr   error
	repositories  []model.Repository
	repositoryErr error
	applications  int
	aside         []model.AppView // that keep an older revision than their newest
	asideErr      error
	whoSince      time.Time // one's token
	whoUntil      time.Time
	whoRights     bool // there is something that one may do
	tokens        []api.APIToken
	tokensErr     error
}

// checksOf are what is looked at once one is connected, in the order of the report.
var checksOf = []string{
	"connection", "clock", "readiness", "cache", "login", "versions", "restore", "clusters", "repositories", "sources", "applications", "tokens",
}

// checksAfter are those that need the named one.
func checksAfter(name string) []string { return checksOf[slices.Index(checksOf, name)+1:] }

func newDoctor(s *session) *cobra.Command {
	var bundle string
	c := &cobra.Command{
		Use: "doctor", Short: "Look at this program, the hub and its agents, and say what is wrong and how to mend it",
		Long: `Look at this program, the hub and its agents, and say what is wrong and how to mend
it: the configuration, the connection and the hub's certificate, the clocks, the
login, versions, the hub's readiness and the Redis that it shares with others,
clusters that do not report, certificates of
agents that end within 7 days, repositories that do not answer, sources that fail
and are not registered, applications whose newest revision cannot be rendered, and
tokens that have expired or do within 14 days. Nothing is changed. Exit status 1
when something was found.

--bundle writes what was found into a .tgz for others to look at. Tokens and
credentials are not in it; names of clusters and addresses of repositories are.`,
		Args: exactArgs(),
		RunE: s.offline(func(c *call) error {
			ctx, cancel := c.limit(c.ctx, doctorLimit)
			defer cancel()
			f := c.gather(ctx)
			if c.ctx.Err() != nil {
				return c.ctx.Err()
			}
			d := diagnose(f)
			if bundle != "" {
				if err := writeBundle(bundle, d, f); err != nil {
					return err
				}
				c.note("written: %s", bundle)
			}
			if err := c.one(d, "", func() error { return c.printDiagnosis(d) }); err != nil {
				return err
			}
			if d.Findings > 0 {
				return exitWith(ExitNegative, nil)
			}
			return nil
		}),
	}
	c.Flags().StringVar(&bundle, "bundle", "", "write what was found into this .tgz file")
	return c
}

// gather asks everything that there is to ask. What fails is a fact too.
func (c *call) gather(ctx context.Context) facts {
	f := facts{now: c.now(), client: telemetry.Version, hasKeyring: c.Secrets != nil}
	file, err := loadConfig()
	if err != nil {
		f.configErr = err
		return f
	}
	if x, ok := file.Context(c.context); ok {
		f.tokenInFile = x.Token != ""
	}
	hub, err := c.hub()
	if err != nil {
		f.connectErr = err
		return f
	}
	f.hubURL = hub.URL
	hubAPI, err := c.client()
	if err == nil {
		f.probe, err = hubAPI.Probe(ctx, "/readyz?verbose")
	}
	if err != nil {
		f.connectErr = err
		return f
	}
	f.parts = partsOf(f.probe.Body)
	var who api.Caller
	if f.whoErr = hubAPI.Get(ctx, "/whoami?rules=true", &who); f.whoErr != nil {
		return f
	}
	f.who, f.whoSince, f.whoUntil = who.Name, who.CreatedAt, who.ExpiresAt
	f.whoRights = who.Admin || who.PolicyAdmin || who.Role != "" || len(who.Grants) > 0 || who.RulesTotal > 0
	var version struct {
		Version string `json:"version"`
	}
	if hubAPI.Get(ctx, "/version", &version) == nil { // a hub that does not say has none
		f.hub = version.Version
	}
	var state struct {
		HoldDeletes bool `json:"holdDeletes"`
	}
	f.holdErr = hubAPI.Get(ctx, "/hub", &state)
	f.hold = state.HoldDeletes
	f.clusters, f.clustersErr = all[model.Cluster](ctx, hubAPI, "/clusters")
	f.repositories, f.repositoryErr = all[model.Repository](ctx, hubAPI, "/repositories")
	f.gatherApplications(ctx, hubAPI)
	f.tokens, f.tokensErr = all[api.APIToken](ctx, hubAPI, "/tokens")
	return f
}

// all reads every page of a list.
func all[T any](ctx context.Context, api *client.Client, path string) ([]T, error) {
	return allOf[T](ctx, api, path, url.Values{})
}

// allOf is all of what a query, to which it adds, narrows a list to.
func allOf[T any](ctx context.Context, api *client.Client, path string, q url.Values) ([]T, error) {
	var items []T
	q.Set("limit", fmt.Sprint(pageSize))
	for {
		var page list[T]
		if err := api.Get(ctx, path+"?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.NextCursor == "" || page.NextCursor == q.Get("cursor") {
			return items, nil
		}
		q.Set("cursor", page.NextCursor)
	}
}

func findingOf(err error) finding {
	e := fault.As(err)
	message := e.Message
	if e.Kind == fault.Internal && e.Cause != nil {
		message = e.Cause.Error()
	}
	return finding{e.ID(), e.Code, message, e.Fix}
}

// diagnose makes findings of facts. It is pure.
func diagnose(f facts) diagnosis {
	d := diagnosis{APIVersion: apiVersion, Kind: "Diagnosis", AsOf: f.now, Client: f.client, Hub: f.hubURL, HubVersion: f.hub}
	add := func(name, detail string, found ...error) {
		c := check{Name: name, OK: len(found) == 0, Detail: detail}
		for _, err := range found {
			c.Findings = append(c.Findings, findingOf(err))
		}
		d.Findings += len(found)
		d.Checks = append(d.Checks, c)
	}
	skip := func(why string, names ...string) {
		for _, name := range names {
			d.Checks = append(d.Checks, check{Name: name, Skipped: true, Detail: why})
		}
	}
	if f.configErr != nil {
		add("configuration", "", f.configErr)
		skip("the configuration must be read first", checksOf...)
		return d
	}
	switch {
	case f.tokenInFile && f.hasKeyring:
		add("configuration", "the token is in the file, though there is a keyring")
	case f.tokenInFile:
		add("configuration", "the token is in the file, which only you can read: there is no keyring")
	default:
		add("configuration", "")
	}
	if f.connectErr != nil {
		add("connection", f.hubURL, f.connectErr)
		skip("there is no connection", checksAfter("connection")...)
		return d
	}
	add("connection", fmt.Sprintf("%s answers after %s", f.hubURL, f.probe.Took.Round(time.Millisecond)), certificateFindings(f)...)
	clockCheck(f, add, skip)
	if f.probe.Status == 200 {
		add("readiness", "the hub is ready")
	} else {
		add("readiness", "", fault.New(fault.Unavailable, "doctor_hub_not_ready", "the hub answers, and says that it is not ready (status %d)", f.probe.Status).
			WithFix("look at its database and its log"))
	}
	cacheCheck(f, add, skip)
	if f.whoErr != nil {
		add("login", "", f.whoErr)
		skip("one must be logged in", checksAfter("login")...)
		return d
	}
	add("login", "you are "+f.who, rightsFindings(f)...)
	add("versions", versionsText(f), versionFindings(f)...)
	restoreCheck(f, add, skip)
	listCheck(add, skip, "clusters", f.clustersErr, clustersText(f.clusters), clusterFindings(f))
	listCheck(add, skip, "repositories", f.repositoryErr, output.Count(len(f.repositories), "repository", "repositories"), repositoryFindings(f.repositories))
	sourceChecks(f, add, skip)
	tokenCheck(f, add, skip)
	return d
}

type (
	adds  func(name, detail string, found ...error)
	skips func(why string, names ...string)
)

// listCheck skips what the caller may not see.
func listCheck(add adds, skip skips, name string, err error, detail string, found []error) {
	switch {
	case fault.Is(err, fault.Denied):
		skip("you may not see them", name)
	case err != nil:
		add(name, "", err)
	default:
		add(name, detail, found...)
	}
}

func certificateFindings(f facts) []error {
	until := f.probe.CertificateUntil
	if until.IsZero() || until.Sub(f.now) > certificateSoon {
		return nil
	}
	return []error{fault.New(fault.Precondition, "doctor_certificate_ends", "the hub's certificate ends at %s", until.UTC().Format(time.RFC3339)).
		WithFix("restart the hub, or renew the certificate that it was given")}
}

// rightsFindings tell who may do nothing why all the lists are empty.
func rightsFindings(f facts) []error {
	if f.whoRights {
		return nil
	}
	return []error{fault.New(fault.Precondition, "doctor_no_rights", "%s has no role in any project, and no line of the policy is about it: what may not be seen does not show", f.who).
		WithFix("ask an administrator for a role: hawser account set %[1]s --grant ROLE:PROJECT, or hawser account set %[1]s --admin", shellWord(f.who))}
}

func clockCheck(f facts, add adds, skip skips) {
	if f.probe.Date.IsZero() {
		skip("the hub does not say its time", "clock")
		return
	}
	// The header is cut to seconds, and the answer took its time.
	skew := f.now.Sub(f.probe.Date)
	if skew.Abs() <= mostSkew+f.probe.Took {
		add("clock", "the clocks agree")
		return
	}
	ahead := "ahead of"
	if skew < 0 {
		ahead = "behind"
	}
	add("clock", "", fault.New(fault.Precondition, "doctor_clock_skew", "this machine's clock is %s %s the hub's", skew.Abs().Round(time.Second), ahead).
		WithFix("let both machines set their clocks by NTP"))
}

// part is what a hub says of one of its parts to everybody.
type part struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Code string `json:"code"`
}

// partsOf is nil for an answer that names none.
func partsOf(body string) []part {
	var in struct {
		Parts []part `json:"parts"`
	}
	if json.Unmarshal([]byte(body), &in) != nil {
		return nil
	}
	return in.Parts
}

// cacheCheck tells of the Redis that hubs share. A hub is ready without it, so that
// nothing else tells that everything is slower than it need be.
func cacheCheck(f facts, add adds, skip skips) {
	i := slices.IndexFunc(f.parts, func(p part) bool { return p.Name == "cache" })
	switch {
	case f.parts == nil:
		skip("the hub does not say of what it is made", "cache")
	case i < 0:
		add("cache", "the hub has no Redis, and needs none")
	case f.parts[i].OK:
		add("cache", "the Redis of the shared cache answers")
	default:
		add("cache", "", fault.New(fault.Unavailable, "doctor_cache_unreachable", "the Redis of the shared cache does not answer the hub; everything works without it, but slower").
			WithFix("see that it runs and that the hub reaches it; the hub's log says why, at cache_unreachable"))
	}
}

func versionsText(f facts) string {
	text := "hawser " + f.client
	if f.hub != "" {
		text += ", hub " + f.hub
	}
	return text
}

// versionFindings: client and hub of one major and at most one minor apart work
// together. Builds without a version are not compared.
func versionFindings(f facts) []error {
	mine, err := semver.NewVersion(f.client)
	hub, hubErr := semver.NewVersion(f.hub)
	if err != nil || hubErr != nil || near(mine, hub) {
		return nil
	}
	return []error{fault.New(fault.Precondition, "doctor_version_skew", "hawser %s and a hub of %s are too far apart", f.client, f.hub).
		WithFix("bring hawser to the release of the hub")}
}

func near(a, b *semver.Version) bool {
	d := int64(a.Minor()) - int64(b.Minor())
	return a.Major() == b.Major() && d >= -1 && d <= 1
}

func restoreCheck(f facts, add adds, skip skips) {
	switch {
	case fault.Is(f.holdErr, fault.Denied):
		skip("you may not see it", "restore")
	case f.holdErr != nil:
		add("restore", "", f.holdErr)
	case f.hold:
		add("restore", "", fault.New(fault.Precondition, "doctor_deletes_held", "the hub's database was restored from an older copy: nothing is pruned or deleted until that is acknowledged").
			WithFix("look at the applications, then hawser hub acknowledge-restore"))
	default:
		add("restore", "nothing is held back")
	}
}

func clustersText(clusters []model.Cluster) string {
	reporting := 0
	for _, x := range clusters {
		if x.Connected {
			reporting++
		}
	}
	return fmt.Sprintf("%s of %s reporting", output.Thousands(reporting), output.Thousands(len(clusters)))
}

func clusterFindings(f facts) []error {
	var found []error
	hub, hubErr := semver.NewVersion(f.hub)
	for _, x := range f.clusters {
		if x.Revoked {
			continue // somebody wanted that
		}
		if !x.Connected {
			seen := "was never seen"
			if x.LastSeen != nil {
				seen = "was last seen " + output.Age(f.now, x.LastSeen) + " ago"
			}
			found = append(found, fault.New(fault.Unavailable, "doctor_cluster_silent", "cluster %s does not report: it %s", x.Name, seen).
				WithFix("look at the agent there: kubectl -n hawser-system logs deploy/hawser-agent; it needs a way out to the hub"))
		}
		if agent, err := semver.NewVersion(x.AgentVersion); err == nil && hubErr == nil && !near(agent, hub) {
			found = append(found, fault.New(fault.Precondition, "doctor_agent_skew", "the agent of %s is %s, the hub %s", x.Name, x.AgentVersion, f.hub).
				WithFix("bring the agent to the release of the hub"))
		}
		if x.CertNotAfter == nil {
			continue
		}
		switch at := x.CertNotAfter.UTC().Format(time.RFC3339); {
		case x.CertNotAfter.Sub(f.now) < 0:
			found = append(found, fault.New(fault.Precondition, "doctor_agent_certificate", "the certificate of the agent of %s ended at %s", x.Name, at).
				WithFix("enrol it again: hawser cluster enroll %s", x.Name))
		case x.CertNotAfter.Sub(f.now) <= certificateSoon:
			found = append(found, fault.New(fault.Precondition, "doctor_agent_certificate_ends",
				"the certificate of the agent of %s ends at %s, and the agent did not renew it when a third of its life was left", x.Name, at).
				WithFix("see there why: kubectl -n hawser-system logs deploy/hawser-agent; if it cannot, hawser cluster enroll %s", x.Name))
		}
	}
	return found
}

func repositoryFindings(repositories []model.Repository) []error {
	var found []error
	for _, r := range repositories {
		if r.State != "error" {
			continue
		}
		found = append(found, fault.New(fault.Upstream, "doctor_repository_fails", "repository %s does not answer: %s", withoutUser(r.URL), r.Error).
			WithFix("hawser repo test %s", withoutUser(r.URL)))
	}
	return found
}

// withoutUser is a URL without what may be a credential.
func withoutUser(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return text
	}
	u.User = nil
	return u.String()
}

func (c *call) printDiagnosis(d diagnosis) error {
	look := c.look()
	for _, x := range d.Checks {
		state := "ok"
		switch {
		case x.Skipped:
			state = "unknown"
		case !x.OK:
			state = "failed"
		}
		line := look.Status(state) + strings.Repeat(" ", 9-len(state)) + fmt.Sprintf("%-14s", x.Name) + output.Clean(x.Detail)
		if _, err := fmt.Fprintln(c.Out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
		for _, f := range x.Findings {
			fmt.Fprintln(c.Out, "  "+output.Clean(strings.TrimSpace(f.ID+" "+f.Message)+" ("+f.Code+")"))
			if f.Fix != "" {
				fmt.Fprintln(c.Out, "    fix: "+output.Clean(f.Fix))
			}
		}
	}
	if d.Findings == 0 {
		c.note("nothing was found")
		return nil
	}
	c.note("%s", output.Count(d.Findings, "finding", "findings"))
	return nil
}

// writeBundle writes what was found, without secrets. A file that is there
// already is not replaced.
func writeBundle(path string, d diagnosis, f facts) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "file_unwritable", "the bundle cannot be written")
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	zip := gzip.NewWriter(file)
	archive := tar.NewWriter(zip)
	repositories := make([]model.Repository, len(f.repositories))
	for i, r := range f.repositories {
		r.URL, r.Holds = withoutUser(r.URL), model.CredentialInfo{Kinds: r.Holds.Kinds}
		repositories[i] = r
	}
	for _, entry := range []struct {
		name string
		v    any
	}{{"diagnosis.json", d}, {"clusters.json", f.clusters}, {"repositories.json", repositories}} {
		b, err := json.MarshalIndent(entry.v, "", "  ")
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: "hawser-doctor/" + entry.name, Mode: 0o600, Size: int64(len(b)), ModTime: f.now}); err != nil {
			return err
		}
		if _, err := archive.Write(b); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), zip.Close())
}
