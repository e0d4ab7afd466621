package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// reportColumns are the parameters of the statement SaveReports.
type reportColumns struct {
	uids, clusters, revisions, syncs, reasons, healths, messages []string
	incarnations, numbers, seqs, generations                     []int64
	observed                                                     []time.Time
	since                                                        []*time.Time
	conditions, operations, statuses, trees                      [][]byte
	digests                                                      []*string
}

// SaveReports stores observations in one statement and one commit, which does
// not wait for the disk: after a crash of the database agents say it again. What
// they say of deployments is stored for good.
// Left out, without an error, is what comes from a session that is not its
// cluster's newest, of an application that is not that cluster's, and what is
// older than what is stored.
func (s *Store) SaveReports(ctx context.Context, reports []fleet.Report) error {
	if len(reports) == 0 {
		return nil
	}
	// One row per application and statement: the newest.
	newest := make(map[appOfCluster]fleet.Report, len(reports))
	for _, r := range reports {
		k := appOfCluster{r.Cluster, r.App}
		old, seen := newest[k]
		if seen {
			if older(r, old) {
				r, old = old, r
			}
			if r.Tree == nil && r.Epoch == old.Epoch {
				// Unchanged since the older one, which is not stored on its own.
				r.Tree = old.Tree
			}
		}
		newest[k] = r
	}
	var c reportColumns
	for _, r := range newest {
		if err := c.add(r); err != nil {
			return wrap(err, "encode a report")
		}
	}
	// First, so that whoever sees that something is deployed finds it in the history.
	if err := s.recordHistories(ctx, newest); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		// Without BEGIN a batch is one transaction of its own, in one round trip.
		b := &pgx.Batch{}
		b.Queue(q("RelaxedCommit"))
		b.Queue(q("SaveReports"), c.uids, c.clusters, c.incarnations, c.numbers, c.seqs, c.generations, c.observed,
			c.revisions, c.syncs, c.reasons, c.healths, c.messages, c.since, c.conditions, c.operations, c.statuses, c.trees, s.now(), c.digests)
		err := s.pool.SendBatch(ctx, b).Close()
		if err == nil {
			return nil
		}
		if attempt == maxAttempts || !repeatable(err) {
			return wrap(err, "store reports")
		}
	}
}

// appOfCluster is an application as the agent of a cluster names it. The cluster
// is part of it, so that no agent can push aside what another says of its own.
type appOfCluster struct {
	cluster model.ClusterID
	app     model.AppUID
}

func older(a, b fleet.Report) bool {
	if a.Epoch != b.Epoch {
		return a.Epoch.Less(b.Epoch)
	}
	return a.Seq < b.Seq
}

func (c *reportColumns) add(r fleet.Report) error {
	status, err := document(r.Status)
	if err != nil {
		return err
	}
	tree, err := optional(r.Tree)
	if err != nil {
		return err
	}
	operation, err := optional(withoutResult(r.Status.Operation))
	if err != nil {
		return err
	}
	var conditions []byte
	if len(r.Status.Conditions) > 0 {
		if conditions, err = document(r.Status.Conditions); err != nil {
			return err
		}
	}
	st := r.Status
	c.uids, c.clusters = append(c.uids, text(string(r.App))), append(c.clusters, text(string(r.Cluster)))
	c.incarnations, c.numbers = append(c.incarnations, r.Epoch.Incarnation), append(c.numbers, r.Epoch.Number)
	c.seqs = append(c.seqs, int64(min(r.Seq, math.MaxInt64)))
	c.generations, c.observed = append(c.generations, int64(r.Generation)), append(c.observed, r.ObservedAt)
	c.revisions = append(c.revisions, text(st.Revision))
	c.syncs = append(c.syncs, orElse(string(st.Sync.Status), string(model.SyncUnknown)))
	c.reasons = append(c.reasons, text(string(st.Sync.Reason)))
	c.healths = append(c.healths, orElse(string(st.Health.Status), string(model.HealthUnknown)))
	c.messages, c.since = append(c.messages, text(st.Health.Message)), append(c.since, st.Health.Since)
	c.conditions, c.operations = append(c.conditions, conditions), append(c.operations, operation)
	c.statuses, c.trees, c.digests = append(c.statuses, status), append(c.trees, tree), append(c.digests, digestOf(tree))
	return nil
}

// digestOf a tree's text, nil of none.
func digestOf(tree []byte) *string {
	if tree == nil {
		return nil
	}
	sum := sha256.Sum256(tree)
	d := hex.EncodeToString(sum[:])
	return &d
}

// withoutResult is what lists show of an operation.
func withoutResult(op *model.OperationInfo) *model.OperationInfo {
	if op == nil || op.Result == nil {
		return op
	}
	short := *op
	short.Result = nil
	return &short
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return text(s)
}
