package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// mostQueued are listed of what waits for a cluster.
	mostQueued = 50
	// refusalsFor is how long a refusal of an agent counts as why it is not there.
	refusalsFor = 7 * 24 * time.Hour
)

// diagnoseCluster answers why a cluster does not report, or works badly.
func (a *api) diagnoseCluster(c *gin.Context) {
	ctx, set := c.Request.Context(), a.caller(c)
	facts, err := a.diagnosisFacts(ctx, set, c.Param("name"))
	var queued []fleet.QueuedChange
	if err == nil && facts.Cluster != nil {
		queued, err = a.store.QueuedChanges(ctx, facts.Cluster.ID)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	out := fleet.Diagnose(facts, a.now())
	queued = slices.DeleteFunc(queued, func(q fleet.QueuedChange) bool { return !set.Sees(permission.Applications, q.Project, q.Name) })
	out.Queued.Total = len(queued)
	out.Queued.Items = append(out.Queued.Items, queued[:min(len(queued), mostQueued)]...)
	c.JSON(http.StatusOK, out)
}

// diagnosisFacts reads what the hub holds of a cluster.
func (a *api) diagnosisFacts(ctx context.Context, set *permission.Set, name string) (fleet.DiagnosisFacts, error) {
	f := fleet.DiagnosisFacts{Name: name, Hub: a.opts.Advertise, Version: a.opts.Version}
	cluster, err := a.store.Cluster(ctx, name)
	unknown := fault.HasCode(err, "cluster_unknown")
	if err != nil && !unknown {
		return f, err
	}
	mayTokens := set.Decide(permission.Get, permission.EnrolmentTokens, "", "").Allowed
	if !unknown {
		f.Name, f.Cluster = cluster.Name, &cluster
		if f.Line, err = a.store.Line(ctx, cluster.ID); err != nil {
			return f, err
		}
		refused, err := a.refusedAgents(ctx, cluster.ID, a.now().Add(-refusalsFor), 1)
		if err != nil {
			return f, err
		}
		if len(refused) > 0 {
			f.Refused = &refused[0]
		}
	}
	if mayTokens && (unknown || cluster.LastSeen == nil) {
		tokens, err := a.store.EnrolmentTokens(ctx)
		if err != nil {
			return f, err
		}
		f.Tokens = slices.DeleteFunc(tokens, func(t fleet.EnrolmentToken) bool { return t.Cluster != f.Name })
	}
	if unknown && len(f.Tokens) == 0 {
		return f, fleet.ClusterUnknown(name)
	}
	return f, nil
}

// refusedAgents are the newest refusals of a cluster's agent since a time, the newest
// first.
func (a *api) refusedAgents(ctx context.Context, id model.ClusterID, since time.Time, limit int) ([]fleet.AgentRefusal, error) {
	signed, err := a.opts.Audit.Records(ctx, fleet.AuditFilter{Kind: audit.Refusal, Action: "agentRefused", Name: string(id), Since: &since, Limit: limit})
	if err != nil {
		return nil, err
	}
	out := make([]fleet.AgentRefusal, len(signed))
	for i, s := range signed {
		var r audit.Record
		if err := json.Unmarshal(s.Record, &r); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "internal", "an audit record cannot be read")
		}
		out[i] = fleet.AgentRefusal{At: r.At, Code: r.Code}
	}
	return out, nil
}
