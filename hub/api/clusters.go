package api

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

const (
	defaultEnrolment = time.Hour
	maxEnrolment     = 7 * 24 * time.Hour
	maxAliases       = 64
)

func (a *api) getCluster(c *gin.Context) {
	cluster, err := a.store.Cluster(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, a.orEnrolling(c, err))
		return
	}
	a.answerTagged(c, cluster.Version, a.seen(c.Request.Context(), a.caller(c), cluster))
}

// orEnrolling has the answer that there is no such cluster tell who may know it that
// one is to be enrolled under the name.
func (a *api) orEnrolling(c *gin.Context, err error) error {
	if !fault.HasCode(err, "cluster_unknown") {
		return err
	}
	ctx, name := c.Request.Context(), c.Param("name")
	if f, none := a.diagnosisFacts(ctx, a.caller(c), name); none != nil || f.Cluster != nil {
		return err
	}
	return fault.As(err).WithFix("there is an enrolment of that name, and no agent has come with it: hawser cluster diagnose %s", name)
}

func (a *api) deleteCluster(c *gin.Context) {
	ctx := c.Request.Context()
	cluster, err := a.store.Cluster(ctx, c.Param("name"))
	var expected int64
	if err == nil {
		expected, err = ifMatch(c)
	}
	if err == nil {
		err = a.store.DeleteCluster(ctx, cluster.ID, expected)
		a.callClusters.forget()
	}
	if set := a.caller(c); fault.HasCode(err, "cluster_in_use") && !set.Admin() {
		err = fault.New(fault.Precondition, "cluster_in_use", "applications are deployed to the cluster; you see %d of them", a.clusterSet(ctx, set).applications[cluster.ID]).
			WithFix("delete them first, with or without their objects; ask an administrator of this hub about those that you do not see")
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Agents.CloseCluster(cluster.ID, "cluster_deleted", "the cluster was deleted at the hub")
	a.opts.Publisher.Publish("cluster", string(cluster.ID), deleted{ID: string(cluster.ID), Name: cluster.Name, Deleted: true})
	c.Status(http.StatusNoContent)
}

func (a *api) revokeCluster(c *gin.Context) {
	ctx := c.Request.Context()
	cluster, err := a.store.Cluster(ctx, c.Param("name"))
	if err == nil {
		err = a.store.RevokeCluster(ctx, cluster.ID)
		a.callClusters.forget()
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Agents.CloseCluster(cluster.ID, "cluster_revoked", "the cluster's certificates were revoked")
	a.answerCluster(c, cluster.ID)
}

func (a *api) allowCluster(c *gin.Context) {
	ctx := c.Request.Context()
	cluster, err := a.store.Cluster(ctx, c.Param("name"))
	if err == nil {
		err = a.store.AllowCluster(ctx, cluster.ID)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerCluster(c, cluster.ID)
}

// answerCluster answers and publishes a cluster as it is after a write.
func (a *api) answerCluster(c *gin.Context, id model.ClusterID) {
	cluster, err := a.store.Cluster(c.Request.Context(), string(id))
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Publisher.Publish("cluster", string(id), cluster)
	c.Header("ETag", etag(cluster.Version))
	c.JSON(http.StatusOK, a.seen(c.Request.Context(), a.caller(c), cluster))
}

type clusterLabels struct {
	Labels map[string]string `json:"labels,omitempty"`
}

func (a *api) setClusterLabels(c *gin.Context) {
	ctx := c.Request.Context()
	var in clusterLabels
	if err := a.into(c, &in, false); err != nil {
		a.fail(c, err)
		return
	}
	if errs := decode.Labels("labels", in.Labels); len(errs) > 0 {
		a.fail(c, fault.List(errs))
		return
	}
	expected, err := ifMatch(c)
	var cluster model.Cluster
	if err == nil {
		cluster, err = a.store.Cluster(ctx, c.Param("name"))
	}
	var dry bool
	if err == nil {
		dry, err = onlyPreview(c)
	}
	if dry {
		out, err := a.previewOfLabels(ctx, a.caller(c), cluster, in.Labels)
		if err != nil {
			a.fail(c, err)
			return
		}
		c.JSON(http.StatusOK, out)
		return
	}
	invalid := ""
	if err == nil && !maps.Equal(cluster.Labels, in.Labels) {
		preview, unknown := soon(ctx, a, func(ctx context.Context) (labelsPreview, error) {
			return a.previewOfLabels(ctx, a.caller(c), cluster, in.Labels)
		})
		if invalid = unknown; invalid == "" {
			invalid = preview.sentence()
		}
	}
	if err == nil {
		err = a.store.SetClusterLabels(ctx, cluster.ID, in.Labels, expected)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Delivery.ClusterWritten(cluster.ID) // projects select clusters by label
	warn(c, invalid)
	a.answerCluster(c, cluster.ID)
}

type clusterKubectl struct {
	// Enabled lets kubectl go through the hub to the cluster.
	Enabled bool `json:"enabled"`
}

func (a *api) setClusterKubectl(c *gin.Context) {
	ctx := c.Request.Context()
	var in clusterKubectl
	err := a.into(c, &in, false)
	var expected int64
	if err == nil {
		expected, err = ifMatch(c)
	}
	var cluster model.Cluster
	if err == nil {
		cluster, err = a.store.Cluster(ctx, c.Param("name"))
	}
	if err == nil {
		err = a.store.SetClusterKubectl(ctx, cluster.ID, in.Enabled, expected)
		a.callClusters.forget()
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerCluster(c, cluster.ID)
}

type clusterAliases struct {
	// Aliases are server URLs.
	Aliases []string `json:"aliases,omitempty"`
}

func (a *api) setClusterAliases(c *gin.Context) {
	ctx := c.Request.Context()
	var in clusterAliases
	if err := a.into(c, &in, false); err != nil {
		a.fail(c, err)
		return
	}
	expected, err := ifMatch(c)
	var clusters []model.Cluster
	if err == nil {
		clusters, err = a.store.Clusters(ctx)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	i := slices.IndexFunc(clusters, func(x model.Cluster) bool {
		return x.Name == c.Param("name") || string(x.ID) == c.Param("name")
	})
	if i < 0 {
		_, err := a.store.Cluster(ctx, c.Param("name")) // for its error
		if err == nil {
			err = fault.New(fault.Unavailable, "busy", "the clusters changed meanwhile; try again")
		}
		a.fail(c, err)
		return
	}
	aliases, err := checkAliases(in.Aliases, clusters[i], clusters)
	if fault.HasCode(err, "alias_taken") && !a.caller(c).Admin() {
		// Which clusters there are is not for everybody.
		err = fault.New(fault.Conflict, "alias_taken", "one of the aliases already means another cluster").WithField("aliases")
	}
	if err == nil {
		err = a.store.SetClusterAliases(ctx, clusters[i].ID, aliases, expected)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	// Aliases are part of what agents check, and of what the project permits.
	if views, err := a.store.AppViews(ctx, fleet.ViewFilter{Cluster: clusters[i].ID}); err != nil {
		a.log.WarnContext(ctx, "applications could not be looked at after a change of aliases", "error", err)
	} else if len(views) > 0 {
		uids := make([]model.AppUID, len(views))
		for j, v := range views {
			uids[j] = v.UID
		}
		a.written(ctx, uids...)
	}
	a.answerCluster(c, clusters[i].ID)
}

// checkAliases is the decision whether a cluster may have these aliases.
func checkAliases(aliases []string, cluster model.Cluster, all []model.Cluster) ([]string, error) {
	if len(aliases) > maxAliases {
		return nil, fault.New(fault.Invalid, "aliases_invalid", "%d aliases are given; at most %d are possible", len(aliases), maxAliases).WithField("aliases")
	}
	var out []string
	for _, s := range aliases {
		s = strings.TrimSuffix(s, "/")
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(s) > 253 {
			return nil, fault.New(fault.Invalid, "aliases_invalid", "alias %q is not a server URL", cut(s)).
				WithField("aliases").WithFound(cut(s), "https://HOST[:PORT][/PATH]")
		}
		for _, other := range all {
			if other.ID != cluster.ID && slices.Contains(other.Aliases, s) {
				return nil, fault.New(fault.Conflict, "alias_taken", "%s already means cluster %q", s, other.Name).
					WithField("aliases").WithFix("take it from that cluster first")
			}
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, nil
}

// ---- enrolment tokens

type enrolmentToken struct {
	ID        string            `json:"id"`
	Cluster   string            `json:"cluster"`
	Labels    map[string]string `json:"labels,omitempty"`
	Aliases   []string          `json:"aliases,omitempty"`
	Project   string            `json:"project,omitempty"`
	CreatedBy string            `json:"createdBy"`
	CreatedAt time.Time         `json:"createdAt"`
	ExpiresAt time.Time         `json:"expiresAt"`
	UsedAt    *time.Time        `json:"usedAt,omitempty"`
	UsedFrom  string            `json:"usedFrom,omitempty"`
	// Refused is the last attempt with it that failed.
	Refused *enrolmentRefusal `json:"refused,omitempty"`
	// Preflight is what the agent found before it enrolled.
	Preflight *enrolmentPreflight `json:"preflight,omitempty"`
}

// enrolmentPreflight is what an agent told. Nothing of it is proven but that it had
// the token.
type enrolmentPreflight struct {
	At           time.Time        `json:"at"`
	From         string           `json:"from,omitempty"`
	AgentVersion string           `json:"agentVersion,omitempty"`
	Checks       []preflightCheck `json:"checks"`
}

// preflightCheck is one thing that an agent needs: what it found, and what to do.
type preflightCheck struct {
	// Check is its name, such as dns, and Outcome ok, warning, failed or skipped.
	Check   string `json:"check"`
	Outcome string `json:"outcome"`
	Code    string `json:"code,omitempty"`
	ID      string `json:"id,omitempty"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// enrolmentRefusal is an attempt to enrol that failed: its code, and its number in
// the table of codes.
type enrolmentRefusal struct {
	At      time.Time `json:"at"`
	From    string    `json:"from,omitempty"`
	Code    string    `json:"code"`
	ID      string    `json:"id,omitempty"`
	Message string    `json:"message"`
}

func (a *api) listEnrolmentTokens(c *gin.Context) {
	tokens, err := a.store.EnrolmentTokens(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	items := make([]enrolmentToken, len(tokens))
	for i, t := range tokens {
		items[i] = enrolmentToken{t.ID, t.Cluster, t.Labels, t.Aliases, t.Project, t.CreatedBy, t.CreatedAt, t.ExpiresAt, t.UsedAt, t.UsedFrom, nil, preflightOf(t.Preflight)}
		if r := t.Refused; r != nil {
			items[i].Refused = &enrolmentRefusal{r.At, r.From, r.Code, fault.ID(r.Code), r.Message}
		}
	}
	c.JSON(http.StatusOK, newList(a, items))
}

func preflightOf(p *fleet.EnrolmentPreflight) *enrolmentPreflight {
	if p == nil {
		return nil
	}
	out := &enrolmentPreflight{At: p.At, From: p.From, AgentVersion: p.AgentVersion, Checks: make([]preflightCheck, len(p.Checks))}
	for i, c := range p.Checks {
		out.Checks[i] = preflightCheck{c.Check, string(c.Outcome), c.Code, fault.ID(c.Code), c.Message, c.Fix}
	}
	return out
}

type enrolmentRequest struct {
	// Cluster is the name that the agent enrols under.
	Cluster string            `json:"cluster"`
	Labels  map[string]string `json:"labels,omitempty"`
	// Aliases are server URLs that mean the cluster from when it enrols. Like labels
	// and project they count for a cluster that the hub does not know yet.
	Aliases []string `json:"aliases,omitempty"`
	// Project that the cluster is reserved for.
	Project string `json:"project,omitempty"`
	// TTL is a duration of at most 168h; an hour when it is left out.
	TTL string `json:"ttl,omitempty"`
	// Profile of rights that the answer's helm command and manifest give the agent:
	// curated (the default), observe, namespaced or cluster-admin. The hub keeps nothing
	// of it.
	Profile string `json:"profile,omitempty"`
	// Namespaces of the profile namespaced.
	Namespaces []string `json:"namespaces,omitempty"`
}

// issuedEnrolmentToken has the token itself, which is not shown again.
type issuedEnrolmentToken struct {
	ID        string    `json:"id"`
	Token     string    `json:"token"`
	Cluster   string    `json:"cluster"`
	ExpiresAt time.Time `json:"expiresAt"`
	// CAHash is what the agent pins, and Hub where it connects.
	CAHash string `json:"caHash"`
	Hub    string `json:"hub"`
	// Helm is the whole command that installs the agent in the cluster that it is run
	// against, and Manifest the same as YAML for kubectl apply. Both hold the token.
	Helm     string `json:"helm"`
	Manifest string `json:"manifest"`
	// Command runs the agent outside of a cluster, with a kubeconfig.
	Command string `json:"command"`
}

func (a *api) createEnrolmentToken(c *gin.Context) {
	ctx := c.Request.Context()
	var in enrolmentRequest
	if err := a.into(c, &in, false); err != nil {
		a.fail(c, err)
		return
	}
	var problems fault.List
	if e := decode.Name("cluster", "cluster", in.Cluster); e != nil {
		problems = append(problems, e)
	}
	problems = append(problems, decode.Labels("labels", in.Labels)...)
	ttl, err := lifetime(in.TTL)
	if err == nil && ttl == 0 {
		ttl = defaultEnrolment
	}
	switch {
	case err != nil:
		problems = append(problems, fault.As(err))
	case ttl < time.Second || ttl > maxEnrolment:
		problems = append(problems, fault.New(fault.Invalid, "lifetime_invalid", "ttl is %s; between 1s and 168h are possible", ttl).WithField("ttl"))
	}
	if len(problems) > 0 {
		a.fail(c, problems)
		return
	}
	if in.Project != "" {
		if _, err := a.store.Project(ctx, in.Project); err != nil {
			a.fail(c, err)
			return
		}
	}
	if len(in.Aliases) > 0 {
		if in.Aliases, err = a.aliasesToBe(ctx, in.Cluster, in.Aliases); err != nil {
			a.fail(c, err)
			return
		}
	}
	token, hash, err := a.opts.NewEnrolmentToken()
	if err != nil {
		a.fail(c, err)
		return
	}
	id, err := uuid.NewV7()
	if err != nil {
		a.fail(c, fault.Wrap(err, fault.Internal, "internal", "no id could be made"))
		return
	}
	now := a.now().UTC()
	t := fleet.EnrolmentToken{
		ID: id.String(), Hash: hash, Cluster: in.Cluster, Labels: in.Labels, Aliases: in.Aliases, Project: in.Project,
		CreatedBy: identity(c).Name, CreatedAt: now, ExpiresAt: now.Add(ttl),
	}
	helm, manifest, err := a.opts.InstallAgent(AgentInstallation{Cluster: in.Cluster, Token: token, Profile: in.Profile, Namespaces: in.Namespaces})
	if err != nil {
		a.fail(c, err)
		return
	}
	if err := a.store.CreateEnrolmentToken(ctx, t); err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, issuedEnrolmentToken{
		Helm: helm, Manifest: manifest,
		ID: t.ID, Token: token, Cluster: t.Cluster, ExpiresAt: t.ExpiresAt, CAHash: a.opts.CAHash, Hub: a.opts.Advertise,
		// The token is not an argument: those are visible to everybody on the machine.
		Command: "HAWSER_TOKEN=" + token + " hawser-agent run --hub " + a.opts.Advertise + " --ca-hash " + a.opts.CAHash + " --cluster-name " + t.Cluster,
	})
}

// aliasesToBe is the decision about aliases of a cluster that is to enrol.
func (a *api) aliasesToBe(ctx context.Context, name string, aliases []string) ([]string, error) {
	clusters, err := a.store.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	var self model.Cluster // without an id when it is a new one
	if i := slices.IndexFunc(clusters, func(x model.Cluster) bool { return x.Name == name }); i >= 0 {
		self = clusters[i]
	}
	checked, err := checkAliases(aliases, self, clusters)
	if err != nil {
		return nil, err
	}
	for _, s := range checked {
		if self.ID != "" && !slices.Contains(self.Aliases, s) {
			return nil, fault.New(fault.Conflict, "cluster_known", "the cluster %q is known already, and keeps its aliases when it enrols again", name).
				WithField("aliases").WithFix("hawser cluster alias %s %s", name, s)
		}
	}
	return checked, nil
}

func (a *api) deleteEnrolmentToken(c *gin.Context) {
	if err := a.store.DeleteEnrolmentToken(c.Request.Context(), c.Param("id")); err != nil {
		a.fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}
