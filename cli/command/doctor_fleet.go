package command

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

const (
	// tokenSoon is when a token that expires is worth a word: whoever put it into a
	// pipeline needs time to put another there.
	tokenSoon = 14 * 24 * time.Hour
	// mostAlike findings of one kind are told; the rest is counted.
	mostAlike = 10
	// mostNames of applications are in one finding.
	mostNames = 3
	// mostLooked applications are asked for all of their sources: a list has the
	// first only.
	mostLooked = 50
)

// gatherApplications asks for the applications that do not follow their source. A
// hub where all do is asked for a sum only.
func (f *facts) gatherApplications(ctx context.Context, c *client.Client) {
	var sum api.FleetSummary
	if f.asideErr = c.Get(ctx, "/fleet/summary", &sum); f.asideErr != nil {
		return
	}
	f.applications = sum.Applications.Total
	if sum.Applications.Unrendered == 0 {
		return
	}
	f.aside, f.asideErr = allOf[model.AppView](ctx, c, "/applications",
		url.Values{"filter": {"is:unrendered"}, "fields": {"name,project,repoURL,conditions"}})
	looked := 0
	for i := range f.aside {
		v := &f.aside[i]
		if problem, _ := notRendered(*v); problem.OfContent() || looked == mostLooked {
			continue // its source was reached
		}
		looked++
		var whole model.AppView
		if c.Get(ctx, "/applications/"+url.PathEscape(v.Name), &whole) == nil { // the first source is known all the same
			v.Application = whole.Application
		}
	}
}

// urlsOfSources are the URLs that an application has its manifests from, as far as they are known.
func urlsOfSources(v model.AppView) []string {
	urls := []string{v.RepoURL}
	if v.Application != nil {
		for _, s := range v.Application.Spec.AllSources() {
			urls = append(urls, s.RepoURL)
		}
	}
	slices.Sort(urls)
	return slices.DeleteFunc(slices.Compact(urls), func(u string) bool { return u == "" })
}

// entryOf is the registered repository that an application's source is, nil when
// there is none: one of a project is for its applications alone.
func entryOf(repositories []model.Repository, source, project string) *model.Repository {
	same := policy.NormaliseRepo(source)
	for i := range repositories {
		r := &repositories[i]
		if (r.Project == "" || r.Project == project) && policy.NormaliseRepo(r.URL) == same {
			return r
		}
	}
	return nil
}

// sourceFindings are the URLs that fail and that nobody has registered, so that no
// check of repositories tells of them. explained are the applications that need no
// finding of their own, because what fails is told by its URL: here, or as a
// repository.
func sourceFindings(f facts) (found []error, explained map[string]bool) {
	explained = map[string]bool{}
	type trouble struct {
		message string
		apps    []string
	}
	troubles := map[string]*trouble{}
	for _, v := range f.aside {
		problem, ok := notRendered(v)
		if !ok || problem.OfContent() {
			continue
		}
		var unknown []string
		for _, source := range urlsOfSources(v) {
			switch r := entryOf(f.repositories, source, v.Project); {
			case r == nil:
				unknown = append(unknown, source)
			case r.State == "error":
				explained[v.Name] = true
			}
		}
		if explained[v.Name] {
			continue // that of the others nothing is known
		}
		for _, source := range unknown {
			explained[v.Name] = true
			t := troubles[source]
			if t == nil {
				t = &trouble{message: firstProblem(problem.Message)}
				troubles[source] = t
			}
			t.apps = append(t.apps, v.Name)
		}
	}
	urls := make([]string, 0, len(troubles))
	for u := range troubles {
		urls = append(urls, u)
	}
	slices.Sort(urls)
	for _, u := range urls {
		t, shown := troubles[u], withoutUser(u)
		found = append(found, fault.New(fault.Upstream, "doctor_source_fails", "%s, of %s, cannot be reached and is not registered: %s", shown, someOf("app/", t.apps), t.message).
			WithFix("hawser repo test %s, and hawser repo add %s with the credential that it needs", shown, shown))
	}
	return fewest(found, "sources", "hawser app list --filter is:unrendered"), explained
}

// unrenderedFindings are the applications that keep an older revision, those with
// one reason together.
func unrenderedFindings(f facts, explained map[string]bool) []error {
	var found []error
	var order []model.Condition
	apps := map[string][]string{}
	reason := func(c model.Condition) string { return c.Code + "\n" + firstProblem(c.Message) }
	for _, v := range f.aside {
		c, ok := notRendered(v)
		if !ok || explained[v.Name] {
			continue
		}
		if apps[reason(c)] == nil {
			order = append(order, c)
		}
		apps[reason(c)] = append(apps[reason(c)], v.Name)
	}
	for _, c := range order {
		names := apps[reason(c)]
		does := "does"
		if len(names) > 1 {
			does = "do"
		}
		found = append(found, fault.New(fault.Precondition, "doctor_not_rendered", "%s %s not follow the source: %s: %s",
			someOf("app/", names), does, cmp.Or(c.Code, c.Type), firstProblem(c.Message)).
			WithFix("hawser app get %s shows all of it; correct the source or the application", names[0]))
	}
	return fewest(found, "reasons", "hawser app list --filter is:unrendered")
}

