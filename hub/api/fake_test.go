package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/auth/authtest"
	"github.com/hawser-dev/hawser/hub/auth/oidc"
	"github.com/hawser-dev/hawser/hub/auth/oidc/oidctest"
	"github.com/hawser-dev/hawser/hub/events"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/inventory"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// fakeStore keeps in memory what the database would.
type fakeStore struct {
	authtest.Identity
	mu         notes
	hub        fleet.HubState
	tokens     []fleet.APIToken
	enrol      []fleet.EnrolmentToken
	clusters   []model.Cluster
	line       fleet.Line // of each cluster
	queued     []fleet.QueuedChange
	projects   map[string]model.AppProject
	sets       map[string]model.ApplicationSet
	objects    map[string]map[model.AppUID]int
	repos      []fleet.Repository
	templates  []fleet.RepositoryTemplate
	apps       map[string]fleet.App
	ops        []model.OperationInfo
	keys       map[string]model.OperationID
	tree       model.ResourceTree
	treesRead  int
	movesTrees string // of another project when a tree is read
	resources  []model.ResourceStatus
	history    []fleet.Deployment
	desired    model.Desired
	rendered   bool
	deploys    []fleet.Deploy // of the operations that had one
	// changes is how often an application is written between decision and
	// storing.
	changes int
	// meanwhile, when set, is what each of these writes is.
	meanwhile func()
	// unpinned is who ended a rollback, and why.
	unpinned string
	down     bool // every call fails as if the database were away
	panics   bool
	upserts  int
}

var errDown = fault.Wrap(errors.New("dial /var/run/postgresql/.s.PGSQL.5432: CANARY"), fault.Unavailable, "db_unavailable", "the database is not reachable")

func (s *fakeStore) lock() (func(), error) {
	s.mu.Lock()
	if s.panics {
		defer s.mu.Unlock()
		panic("CANARY: nil map in *store.Store")
	}
	if s.down {
		s.mu.Unlock()
		return nil, errDown
	}
	return s.mu.Unlock, nil
}

func unknown(code, format string, args ...any) error {
	return fault.New(fault.NotFound, code, format, args...)
}

func (s *fakeStore) HubState(context.Context) (fleet.HubState, error) {
	unlock, err := s.lock()
	if err != nil {
		return fleet.HubState{}, err
	}
	defer unlock()
	return s.hub, nil
}

func (s *fakeStore) AcknowledgeRestore(context.Context) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s.hub.HoldDeletes = false
	return nil
}

func (s *fakeStore) CreateAPIToken(_ context.Context, t fleet.APIToken) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s.tokens = append(s.tokens, t)
	return nil
}

func (s *fakeStore) APITokenByHash(_ context.Context, hash []byte) (fleet.APIToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		if bytes.Equal(t.Hash, hash) {
			return t, nil
		}
	}
	return fleet.APIToken{}, unknown("api_token_unknown", "no such token")
}

func (s *fakeStore) APITokenByID(_ context.Context, id string) (fleet.APIToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		if t.ID == id {
			return t, nil
		}
	}
	return fleet.APIToken{}, unknown("api_token_unknown", "no such token")
}

func (s *fakeStore) APITokens(context.Context) ([]fleet.APIToken, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return slices.Clone(s.tokens), nil
}

func (s *fakeStore) DeleteAPIToken(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.tokens)
	s.tokens = slices.DeleteFunc(s.tokens, func(t fleet.APIToken) bool { return t.ID == id })
	if len(s.tokens) == n {
		return unknown("api_token_unknown", "there is no token %q", id)
	}
	return nil
}

// role says whether a project has a role.
func (s *fakeStore) role(project, role string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.projects[project]
	if !ok {
		return fleet.ProjectUnknown(project)
	}
	if !slices.ContainsFunc(p.Spec.Roles, func(r model.ProjectRole) bool { return r.Name == role }) {
		return fleet.RoleUnknown(project, role)
	}
	return nil
}

func (s *fakeStore) CreateEnrolmentToken(_ context.Context, t fleet.EnrolmentToken) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s.enrol = append(s.enrol, t)
	return nil
}

func (s *fakeStore) EnrolmentTokens(context.Context) ([]fleet.EnrolmentToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.enrol), nil
}

func (s *fakeStore) DeleteEnrolmentToken(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.enrol)
	s.enrol = slices.DeleteFunc(s.enrol, func(t fleet.EnrolmentToken) bool { return t.ID == id })
	if len(s.enrol) == n {
		return unknown("enrolment_token_unknown", "there is no enrolment token %q", id)
	}
	return nil
}

func (s *fakeStore) Clusters(context.Context) ([]model.Cluster, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return slices.Clone(s.clusters), nil
}

func (s *fakeStore) findCluster(nameOrID string) int {
	return slices.IndexFunc(s.clusters, func(c model.Cluster) bool { return c.Name == nameOrID || string(c.ID) == nameOrID })
}

