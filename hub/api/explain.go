package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/policy"
)

// canChangeProjects says who may change what a project allows.
const canChangeProjects = "administrators of this hub"

var explainRoutes = []Route{{
	Method: http.MethodPost, Path: "/explain", ID: "explain", Tag: "projects", Asks: true, Summary: "Ask whether something is allowed, and why",
	Detail: "About an application as it is written, one that exists, or a project with a source, a destination and kinds. " +
		"The answer is 200 whether it is allowed or not, with every check in order; nothing is stored. Only administrators may ask about the subject of another token.",
	Body: explainRequest{}, Answer: policy.Decision{}, Status: http.StatusOK, handler: (*api).explain,
}}

// explainRequest is a question. One of Application, Name and Project is needed.
type explainRequest struct {
	// Verb is "deploy" when it is left out: to create the application, or to
	// change it when there is one of that name. Any verb of a role can be asked.
	Verb string `json:"verb,omitempty"`
	// Subject is the name or id of an API token; the caller's when left out.
	Subject string `json:"subject,omitempty"`
	// Application as it would be applied.
	Application json.RawMessage `json:"application,omitempty" shape:"object"`
	// Name of an application that exists, with the objects that it has now.
	Name string `json:"name,omitempty"`

	Project     string             `json:"project,omitempty"`
	Sources     []string           `json:"sources,omitempty"`
	Destination *model.Destination `json:"destination,omitempty"`
	// Kinds of objects, with their names where those matter.
	Kinds []explainKind `json:"kinds,omitempty"`
}

type explainKind struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

const (
	maxExplainKinds   = 1000
	maxExplainSources = 100
)

func (a *api) explain(c *gin.Context) {
	var in explainRequest
	if err := a.into(c, &in, false); err != nil {
		a.fail(c, err)
		return
	}
	d, err := a.explainTo(c, in)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, d)
}

// asked is a question whose things were found.
type asked struct {
	app     model.Application
	stored  *fleet.App // nil when there is none of that name
	objects []policy.ObjectFacts
	keys    []model.ObjectKey // that were named
}