func applicationsText(f facts) string {
	if len(f.aside) == 0 {
		return output.Count(f.applications, "application", "applications")
	}
	return fmt.Sprintf("%s of %s not of the newest revision", output.Thousands(len(f.aside)), output.Thousands(f.applications))
}

// tokenFindings are the tokens that have expired or soon will. One that was made for
// less than the warning is nobody's surprise.
func tokenFindings(f facts) []error {
	var found []error
	mine := false
	for _, t := range f.tokens {
		mine = mine || t.Name == f.who && t.ExpiresAt.Equal(f.whoUntil)
		if f.now.Before(t.ExpiresAt) && (t.ExpiresAt.Sub(f.now) > tokenSoon || t.ExpiresAt.Sub(t.CreatedAt) <= tokenSoon) {
			continue
		}
		at := t.ExpiresAt.UTC().Format(time.RFC3339)
		if !f.now.Before(t.ExpiresAt) {
			found = append(found, fault.New(fault.Precondition, "doctor_token_expired", "token %s (%s) has expired at %s", t.Name, t.ID, at).
				WithFix("hawser token delete %s", t.ID))
			continue
		}
		found = append(found, fault.New(fault.Precondition, "doctor_token_ends", "token %s (%s) expires at %s", t.Name, t.ID, at).
			WithFix("%s, give it to who uses it, then hawser token delete %s", issueAgain(t), t.ID))
	}
	found = fewest(found, "tokens", "hawser token list")
	if !mine && !f.whoUntil.IsZero() && f.whoUntil.Sub(f.now) <= tokenSoon && f.whoUntil.Sub(f.whoSince) > tokenSoon {
		found = append([]error{fault.New(fault.Precondition, "doctor_token_ends", "your token, of %s, expires at %s", f.who, f.whoUntil.UTC().Format(time.RFC3339)).
			WithFix("have an administrator issue another (hawser token create), then hawser login %s --with-token", f.hubURL)}, found...)
	}
	return found
}

// issueAgain is the command that makes another token of the same rights.
func issueAgain(t api.APIToken) string {
	line := "hawser token create " + shellWord(t.Name)
	if t.Admin {
		return line + " --admin"
	}
	for _, g := range t.Grants {
		line += " --grant " + shellWord(g.Role+":"+g.Project)
	}
	return line
}

// shellWord is a word for a shell.
func shellWord(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func tokensText(f facts) string {
	if f.tokensErr != nil && !f.whoUntil.IsZero() {
		return "yours is good until " + f.whoUntil.UTC().Format(time.RFC3339)
	}
	return output.Count(len(f.tokens), "token", "tokens")
}

// tokenCheck is about one's own token where one may not see the others.
func tokenCheck(f facts, add adds, skip skips) {
	if fault.Is(f.tokensErr, fault.Denied) {
		add("tokens", tokensText(f), tokenFindings(f)...)
		return
	}
	listCheck(add, skip, "tokens", f.tokensErr, tokensText(f), tokenFindings(f))
}

// sourceChecks are about what the applications are rendered from. Who may not see
// the repositories cannot know which of the sources are registered.
func sourceChecks(f facts, add adds, skip skips) {
	var unregistered []error
	explained := map[string]bool{}
	if f.repositoryErr == nil {
		unregistered, explained = sourceFindings(f)
	}
	switch {
	case f.asideErr != nil:
		skip("the applications must be known first", "sources")
	case f.repositoryErr != nil:
		skip("the repositories must be known first", "sources")
	default:
		add("sources", "", unregistered...)
	}
	listCheck(add, skip, "applications", f.asideErr, applicationsText(f), unrenderedFindings(f, explained))
}

// someOf names the first of several things.
func someOf(prefix string, names []string) string {
	text := prefix + strings.Join(names[:min(len(names), mostNames)], ", "+prefix)
	if more := len(names) - mostNames; more > 0 {
		text += " and " + output.Thousands(more) + " more"
	}
	return text
}

// fewest keeps a report readable: the first of many findings alike, and how many more there are.
func fewest(found []error, what, see string) []error {
	if len(found) <= mostAlike {
		return found
	}
	more := len(found) - mostAlike
	return append(found[:mostAlike:mostAlike], fault.New(fault.Precondition, "doctor_more", "%s more %s are as bad", output.Thousands(more), what).WithFix("%s", see))
}