func (s *fakeStore) Cluster(_ context.Context, nameOrID string) (model.Cluster, error) {
	unlock, err := s.lock()
	if err != nil {
		return model.Cluster{}, err
	}
	defer unlock()
	if i := s.findCluster(nameOrID); i >= 0 {
		return s.clusters[i], nil
	}
	return model.Cluster{}, unknown("cluster_unknown", "there is no cluster %q", nameOrID)
}

func (s *fakeStore) changeCluster(id model.ClusterID, f func(*model.Cluster)) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	f(&s.clusters[s.findCluster(string(id))])
	return nil
}

func (s *fakeStore) Line(context.Context, model.ClusterID) (fleet.Line, error) {
	unlock, err := s.lock()
	if err != nil {
		return fleet.Line{}, err
	}
	defer unlock()
	return s.line, nil
}

func (s *fakeStore) QueuedChanges(context.Context, model.ClusterID) ([]fleet.QueuedChange, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.queued, nil
}

func (s *fakeStore) RevokeCluster(_ context.Context, id model.ClusterID) error {
	return s.changeCluster(id, func(c *model.Cluster) { c.Revoked = true })
}

func (s *fakeStore) AllowCluster(_ context.Context, id model.ClusterID) error {
	return s.changeCluster(id, func(c *model.Cluster) { c.Held = "" })
}

func (s *fakeStore) SetClusterAliases(_ context.Context, id model.ClusterID, aliases []string, expected int64) error {
	return s.writeCluster(id, expected, func(c *model.Cluster) { c.Aliases = aliases })
}

func (s *fakeStore) SetClusterLabels(_ context.Context, id model.ClusterID, labels map[string]string, expected int64) error {
	return s.writeCluster(id, expected, func(c *model.Cluster) { c.Labels = labels })
}

func (s *fakeStore) SetClusterKubectl(_ context.Context, id model.ClusterID, on bool, expected int64) error {
	return s.writeCluster(id, expected, func(c *model.Cluster) { c.Kubectl = on })
}

func (s *fakeStore) writeCluster(id model.ClusterID, expected int64, f func(*model.Cluster)) (err error) {
	if gone := s.changeCluster(id, func(c *model.Cluster) {
		if expected != 0 && expected != c.Version {
			err = versionConflict
			return
		}
		c.Version++
		f(c)
	}); gone != nil {
		return gone
	}
	return err
}

var versionConflict = fault.New(fault.Conflict, "version_conflict", "it was changed meanwhile")

func (s *fakeStore) ResolveDestination(_ context.Context, d model.Destination) (model.Cluster, error) {
	unlock, err := s.lock()
	if err != nil {
		return model.Cluster{}, err
	}
	defer unlock()
	for _, c := range s.clusters {
		if d.Name == c.Name || d.Server != "" && slices.Contains(c.Aliases, d.Server) {
			return c, nil
		}
	}
	return model.Cluster{}, fault.New(fault.Invalid, "destination_unknown", "no cluster is meant by %q", cmp.Or(d.Name, d.Server)).WithField("spec.destination")
}

func (s *fakeStore) DeleteCluster(_ context.Context, id model.ClusterID, expected int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.clusters, func(c model.Cluster) bool { return c.ID == id }); i >= 0 && expected != 0 && s.clusters[i].Version != expected {
		return versionConflict
	}
	n := 0
	for _, a := range s.apps {
		if a.Cluster == id {
			n++
		}
	}
	if n > 0 {
		return fault.New(fault.Precondition, "cluster_in_use", "%d applications are deployed to the cluster", n)
	}
	s.clusters = slices.DeleteFunc(s.clusters, func(c model.Cluster) bool { return c.ID == id })
	return nil
}

func (s *fakeStore) UpsertProjectOver(_ context.Context, p model.AppProject, by string, version int64) (model.AppProject, error) {
	unlock, err := s.lock()
	if err != nil {
		return model.AppProject{}, err
	}
	defer unlock()
	s.upserts++
	at := time.Unix(1_700_000_000, 0).UTC()
	p.Metadata.Generation = s.projects[p.Metadata.Name].Metadata.Generation + 1
	if version != 0 && strconv.FormatInt(version, 10) != s.projects[p.Metadata.Name].Metadata.ResourceVersion {
		return model.AppProject{}, fault.New(fault.Conflict, "version_conflict", "changed meanwhile")
	}
	p.Metadata.ResourceVersion = strconv.FormatInt(p.Metadata.Generation, 10)
	p.Status, _ = json.Marshal(model.ProjectStatus{ChangedAt: &at, ChangedBy: by})
	s.projects[p.Metadata.Name] = p
	return p, nil
}

