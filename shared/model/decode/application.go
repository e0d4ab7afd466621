package decode

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// ValidateApplication checks an Application that did not come from a text, as
// Application does for one that did. It returns nil or a fault.List.
func ValidateApplication(app *model.Application) error {
	f := filler{}
	f.validateApplication(app)
	return f.err()
}

// check adds e unless it only follows from a value of the wrong type.
func (p *problems) check(e *fault.Error) {
	if e == nil || p.full() {
		return
	}
	for _, earlier := range p.list {
		if rest, ok := strings.CutPrefix(e.Field, earlier.Field); ok && earlier.Code == "type_mismatch" &&
			(rest == "" || rest[0] == '.' || rest[0] == '[') {
			return
		}
	}
	p.list = append(p.list, e)
}

func (p *problems) validateMeta(m *model.ObjectMeta) {
	p.check(Name("metadata.name", "name", m.Name))
	if m.Namespace != "" {
		p.check(Namespace("metadata.namespace", m.Namespace))
	}
	for _, e := range Labels("metadata.labels", m.Labels) {
		p.check(e)
	}
	p.noLastApplied("metadata.annotations", m.Annotations)
}

func (p *problems) validateApplication(app *model.Application) {
	p.validateMeta(&app.Metadata)
	p.validateMode(&app.Metadata)
	spec := &app.Spec
	p.check(Name("spec.project", "project", spec.Project))
	p.validateSources(spec)
	p.validateDestination(&spec.Destination)
	p.noLastAppliedIn("spec", spec)
	if spec.SyncPolicy != nil {
		p.syncOptions("spec.syncPolicy.syncOptions", spec.SyncPolicy.SyncOptions)
		p.retry("spec.syncPolicy.retry", spec.SyncPolicy.Retry)
	}
	for i, d := range spec.IgnoreDifferences {
		p.ignoreDifferences(at("spec.ignoreDifferences", i), d)
	}
	if n := spec.RevisionHistoryLimit; n != nil && *n < 0 {
		p.check(outOfRange("spec.revisionHistoryLimit", *n, "0 or more"))
	}
	if op := app.Operation; op != nil {
		if op.Sync != nil {
			p.syncOptions("operation.sync.syncOptions", op.Sync.SyncOptions)
		}
		p.retry("operation.retry", op.Retry)
	}
}

func outOfRange(field string, n int64, allowed string) *fault.Error {
	return fault.New(fault.Invalid, "out_of_range", "%s is %d; it must be %s", field, n, allowed).
		WithField(field).WithFound(strconv.FormatInt(n, 10), allowed)
}

func (p *problems) validateSources(spec *model.ApplicationSpec) {
	given := 0
	for _, has := range []bool{spec.Source != nil, len(spec.Sources) > 0, spec.SourceHydrator != nil} {
		if has {
			given++
		}
	}
	switch {
	case given == 0:
		p.check(missing("spec.source").WithFix("say where the manifests are: spec.source.repoURL and spec.source.path"))
	case given > 1:
		p.check(fault.New(fault.Invalid, "sources_ambiguous", "spec has more than one of source, sources and sourceHydrator; write one").
			WithField("spec.source"))
	}
	if s := spec.Source; s != nil {
		p.source("spec.source", s, false, nil)
	}
	p.severalSources(spec.Sources)
	if h := spec.SourceHydrator; h != nil {
		p.check(RepoURL("spec.sourceHydrator.drySource.repoURL", h.DrySource.RepoURL, false, true))
		p.check(Path("spec.sourceHydrator.drySource.path", "", h.DrySource.Path))
		p.check(Path("spec.sourceHydrator.syncSource.path", "", h.SyncSource.Path))
		if h.SyncSource.TargetBranch == "" {
			p.check(missing("spec.sourceHydrator.syncSource.targetBranch"))
		}
	}
}

func (p *problems) validateDestination(d *model.Destination) {
	switch {
	case d.Server == "" && d.Name == "":
		p.check(fault.New(fault.Invalid, "destination_invalid", "spec.destination names no cluster; write name (of the cluster) or server").
			WithField("spec.destination"))
	case d.Server != "" && d.Name != "":
		p.check(fault.New(fault.Invalid, "destination_invalid", "spec.destination has name %s and server %s; write one of them", quote(d.Name), quote(d.Server)).
			WithField("spec.destination"))
	}
	for _, v := range []struct{ field, value string }{{"spec.destination.server", d.Server}, {"spec.destination.name", d.Name}} {
		if r, pos := invisible(v.value); pos > 0 {
			p.check(fault.New(fault.Invalid, "destination_invalid", "%s contains the invisible character U+%04X at position %d", v.field, r, pos).WithField(v.field))
		}
	}
	if d.Namespace != "" {
		p.check(Namespace("spec.destination.namespace", d.Namespace))
	}
}

var boolean = []string{"true", "false"}

// syncOptionValues are the options that Argo CD knows and their values.
var syncOptionValues = map[string][]string{
	"Validate": boolean, "CreateNamespace": boolean, "PruneLast": boolean, "ApplyOutOfSyncOnly": boolean,
	"Replace": boolean, "Force": boolean, "ServerSideApply": boolean, "ClientSideApplyMigration": boolean,
	"SkipDryRunOnMissingResource": boolean, "FailOnSharedResource": boolean, "RespectIgnoreDifferences": boolean,
	"Prune": {"true", "false", "confirm"}, "Delete": {"true", "false", "confirm"},
	"PrunePropagationPolicy": {"foreground", "background", "orphan"},
}