func (a *api) explainTo(c *gin.Context, in explainRequest) (policy.Decision, error) {
	ctx := c.Request.Context()
	set := a.caller(c)
	q, err := a.asked(ctx, set, in)
	if err != nil {
		return policy.Decision{}, err
	}
	subject, err := a.subject(ctx, c, set, in.Subject)
	if err != nil {
		return policy.Decision{}, err
	}
	verb, err := verbAsked(in.Verb, q.stored != nil)
	if err != nil {
		return policy.Decision{}, err
	}
	name, project := q.app.Metadata.Name, q.app.Spec.Project
	rules, err := rulesOf(a.opts.Inventory.Rules(ctx), set, project)
	if err == nil && q.stored == nil && !seesProject(set, project) && !set.Decide(permission.Create, permission.Applications, project, name).Allowed {
		err = unknownProject(ctx, a, set, project)
	}
	dest := policy.Destination{Name: q.app.Spec.Destination.Name, Server: q.app.Spec.Destination.Server, Namespace: q.app.Spec.Destination.Namespace}
	finish := func(d policy.Decision) policy.Decision {
		d.Question = policy.Question(cmp.Or(in.Verb, "deploy"), name, dest, q.keys)
		d.CanChange = canChangeProjects
		if len(d.Refusals) > 0 {
			d.ID = fault.ID(d.Refusals[0].Code)
		}
		return d
	}
	if err != nil {
		// A project that is not there, or not to be seen, is an answer too.
		if d, ok := fault.As(err).Explain.(policy.Decision); ok {
			return finish(d), nil
		}
		return policy.Decision{}, err
	}
	role := subject.Decide(verb, permission.Applications, project, name)
	decisions := []policy.Decision{policy.Role(project, role.Allowed, role.Rule)}

	facts := policy.AppFacts{Namespace: q.app.Metadata.Namespace, SourceRepos: reposOf(q.app), Destination: dest, Usage: &policy.Usage{Member: true}}
	known := false
	if dest.Name != "" || dest.Server != "" {
		clusters := a.opts.Inventory.ClustersAt(ctx, q.app.Spec.Destination)
		if len(clusters) > 1 {
			cluster, err := a.store.ResolveDestination(ctx, q.app.Spec.Destination)
			if err != nil {
				return policy.Decision{}, err
			}
			clusters = []model.Cluster{cluster}
		}
		if len(clusters) == 1 {
			sees, err := a.clustersOf(ctx, set)
			if err != nil {
				return policy.Decision{}, err
			}
			if known = sees(clusters[0]) || policy.Reaches(rules, policy.DestinationAt(clusters[0], q.app.Spec.Destination)); known {
				dest = policy.DestinationAt(clusters[0], q.app.Spec.Destination)
				facts.Destination = dest
			}
		}
	}
	member := q.stored != nil && q.stored.Project == project
	if !member {
		facts.Usage = &policy.Usage{Applications: a.opts.Inventory.ApplicationsOf(ctx, project)}
	}
	objects, err := a.objectUsage(ctx, rules, q, member)
	if err != nil {
		return policy.Decision{}, err
	}
	d := policy.AskSome(rules, facts.SourceRepos, q.objects)
	if dest.Name != "" || dest.Server != "" {
		d = policy.Ask(rules, facts, q.objects, objects)
		if len(facts.SourceRepos) == 0 {
			d = policy.Join(d, policy.Unasked(policy.RuleSource, "no source was asked about"))
		}
	}
	if (dest.Name != "" || dest.Server != "") && !known && d.Allowed {
		d.Checks = slices.DeleteFunc(d.Checks, func(c policy.Check) bool { return c.Rule == policy.RuleDestination })
		d = policy.Join(d, policy.NoCluster(rules, dest))
	}
	if i := slices.IndexFunc(d.Checks, func(c policy.Check) bool { return c.Rule == policy.RuleSignature && c.Result == policy.Skipped }); i >= 0 && a.opts.Signatures != nil {
		d.Checks = slices.Delete(d.Checks, i, i+1)
		decisions = append(decisions, a.opts.Signatures(rules, q.app.Spec))
	}
	decisions = append(decisions, d)
	if len(rules.Spec.DestinationServiceAccounts) > 0 {
		_, account := policy.ChooseServiceAccount(rules, dest)
		decisions = append(decisions, account)
	}
	if len(rules.Spec.SyncWindows) > 0 && (verb == permission.Sync || in.Verb == "" || in.Verb == "deploy") {
		windows := policy.CheckWindows(rules, policy.WindowFacts{App: name, Namespace: dest.Namespace, Clusters: dest.Names(), Now: a.now()})
		if verb != permission.Sync && !windows.Allowed {
			windows = policy.Later(windows) // writing it is possible all the same
		}
		decisions = append(decisions, windows)
	}
	return finish(policy.Join(decisions...)), nil
}

// asked finds what a question is about.
func (a *api) asked(ctx context.Context, set *permission.Set, in explainRequest) (q asked, err error) {
	given := 0
	for _, has := range []bool{len(in.Application) > 0, in.Name != "", in.Project != "" || len(in.Sources) > 0 || in.Destination != nil} {
		if has {
			given++
		}
	}
	if given != 1 {
		return q, fault.New(fault.Invalid, "question_invalid", "ask about one of application, name, and project with source, destination and kinds").
			WithField("application").WithFix("write name for an application that exists, or application for one as it would be applied")
	}
	if len(in.Kinds) > maxExplainKinds || len(in.Sources) > maxExplainSources {
		return q, fault.New(fault.Invalid, "question_invalid", "at most %d kinds and %d sources can be asked about at once", maxExplainKinds, maxExplainSources).WithField("kinds")
	}
	switch {
	case in.Name != "":
		app, err := a.store.Application(ctx, in.Name)
		if err == nil && !set.Sees(permission.Applications, app.Project, app.Name) {
			err = fleet.ApplicationUnknown(in.Name)
		}
		if err != nil {
			return q, err
		}
		q.app, q.stored = app.Application, &app
		q.app.Metadata.Name = app.Name
		q.app.Spec.Project = app.Project
		q.objects = a.objectsOf(ctx, app)
	case len(in.Application) > 0:
		if q.app, err = decode.Application(in.Application); err != nil {
			return q, err
		}
		app, err := a.store.Application(ctx, q.app.Metadata.Name)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return q, err
		}
		if err == nil && set.Sees(permission.Applications, app.Project, app.Name) {
			q.stored = &app
		}
	default:
		q.app.Spec.Project = cmp.Or(in.Project, model.DefaultProject)
		for _, s := range in.Sources {
			q.app.Spec.Sources = append(q.app.Spec.Sources, model.Source{RepoURL: s})
		}
		if in.Destination != nil {
			q.app.Spec.Destination = *in.Destination
		}
	}
	for _, k := range in.Kinds {
		key := model.ObjectKey{Group: k.Group, Kind: k.Kind, Namespace: k.Namespace, Name: k.Name}
		q.keys = append(q.keys, key)
		q.objects = append(q.objects, policy.ObjectFacts{Key: key, Namespaced: !manifest.ClusterScoped(key.GroupKind())})
	}
	return q, nil
}