func (s *fakeStore) ProjectObjects(context.Context) (map[string]map[model.AppUID]int, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.objects, nil
}

func (s *fakeStore) ObjectsOfProject(ctx context.Context, project string) (map[model.AppUID]int, error) {
	all, err := s.ProjectObjects(ctx)
	return all[project], err
}

func (s *fakeStore) Project(_ context.Context, name string) (model.AppProject, error) {
	unlock, err := s.lock()
	if err != nil {
		return model.AppProject{}, err
	}
	defer unlock()
	p, ok := s.projects[name]
	if !ok {
		return p, unknown("project_unknown", "there is no project %q", name)
	}
	return p, nil
}

func (s *fakeStore) Projects(context.Context) ([]model.AppProject, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []model.AppProject
	for _, p := range s.projects {
		out = append(out, p)
	}
	return out, nil
}

func (s *fakeStore) ProjectAndGlobals(ctx context.Context, name string) ([]model.AppProject, error) {
	all, err := s.Projects(ctx)
	return slices.DeleteFunc(all, func(p model.AppProject) bool { return p.Metadata.Name != name && p.Spec.InheritedBy == nil }), err
}

func (s *fakeStore) DeleteProject(_ context.Context, name string, expected int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.projects[name]
	if !ok {
		return unknown("project_unknown", "there is no project %q", name)
	}
	if expected != 0 && p.Metadata.Generation != expected {
		return versionConflict
	}
	var names []string
	for _, a := range s.apps {
		if a.Project == name {
			names = append(names, a.Name)
		}
	}
	if len(names) > 0 {
		return fault.New(fault.Precondition, "project_in_use", "applications belong to the project %q: %v", name, names)
	}
	delete(s.projects, name)
	return nil
}

func (s *fakeStore) UpsertRepository(_ context.Context, r fleet.Repository) (model.Repository, error) {
	unlock, err := s.lock()
	if err != nil {
		return model.Repository{}, err
	}
	defer unlock()
	for i, old := range s.repos {
		if fleet.RepositoryIdentity(old.URL) == fleet.RepositoryIdentity(r.URL) {
			if r.Version != 0 && r.Version != old.Version {
				return model.Repository{}, versionConflict
			}
			r.ID, r.Version = old.ID, old.Version+1
			if r.Credential == nil {
				r.Credential = old.Credential
			}
			r.State, r.Holds = "unknown", r.Credential.Info()
			s.repos[i] = r
			return r.Repository, nil
		}
	}
	r.ID, r.State, r.Holds, r.Version = fmt.Sprint("repo-", len(s.repos)+1), "unknown", r.Credential.Info(), 1
	s.repos = append(s.repos, r)
	return r.Repository, nil
}

func (s *fakeStore) Repositories(context.Context) ([]model.Repository, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []model.Repository
	for _, r := range s.repos {
		out = append(out, r.Repository)
	}
	return out, nil
}

func (s *fakeStore) Repository(_ context.Context, id string) (fleet.Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.repos {
		if r.ID == id {
			return r, nil
		}
	}
	return fleet.Repository{}, unknown("repository_unknown", "there is no repository %q", id)
}

func (s *fakeStore) RepositoryProject(_ context.Context, url string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.repos {
		if fleet.RepositoryIdentity(r.URL) == fleet.RepositoryIdentity(url) {
			return r.Project, nil
		}
	}
	return "", nil
}

func (s *fakeStore) DeleteRepository(_ context.Context, id string, expected int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.repos, func(r fleet.Repository) bool { return r.ID == id }); i >= 0 && expected != 0 && s.repos[i].Version != expected {
		return versionConflict
	}
	n := len(s.repos)
	s.repos = slices.DeleteFunc(s.repos, func(r fleet.Repository) bool { return r.ID == id })
	if len(s.repos) == n {
		return unknown("repository_unknown", "there is no repository %q", id)
	}
	return nil
}

func (s *fakeStore) UpsertRepositoryTemplate(_ context.Context, t fleet.RepositoryTemplate) (model.RepositoryTemplate, error) {
	unlock, err := s.lock()
	if err != nil {
		return model.RepositoryTemplate{}, err
	}
	defer unlock()
	t.Holds = t.Credential.Info()
	for i, old := range s.templates {
		if old.ID == t.ID {
			if t.Version != 0 && t.Version != old.Version {
				return model.RepositoryTemplate{}, versionConflict
			}
			t.Version = old.Version + 1
			s.templates[i] = t
			return t.RepositoryTemplate, nil
		}
	}
	t.ID, t.Version = fmt.Sprint("template-", len(s.templates)+1), 1
	s.templates = append(s.templates, t)
	return t.RepositoryTemplate, nil
}

func (s *fakeStore) RepositoryTemplates(context.Context) ([]model.RepositoryTemplate, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []model.RepositoryTemplate
	for _, t := range s.templates {
		out = append(out, t.RepositoryTemplate)
	}
	return out, nil
}