var syncOptionNames = []string{
	"ApplyOutOfSyncOnly", "ClientSideApplyMigration", "CreateNamespace", "Delete", "FailOnSharedResource", "Force",
	"Prune", "PruneLast", "PrunePropagationPolicy", "Replace", "RespectIgnoreDifferences", "ServerSideApply",
	"SkipDryRunOnMissingResource", "Validate",
}

// SyncOptions checks sync options, as in syncPolicy.syncOptions.
func SyncOptions(field string, options []string) []*fault.Error {
	var p problems
	p.syncOptions(field, options)
	return p.list
}

func (p *problems) syncOptions(field string, options []string) {
	for i, o := range options {
		name, value, ok := strings.Cut(o, "=")
		values, known := syncOptionValues[name]
		e := fault.New(fault.Invalid, "sync_option_unknown", "").WithField(at(field, i)).WithFound(quote(o), strings.Join(syncOptionNames, ", "))
		switch {
		case !known:
			e.Message = "unknown sync option " + quote(o)
			if near := nearest.Word(name, syncOptionNames); near != "" {
				if !ok {
					value = "true"
				}
				e.Message += fmt.Sprintf("; did you mean %q?", near+"="+value)
				e.Fix = "write " + near + "=" + value
			}
		case !contains(values, value):
			e.Allowed = name + "=" + strings.Join(values, ", "+name+"=")
			e.Message = fmt.Sprintf("sync option %s: write one of %s", quote(o), e.Allowed)
		default:
			continue
		}
		p.check(e)
	}
}

// Retry checks a retry strategy, as in syncPolicy.retry.
func Retry(field string, r *model.RetryStrategy) []*fault.Error {
	var p problems
	p.retry(field, r)
	return p.list
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func (p *problems) retry(field string, r *model.RetryStrategy) {
	if r == nil || r.Backoff == nil {
		return
	}
	p.check(Duration(field+".backoff.duration", r.Backoff.Duration))
	p.check(Duration(field+".backoff.maxDuration", r.Backoff.MaxDuration))
	if f := r.Backoff.Factor; f != nil && *f < 1 {
		p.check(outOfRange(field+".backoff.factor", *f, "1 or more"))
	}
}

// Duration checks a Go duration or a bare number of seconds. Empty is good.
func Duration(field, s string) *fault.Error {
	if s == "" {
		return nil
	}
	bad := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "expression_invalid", format, args...).WithField(field).WithFound(quote(s), "5s, 3m, 1h30m, or a number of seconds")
	}
	last := field[strings.LastIndexByte(field, '.')+1:]
	d, err := time.ParseDuration(s)
	if err != nil {
		n, nerr := strconv.ParseInt(s, 10, 32)
		if nerr != nil {
			e := bad("%s %s is not a duration; write one such as 5m", last, quote(s))
			if f := strings.Fields(s); len(f) == 2 {
				if _, nerr := strconv.Atoi(f[0]); nerr == nil && strings.ContainsAny(f[1][:1], "smhSMH") {
					e.Message = fmt.Sprintf("%s %s: use %s%s", last, quote(s), f[0], strings.ToLower(f[1][:1]))
				}
			}
			return e
		}
		d = time.Duration(n) * time.Second
	}
	if d < 0 {
		return bad("%s %s is negative", last, quote(s))
	}
	return nil
}

func (p *problems) ignoreDifferences(field string, d model.IgnoreDifferences) {
	if d.Kind == "" {
		p.check(missing(field + ".kind"))
	}
	for i, ptr := range d.JSONPointers {
		if !strings.HasPrefix(ptr, "/") {
			p.check(fault.New(fault.Invalid, "expression_invalid", "%s %s: a JSON pointer starts with \"/\"", at(field+".jsonPointers", i), quote(ptr)).
				WithField(at(field+".jsonPointers", i)))
		}
	}
	for i, expr := range d.JQPathExpressions {
		if msg := unbalanced(expr); msg != "" {
			p.check(fault.New(fault.Invalid, "expression_invalid", "%s %s: %s", at(field+".jqPathExpressions", i), quote(expr), msg).
				WithField(at(field+".jqPathExpressions", i)))
		}
	}
}

// unbalanced finds the commonest mistakes in a jq path without a jq parser:
// the agent, which has one, reports the rest.
func unbalanced(expr string) string {
	if strings.TrimSpace(expr) == "" {
		return "the expression is empty"
	}
	var open []rune
	pairs := map[rune]rune{')': '(', ']': '[', '}': '{'}
	inString, escaped := false, false
	for i, r := range expr {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = r == '\\'
			inString = r != '"'
		case r == '"':
			inString = true
		case strings.ContainsRune("([{", r):
			open = append(open, r)
		case pairs[r] != 0:
			if len(open) == 0 || open[len(open)-1] != pairs[r] {
				return fmt.Sprintf("unexpected %q at column %d", r, i+1)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 || inString {
		return fmt.Sprintf("unexpected end at column %d", len(expr)+1)
	}
	return ""
}