// objectUsage is what there is of a project's maxObjects, nil when it has none or no
// objects are asked about.
func (a *api) objectUsage(ctx context.Context, rules policy.Project, q asked, member bool) (*policy.Usage, error) {
	if l := rules.Spec.Limits; l == nil || l.MaxObjects == nil || q.objects == nil {
		return nil, nil
	}
	counts, err := a.store.ObjectsOfProject(ctx, rules.Name)
	if err != nil {
		return nil, err
	}
	u := &policy.Usage{Member: member}
	for uid, n := range counts {
		if member && uid == q.stored.UID {
			u.Present = n
			continue
		}
		u.Applications++
		u.Objects += n
	}
	return u, nil
}

// objectsOf are the objects of an application as they were rendered last, nil
// when nothing was or they are not held.
func (a *api) objectsOf(ctx context.Context, app fleet.App) []policy.ObjectFacts {
	if a.opts.Previews == nil || app.Source.Bundle == "" && app.Pin == nil {
		return nil
	}
	objects, _, err := a.opts.Previews.Stored(ctx, app)
	if err != nil {
		return nil
	}
	out := make([]policy.ObjectFacts, len(objects))
	for i, o := range objects {
		// Objects were given their namespaces.
		out[i] = policy.ObjectFacts{Key: o.Key, Namespaced: o.Key.Namespace != "" || !manifest.ClusterScoped(o.Key.GroupKind()), Origin: o.Origin}
	}
	return out
}

// subject is what the token that is asked about may do.
func (a *api) subject(ctx context.Context, c *gin.Context, set *permission.Set, name string) (*permission.Set, error) {
	own := identity(c)
	if name == "" || name == own.Name || name == own.ID {
		return set, nil
	}
	if !set.Admin() {
		rule := "only administrators may ask about others"
		e := fault.New(fault.Denied, policy.CodePermission, "%s", rule).WithField("subject")
		explained := policy.Role("", false, rule)
		explained.ID, explained.Question, explained.CanChange = fault.ID(policy.CodePermission), "explain what another token may do", canChangeProjects
		e.Explain = explained
		return nil, e
	}
	tokens, err := a.opts.Auth.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(tokens, func(t fleet.APIToken) bool { return t.ID == name || t.Name == name })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "api_token_unknown", "there is no API token %q", cut(name)).WithField("subject")
	}
	return a.sets.of(tokens[i]), nil
}

var explainVerbs = []permission.Verb{permission.Get, permission.Logs, permission.Events, permission.Sync, permission.Rollback, permission.Refresh,
	permission.Terminate, permission.RunAction, permission.Exec, permission.Create, permission.Update, permission.Delete, permission.DeleteObject}

func verbAsked(text string, exists bool) (permission.Verb, error) {
	if text == "" || text == "deploy" {
		if exists {
			return permission.Update, nil
		}
		return permission.Create, nil
	}
	if v := permission.Verb(text); slices.Contains(explainVerbs, v) {
		return v, nil
	}
	return "", fault.New(fault.Invalid, "value_unknown", "the verb %q is unknown", cut(text)).WithField("verb").
		WithFound(cut(text), "deploy, get, logs, events, sync, rollback, refresh, terminate, action, exec, create, update, delete")
}

// unknownProject is the answer about a project that is not there or not seen.
func unknownProject(ctx context.Context, a *api, set *permission.Set, name string) error {
	visible, err := a.visibleProjects(ctx, set)
	if err != nil {
		return err
	}
	var names []string
	for _, p := range visible {
		names = append(names, p.Metadata.Name)
	}
	slices.Sort(names)
	return refused(policy.Unknown(name, names))
}