func (s *fakeStore) RepositoryTemplate(_ context.Context, id string) (fleet.RepositoryTemplate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.templates {
		if t.ID == id {
			return t, nil
		}
	}
	return fleet.RepositoryTemplate{}, unknown("repository_template_unknown", "there is no credential template %q", id)
}

func (s *fakeStore) DeleteRepositoryTemplate(_ context.Context, id string, expected int64) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range s.templates {
		if t.ID == id {
			if expected != 0 && t.Version != expected {
				return "", versionConflict
			}
			s.templates = slices.Delete(s.templates, i, i+1)
			return t.URL, nil
		}
	}
	return "", unknown("repository_template_unknown", "there is no credential template %q", id)
}

// TemplateFor finds any template that covers the URL; that the longest wins is
// the database's business.
func (s *fakeStore) TemplateFor(_ context.Context, url, project string) (*fleet.Credential, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.templates {
		if (t.Project == "" || t.Project == project) && fleet.RepositoryUnder(url, t.URL) {
			return t.Credential, t.URL, nil
		}
	}
	return nil, "", nil
}

func (s *fakeStore) UpsertApplication(_ context.Context, a fleet.App) (fleet.App, bool, error) {
	unlock, err := s.lock()
	if err != nil {
		return fleet.App{}, false, err
	}
	defer unlock()
	s.upserts++
	if a.UID != "" {
		// Between the caller's reading and this the application may have been
		// deleted; a new one must not take up its identity.
		return fleet.App{}, false, fault.New(fault.Internal, "uid_given", "%q is written under the UID that it had when it was read", a.Name)
	}
	old, exists := s.apps[a.Name]
	if exists && old.Cluster != a.Cluster {
		return fleet.App{}, false, fault.New(fault.Precondition, "destination_immutable", "the destination of %q cannot change", a.Name)
	}
	if a.Version != 0 && a.Version != old.Version {
		return fleet.App{}, false, fault.New(fault.Conflict, "version_conflict", "changed meanwhile")
	}
	a.Version = old.Version + 1
	a.UID = model.AppUID("uid-" + a.Name)
	a.CreatedAt = start
	s.apps[a.Name] = a
	return a, !exists, nil
}

func (s *fakeStore) Application(_ context.Context, name string) (fleet.App, error) {
	unlock, err := s.lock()
	if err != nil {
		return fleet.App{}, err
	}
	defer unlock()
	a, ok := s.apps[name]
	if !ok {
		return a, unknown("application_not_found", "there is no application %q", name)
	}
	return a, nil
}

func (s *fakeStore) Applications(context.Context) ([]fleet.App, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []fleet.App
	for _, a := range s.apps {
		out = append(out, a)
	}
	return out, nil
}

func (s *fakeStore) view(a fleet.App) model.AppView {
	return model.AppView{UID: a.UID, Name: a.Name, Project: a.Project, Cluster: a.ClusterName, ClusterID: a.Cluster, Freshness: model.FreshNever,
		Sync: model.SyncFacet{Status: model.SyncUnknown}, Health: model.HealthFacet{Status: model.HealthUnknown}}
}

func (s *fakeStore) AppViews(_ context.Context, f fleet.ViewFilter) ([]model.AppView, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []model.AppView
	for _, a := range s.apps {
		if f.Project != "" && a.Project != f.Project || f.Cluster != "" && a.Cluster != f.Cluster ||
			len(f.Names) > 0 && !slices.Contains(f.Names, a.Name) || len(f.UIDs) > 0 && !slices.Contains(f.UIDs, a.UID) {
			continue
		}
		out = append(out, s.view(a))
	}
	return out, nil
}

func (s *fakeStore) AppView(ctx context.Context, name string) (model.AppView, error) {
	a, err := s.Application(ctx, name)
	if err != nil {
		return model.AppView{}, err
	}
	v := s.view(a)
	a.Application.Metadata.Generation = a.Version // as the store tells it
	v.Application = &a.Application
	v.Resources = s.resources
	return v, nil
}

func (s *fakeStore) AppDetails(ctx context.Context, names []string) (out []model.AppView, err error) {
	for _, name := range names {
		v, err := s.AppView(ctx, name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (s *fakeStore) AppDocuments(ctx context.Context, uids []model.AppUID) (map[model.AppUID]*model.Application, error) {
	all, err := s.Applications(ctx)
	out := map[model.AppUID]*model.Application{}
	for _, a := range all {
		if slices.Contains(uids, a.UID) {
			a.Application.Metadata.Generation = a.Version
			out[a.UID] = &a.Application
		}
	}
	return out, err
}

func (s *fakeStore) Tree(_ context.Context, app model.AppUID) (fleet.Tree, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.treesRead++
	if s.tree.Nodes == nil {
		return fleet.Tree{}, unknown("tree_not_found", "no tree was reported")
	}
	return fleet.Tree{ResourceTree: s.tree, Version: s.treeVersion(app), ObservedAt: start}, nil
}

// treeVersion is of the tree that every application has; s.mu is held.
func (s *fakeStore) treeVersion(app model.AppUID) fleet.TreeVersion {
	if s.tree.Nodes == nil {
		return fleet.TreeVersion{App: app}
	}
	text, _ := json.Marshal(s.tree)
	return fleet.TreeVersion{App: app, Digest: fmt.Sprintf("%x", sha256.Sum256(text)), At: start}
}

func (s *fakeStore) TreeState(ctx context.Context, name string) (fleet.TreeState, error) {
	v, err := s.AppView(ctx, name)
	if err != nil {
		return fleet.TreeState{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := fleet.TreeState{App: v.UID, Project: cmp.Or(s.movesTrees, v.Project), Version: s.treeVersion(v.UID), Freshness: v.Freshness}
	if s.tree.Nodes != nil {
		at := start
		out.ObservedAt = &at
	}
	return out, nil
}

func (s *fakeStore) CreateOperation(_ context.Context, n fleet.NewOperation) (model.OperationInfo, bool, error) {
	unlock, err := s.lock()
	if err != nil {
		return model.OperationInfo{}, false, err
	}
	defer unlock()
	if id, ok := s.keys[n.IdempotencyKey]; ok && n.IdempotencyKey != "" {
		for _, op := range s.ops {
			if op.ID == id {
				return op, true, nil
			}
		}
	}
	for _, a := range s.apps {
		if a.UID == n.App && n.Version != 0 && a.Version != n.Version {
			return model.OperationInfo{}, false, versionConflict
		}
	}
	if a, err := fleet.Admit(s.ops, n); err == nil && a.Existing != nil {
		return *a.Existing, true, nil
	}
	op := model.OperationInfo{ID: model.OperationID(fmt.Sprint("op-", len(s.ops)+1)), App: n.App, Kind: n.Kind, Spec: n.Spec,
		Phase: model.PhaseQueued, InitiatedBy: n.InitiatedBy}
	for _, a := range s.apps {
		if a.UID == n.App {
			op.AppName, op.Cluster, op.Project = a.Name, a.Cluster, a.Project
		}
	}
	if !n.Deadline.IsZero() {
		op.Deadline = &n.Deadline
	}
	if d := n.Deploy; d != nil {
		if s.changes > 0 {
			s.changes--
			if s.meanwhile != nil {
				s.meanwhile()
			}
			return model.OperationInfo{}, false, fault.New(fault.Conflict, "application_changed", "the application was written")
		}
		if d.Expected != 0 && d.Expected != s.desired.Generation {
			return model.OperationInfo{}, false, fault.New(fault.Conflict, "generation_changed", "generation %d", s.desired.Generation)
		}
		s.deploys = append(s.deploys, *d)
		op.Generation = s.desired.Generation + 1
	}
	s.ops = append(s.ops, op)
	s.keys[n.IdempotencyKey] = op.ID
	return op, false, nil
}

func (s *fakeStore) OperationByKey(ctx context.Context, key string) (model.OperationInfo, bool, error) {
	s.mu.Lock()
	id, ok := s.keys[key]
	s.mu.Unlock()
	if !ok {
		return model.OperationInfo{}, false, nil
	}
	op, err := s.Operation(ctx, id)
	return op, err == nil, err
}

func (s *fakeStore) Deployments(context.Context, model.AppUID) ([]fleet.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.history, nil
}

func (s *fakeStore) DesiredOf(context.Context, model.AppUID) (model.Desired, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desired, s.rendered, nil
}

func (s *fakeStore) ReleasePin(_ context.Context, uid model.AppUID, by, reason string) (fleet.Pin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unpinned = by + ": " + reason
	for name, a := range s.apps {
		if a.UID == uid && a.Pin != nil {
			pin := *a.Pin
			a.Pin = nil
			s.apps[name] = a
			return pin, nil
		}
	}
	return fleet.Pin{}, fault.New(fault.Precondition, "not_pinned", "it is not pinned")
}

func (s *fakeStore) AmendDelete(_ context.Context, uid model.AppUID, only model.OperationID, a model.Amendment) (model.OperationInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.ops {
		if op := &s.ops[i]; op.App == uid && op.Kind == model.OperationDelete && !op.Phase.Terminal() && (only == "" || only == op.ID) {
			next, _, err := fleet.Amend(*op, a)
			*op = next
			return next, err
		}
	}
	return model.OperationInfo{}, unknown("operation_not_found", "the application is not being deleted")
}

func (s *fakeStore) Operation(_ context.Context, id model.OperationID) (model.OperationInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range s.ops {
		if op.ID == id {
			return op, nil
		}
	}
	return model.OperationInfo{}, unknown("operation_not_found", "there is no operation %q", id)
}

func (s *fakeStore) Operations(_ context.Context, f fleet.OperationFilter) ([]model.OperationInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []model.OperationInfo
	for _, op := range s.ops {
		if (f.App == "" || op.App == f.App) && (f.Cluster == "" || op.Cluster == f.Cluster) && (!f.OpenOnly || !op.Phase.Terminal()) && (f.Projects == nil || slices.Contains(f.Projects, op.Project)) && (f.Before == 0 || op.Seq < f.Before) {
			out = append(out, op)
		}
	}
	slices.SortFunc(out, func(x, y model.OperationInfo) int { return cmp.Compare(y.Seq, x.Seq) })
	return out[:min(len(out), cmp.Or(f.Limit, 100))], nil
}

func (s *fakeStore) CountOperations(ctx context.Context, f fleet.OperationFilter) (out []fleet.OperationCount, err error) {
	f.Before = 0
	ops, err := s.Operations(ctx, f)
	for _, op := range ops {
		out = append(out, fleet.OperationCount{Phase: op.Phase, Kind: op.Kind, Count: 1})
	}
	return out, err
}

func (s *fakeStore) TerminateOperation(_ context.Context, id model.OperationID, by string) (model.OperationInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.ops {
		if s.ops[i].ID == id {
			next, _, err := fleet.Advance(s.ops[i], fleet.OperationEvent{Type: fleet.EventTerminate, By: by, At: time.Now()})
			s.ops[i] = next
			return next, err
		}
	}
	return model.OperationInfo{}, unknown("operation_not_found", "there is no operation %q", id)
}

// calls notes what was told to the other parts, as "name argument".
type calls struct {
	mu   sync.Mutex
	list []string
}

func (c *calls) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, fmt.Sprintf(format, args...))
}

func (c *calls) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := strings.Join(c.list, "; ")
	c.list = nil
	return s
}

func (c *calls) Notify(id model.ClusterID, apps ...model.AppUID) { c.add("notify %s %s", id, apps) }
func (c *calls) NotifyAll()                                      { c.add("notify all") }
func (c *calls) NotifyOperation(id model.ClusterID)              { c.add("notify-operation %s", id) }
func (c *calls) Refresh(id model.ClusterID, apps ...model.AppUID) bool {
	c.add("refresh %s %s", id, apps)
	return false
}
func (c *calls) CloseCluster(id model.ClusterID, code, _ string) { c.add("close %s %s", id, code) }
func (c *calls) ApplicationsWritten(apps ...model.AppUID)        { c.add("deliver %s", apps) }
func (c *calls) ProjectWritten(name string)                      { c.add("project %s", name) }
func (c *calls) ClusterWritten(id model.ClusterID)               { c.add("labels of %s", id) }
func (c *calls) Poke(url string)                                 { c.add("poke %s", url) }
func (c *calls) PublishApplications(apps []model.AppUID)         { c.add("publish-apps %s", apps) }
func (c *calls) Publish(kind, key string, _ any)                 { c.add("publish %s %s", kind, key) }

// deliveryParts is what of the API's requests delivery has to carry out.
type deliveryParts struct {
	*calls
	w *world
}

func (d deliveryParts) Prepare(_ context.Context, app fleet.App, content fleet.Content, deployment int64) (fleet.Deploy, error) {
	d.add("prepare %d of %s", deployment, app.Name)
	out := fleet.Deploy{AppVersion: app.Version, Content: content}
	if deployment != 0 && content.Bundle != app.Source.Bundle {
		out.Pin = &fleet.Pin{Pin: model.Pin{HistoryID: deployment, Revision: content.Revision, SetAside: app.Source.Revision}}
	}
	return out, d.w.prepareErr
}

func (d deliveryParts) Limit(_ context.Context, app fleet.App) error {
	if d.w.limit != nil {
		return d.w.limit(app)
	}
	return nil
}

func (d deliveryParts) Settle(ctx context.Context, _ model.AppUID) (waited, settled bool) {
	if d.w.settle != nil {
		return true, d.w.settle(ctx)
	}
	return false, true
}

func (d deliveryParts) Changes(_ context.Context, _ fleet.App, from, to model.Digest) ([]model.ResourceResult, error) {
	return []model.ResourceResult{{ObjectKey: model.ObjectKey{Kind: "ConfigMap", Name: string(from + ">" + to)}, Status: "Configured"}}, nil
}

// agentActions answers for agents.
type agentActions struct{ *calls }

func (a agentActions) ResourceActions(_ context.Context, app fleet.App, by string, key model.ObjectKey) ([]model.ResourceAction, error) {
	a.add("actions of %s in %s for %s", key, app.Name, by)
	return []model.ResourceAction{{Name: "restart"}, {Name: "scale", Params: []string{"replicas"}}}, nil
}

// broker fits events.Broker to Stream, as hub/app does.
type broker struct{ *events.Broker }

type reader struct{ *events.Reader }

func (b broker) Resume(id string) StreamReader { return reader{b.Broker.Resume(id)} }

func (r reader) Next(ctx context.Context) ([]StreamEvent, error) {
	got, err := r.Reader.Next(ctx)
	if errors.Is(err, events.ErrReset) {
		return nil, ErrReset
	}
	out := make([]StreamEvent, len(got))
	for i, e := range got {
		out[i] = StreamEvent(e)
	}
	return out, err
}

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// world is an API with everything around it faked, and a logged-in caller.
type world struct {
	t      testing.TB
	store  *fakeStore
	calls  *calls
	auth   *auth.Service
	broker *events.Broker
	// providers are none until a test sets some.
	providers *oidctest.Store
	opts      Options
	handler   http.Handler
	index     *inventory.Index
	real      bool // the store is a database, and the inventory is told what is written
	token     string
	log       *bytes.Buffer
	logMu     sync.Mutex
	testErr   error
	ready     error
	tested    *fleet.Credential
	echo      string // what the server repeats in an answer
	// prepareErr is why a past deployment cannot be desired again.
	limit      func(fleet.App) error
	settle     func(context.Context) bool
	prepareErr error
	// betweenSteps, when set, is called in the middle of a probe.
	betweenSteps func()
}

func (w *world) Write(p []byte) (int, error) {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.String()
}

type sources struct {
	*calls
	w *world
}

func (s sources) PokeUnder(prefix string) { s.add("poke-under %s", prefix) }

// Probe resolves, connects, and then fails when it is to.
func (s sources) Probe(_ context.Context, url string, c *fleet.Credential, each func(ProbeStep)) error {
	s.w.tested = c
	each(ProbeStep{Name: "dns", Detail: "192.0.2.1", Took: 1500 * time.Microsecond})
	each(ProbeStep{Name: "tcp", Detail: "192.0.2.1:443 for " + s.w.echo})
	if s.w.betweenSteps != nil {
		s.w.betweenSteps()
	}
	each(ProbeStep{Name: "auth", Err: s.w.testErr})
	return s.w.testErr
}

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	seen := start.Add(-12 * time.Minute)
	w := &world{t: t, calls: &calls{}, broker: events.New("r", 16), log: &bytes.Buffer{}}
	w.store = &fakeStore{
		hub: fleet.HubState{HubID: "hub-1", Incarnation: 2, HoldDeletes: true},
		clusters: []model.Cluster{
			{ID: "id-eu", Name: "eu", Version: 1, Connected: true, Aliases: []string{"https://eu:6443"}},
			{ID: "id-us", Name: "us", Version: 1, LastSeen: &seen},
		},
		projects: map[string]model.AppProject{
			"default": {APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: "default"}, Spec: model.DefaultProjectSpec()},
			"shop": {APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: "shop"}, Spec: model.AppProjectSpec{
				SourceRepos:  []string{"https://github.com/shop/*"},
				Destinations: []model.ProjectDestination{{Name: "eu*", Namespace: "shop-*"}},
			}},
		},
		apps: map[string]fleet.App{}, keys: map[string]model.OperationID{},
	}
	log := tracing.Log(slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})))
	now := func() time.Time { return start }
	w.store.Identity.Now, w.store.Identity.Token, w.store.Identity.Role = now, w.store.CreateAPIToken, w.store.role
	w.auth = auth.New(w.store, now, log)
	w.auth.SignWith(authtest.Signer("of this hub"))
	w.opts = Options{
		SavedViews: &fakeSavedViews{},
		Store:      w.store, Auth: w.auth, Agents: w.calls, Delivery: deliveryParts{w.calls, w}, Actions: agentActions{w.calls}, Sources: sources{w.calls, w}, Publisher: w.calls,
		Stream:            broker{w.broker},
		NewEnrolmentToken: func() (string, []byte, error) { return "hwe_secret", []byte("hash"), nil },
		Ready:             func(context.Context) error { return w.ready },
		Webhook:           http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusAccepted) }),
		Version:           "1.2.3", Advertise: "hub.example.org:8443", CAHash: caHash, InstallAgent: installAgent, Log: log, Now: now,
	}
	w.providers = &oidctest.Store{Now: now}
	w.opts.SSO, w.opts.IdentityProviders = oidc.New(w.providers, w.auth, "https://hub.example.org:8443", now, log), w.providers
	w.index = inventory.New(inventory.Options{Store: w.store, Now: now, Log: log})
	w.opts.Inventory, w.opts.CursorKey = w.index, []byte("key")
	for _, f := range change {
		f(&w.opts)
	}
	w.login()
	return w
}

// login makes the handler from the options, and a caller who is logged in.
func (w *world) login() {
	w.t.Helper()
	w.handler = New(w.opts)
	var err error
	if w.token, _, err = w.auth.Issue(w.t.Context(), fleet.NewAPIToken{Name: "ana", Lifetime: 0, Admin: true}); err != nil {
		w.t.Fatal(err)
	}
}

// answer is a response with its body read.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// call sends a request as the logged-in caller. Headers are "Name: value"; an
// empty value removes the header.
func (w *world) call(method, path, body string, headers ...string) answer {
	w.t.Helper()
	return w.callContext(w.t.Context(), method, path, body, headers...)
}

func (w *world) callContext(ctx context.Context, method, path, body string, headers ...string) answer {
	w.t.Helper()
	if !w.store.panics && !w.real {
		_ = w.index.Load(w.t.Context()) // what tests put into the store by hand; without a store nothing
	}
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequestWithContext(ctx, method, path, r)
	req.RemoteAddr = "192.0.2.1:1234"
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("X-Request-Id", "request-1")
	if body != "" {
		req.Header.Set("Content-Type", "application/yaml")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ":")
		if v = strings.TrimSpace(v); v == "" {
			req.Header.Del(k)
		} else {
			req.Header.Set(k, v)
		}
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	return answer{w.t, rec.Code, rec.Header(), rec.Body.String()}
}

func (a answer) ok(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

func (a answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
}

// problem checks a refusal and what is promised of all of them.
func (a answer) problem(status int, code string) problem {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Errorf("content type %q", ct)
	}
	var p problem
	a.into(&p)
	if p.Code != code {
		a.t.Fatalf("code %q, want %q: %s", p.Code, code, a.body)
	}
	if p.Status != status || p.Title == "" || p.Detail == "" || p.Kind == "" || p.Type != "urn:hawser:problem:"+code || p.RequestID == "" {
		a.t.Errorf("incomplete problem: %s", a.body)
	}
	if len([]rune(p.Detail)) > 300 {
		a.t.Errorf("detail of %d characters", len([]rune(p.Detail)))
	}
	for _, word := range []string{"CANARY", "*store", "/var/", "goroutine", ".go:", "panic", "map["} {
		if strings.Contains(a.body, word) {
			a.t.Errorf("%q is in the answer: %s", word, a.body)
		}
	}
	return p
}

func application(name string, change ...string) string {
	s := `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: ` + name + `}
spec:
  project: default
  source: {repoURL: https://github.com/shop/web, path: deploy}
  destination: {name: eu, namespace: shop-web}
`
	for i := 0; i < len(change); i += 2 {
		s = strings.Replace(s, change[i], change[i+1], 1)
	}
	return s
}

// fingerprint changes with everything that is stored.
func (s *fakeStore) fingerprint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := json.Marshal([]any{s.hub, len(s.enrol), s.clusters, s.projects, s.repos, s.templates, s.apps, s.ops, s.sets})
	return fmt.Sprint(string(b), err)
}

// short is call for routes that may not end: it ends them.
func (w *world) short(method, path, body string, headers ...string) answer {
	ctx, cancel := context.WithTimeout(w.t.Context(), 100*time.Millisecond)
	defer cancel()
	return w.callContext(ctx, method, path, body, headers...)
}

// AppRows, Leases and LeaseTime are what the inventory reads.
func (s *fakeStore) AppRows(ctx context.Context, uids []model.AppUID) ([]fleet.AppRow, error) {
	views, err := s.AppViews(ctx, fleet.ViewFilter{UIDs: uids})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []fleet.AppRow
	for _, v := range views {
		out = append(out, fleet.AppRow{AppView: v, Labels: s.apps[v.Name].Application.Metadata.Labels, ReportedAt: v.ObservedAt})
	}
	return out, nil
}

func (s *fakeStore) Leases(context.Context, []model.ClusterID) ([]fleet.Lease, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []fleet.Lease
	for _, c := range s.clusters {
		seen := c.LastSeen
		if seen == nil && c.Connected {
			seen = &start
		}
		out = append(out, fleet.Lease{Cluster: c.ID, Open: c.Connected, LastSeen: seen})
	}
	return out, nil
}

func (s *fakeStore) LeaseTime() time.Duration { return 30 * time.Second }

// caHash is what agents pin of the hub of the tests.
const caHash = "sha256:abababababababababababababababababababababababababababababababab"

func installAgent(in AgentInstallation) (helm, manifest string, err error) {
	if in.Profile == "root" {
		return "", "", fault.New(fault.Invalid, "profile_unknown", "no such profile")
	}
	return fmt.Sprintf("helm of %+v", in), fmt.Sprintf("manifest of %+v", in), nil
}
