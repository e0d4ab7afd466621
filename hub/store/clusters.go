package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func clusterUnknown(nameOrID string) error {
	return fleet.ClusterUnknown(nameOrID)
}

// Clusters lists all clusters by name.
func (s *Store) Clusters(ctx context.Context) ([]model.Cluster, error) {
	out, err := s.clusters(ctx, "")
	return out, wrap(err, "list clusters")
}

// Cluster reads one by name or id. NotFound (cluster_unknown).
func (s *Store) Cluster(ctx context.Context, nameOrID string) (model.Cluster, error) {
	if nameOrID == "" {
		return model.Cluster{}, clusterUnknown(nameOrID)
	}
	found, err := s.clusters(ctx, nameOrID)
	if err != nil {
		return model.Cluster{}, wrap(err, "read the cluster")
	}
	// A cluster that is named like another's id does not hide it.
	for _, c := range found {
		if string(c.ID) == nameOrID {
			return c, nil
		}
	}
	if len(found) == 0 {
		return model.Cluster{}, clusterUnknown(nameOrID)
	}
	return found[0], nil
}

func (s *Store) clusters(ctx context.Context, nameOrID string) ([]model.Cluster, error) {
	sql, key := q("Clusters"), text(nameOrID)
	if key != "" {
		sql = clusterByNameOrID
	}
	rows, err := s.pool.Query(ctx, sql, key)
	if err != nil {
		return nil, err
	}
	now := s.now()
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c model.Cluster, err error) {
		var unknown []byte
		var open bool
		var roundTrip *int64
		err = r.Scan(&c.ID, &c.Name, &c.Labels, &c.Project, &c.Aliases, &c.Revoked, &c.EnrolledAt, &c.CertNotAfter,
			&c.AgentVersion, &c.KubeVersion, &c.Nodes, &c.Namespaces, &c.Conditions, &unknown, &c.SettingsVersion, &c.Version, &c.Kubectl,
			&c.Held, &c.LastSeen, &open, &roundTrip, &c.Applications)
		if err != nil {
			return c, err
		}
		c.EnrolledAt, c.CertNotAfter, c.LastSeen = utc(c.EnrolledAt), utc(c.CertNotAfter), utc(c.LastSeen)
		c.Connected = open && !c.Revoked && c.LastSeen != nil && now.Sub(*c.LastSeen) <= s.lease
		c.Freshness = fleet.Freshness(now, c.Connected, c.LastSeen, c.LastSeen)
		if roundTrip != nil && nameOrID != "" { // it changes with each heartbeat, which is no news of a list
			c.RoundTrip = model.Millis(time.Duration(*roundTrip) * time.Microsecond)
		}
		err = decode(unknown, &c.UnknownApps)
		return c, err
	})
}

// RevokeCluster ends the trust in a cluster's agent: its certificates no longer
// open anything and its session is over. The caller closes the connection.
func (s *Store) RevokeCluster(ctx context.Context, id model.ClusterID) error {
	return s.tx(ctx, "revoke the cluster", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, q("RevokeCluster"), id)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return clusterUnknown(string(id))
		}
		if _, err := tx.Exec(ctx, q("RevokeCertificates"), id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, q("EndSession"), id, s.now())
		return err
	})
}

// AllowCluster ends a quarantine, and lets agents of the cluster come from the
// Kubernetes cluster that was offered last. Conflict (cluster_not_held) when
// there is nothing to allow.
func (s *Store) AllowCluster(ctx context.Context, id model.ClusterID) error {
	return s.tx(ctx, "allow the cluster", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, q("AllowCluster"), id)
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
		return fault.New(fault.Conflict, "cluster_not_held", "nothing of the cluster is held for approval")
	})
}

// NoteDouble notes that two agents seem to use a cluster's certificate. When that
// was noted more than most times in span, agents of the cluster get no session
// until somebody allows it or the cluster is enrolled again. It answers how often
// it was noted, and whether this put the cluster in quarantine.
func (s *Store) NoteDouble(ctx context.Context, id model.ClusterID, span time.Duration, most int) (noted int, quarantined bool, err error) {
	now := s.now()
	err = s.pool.QueryRow(ctx, q("NoteDouble"), id, now, now.Add(-span), most).Scan(&noted, &quarantined)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, clusterUnknown(string(id))
	}
	return noted, quarantined, wrap(err, "note a second agent")
}

// SetClusterAliases replaces the server URLs that mean the cluster. expected is
// as in SetClusterLabels.
func (s *Store) SetClusterAliases(ctx context.Context, id model.ClusterID, list []string, expected int64) error {
	return s.tx(ctx, "change the cluster", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, q("SetClusterAliases"), id, aliases(list), expected)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return clusterNotWritten(ctx, tx, id)
		}
		_, err = tx.Exec(ctx, q("ForgetRendersOfCluster"), id) // desired states name the aliases
		return err
	})
}

// SetClusterKubectl says whether kubectl may go through the hub to the cluster.
// expected is as in SetClusterLabels.
func (s *Store) SetClusterKubectl(ctx context.Context, id model.ClusterID, on bool, expected int64) error {
	return s.tx(ctx, "change the cluster", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, q("SetClusterKubectl"), id, on, expected)
		if err == nil && tag.RowsAffected() == 0 {
			err = clusterNotWritten(ctx, tx, id)
		}
		return err
	})
}

// SetClusterLabels replaces the cluster's labels. Projects select by them, so
// what the cluster's applications may do is owed to its agent again. It is written
// over the version that is expected, 0 for any: Conflict (version_conflict) when
// the cluster has another.
func (s *Store) SetClusterLabels(ctx context.Context, id model.ClusterID, l map[string]string, expected int64) error {
	return s.tx(ctx, "change the cluster", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, q("SetClusterLabels"), id, labels(l), expected)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return clusterNotWritten(ctx, tx, id)
		}
		// Whoever writes a desired state now has read the labels before, and is
		// waited for; whoever comes later reads these.
		if _, err = tx.Exec(ctx, q("LockAppsOfCluster"), id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, q("ForgetRendersOfCluster"), id)
		return err
	})
}

// clusterNotWritten is why no row of a cluster was changed: there is none, or it
// has another version.
func clusterNotWritten(ctx context.Context, tx pgx.Tx, id model.ClusterID) error {
	var name string
	err := tx.QueryRow(ctx, q("ClusterNameByID"), id).Scan(&name)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return clusterUnknown(string(id))
	case err != nil:
		return err
	}
	return changedMeanwhile("the cluster " + strconv.Quote(name))
}

// changedMeanwhile is the refusal of a write over another version than is stored.
func changedMeanwhile(what string) error {
	return fault.New(fault.Conflict, "version_conflict", "%s was changed meanwhile", what).WithFix("read it again and repeat the change")
}

// ResolveDestination finds the cluster that a destination means: by name, or by
// a server URL among the aliases. Codes, both Invalid: destination_unknown,
// with the names there are, and destination_ambiguous.
func (s *Store) ResolveDestination(ctx context.Context, d model.Destination) (model.Cluster, error) {
	if d.Name != "" { // names are unique; all of them are read only to say which there are
		found, err := s.clusters(ctx, d.Name)
		if err != nil {
			return model.Cluster{}, wrap(err, "resolve the destination")
		}
		if i := slices.IndexFunc(found, func(c model.Cluster) bool { return c.Name == d.Name }); i >= 0 {
			return found[i], nil
		}
	}
	rows, err := s.pool.Query(ctx, q("ClusterNames"))
	if err != nil {
		return model.Cluster{}, wrap(err, "resolve the destination")
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c clusterName, err error) {
		err = r.Scan(&c.id, &c.name, &c.aliases)
		return c, err
	})
	if err != nil {
		return model.Cluster{}, wrap(err, "resolve the destination")
	}
	id, err := resolve(all, d)
	if err != nil {
		return model.Cluster{}, err
	}
	return s.Cluster(ctx, string(id))
}

type clusterName struct {
	id      model.ClusterID
	name    string
	aliases []string
}

// resolve is the decision of ResolveDestination.
func resolve(all []clusterName, d model.Destination) (model.ClusterID, error) {
	field, found := "spec.destination.server", d.Server
	if d.Name != "" {
		field, found = "spec.destination.name", d.Name
	}
	var matches []clusterName
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, c.name)
		switch {
		case d.Name != "":
			if c.name == d.Name {
				matches = append(matches, c)
			}
		case d.Server != "":
			if slices.ContainsFunc(c.aliases, func(a string) bool { return fleet.SameServer(a, d.Server) }) {
				matches = append(matches, c)
			}
		}
	}
	if len(matches) == 1 {
		return matches[0].id, nil
	}
	if len(matches) > 1 {
		names = names[:0]
		for _, c := range matches {
			names = append(names, c.name)
		}
		return "", fault.New(fault.Invalid, "destination_ambiguous", "the server %q is an alias of more than one cluster", d.Server).
			WithField(field).WithFound(found, listed(names, 20)).WithFix("name the cluster with spec.destination.name")
	}
	fix := "enrol the cluster, or correct the name"
	if d.Name == "" {
		fix = "add the server as an alias of a cluster, or name the cluster with spec.destination.name"
	}
	return "", fault.New(fault.Invalid, "destination_unknown", "no cluster is known as %q; there are: %s", found, listed(names, 10)).
		WithField(field).WithFound(found, listed(names, 20)).WithFix("%s", fix)
}

// SaveClusterReport stores what an agent says of its cluster. Conflict
// (epoch_stale) when the session is not the newest.
func (s *Store) SaveClusterReport(ctx context.Context, r fleet.ClusterReport) error {
	return s.tx(ctx, "store the cluster report", func(tx pgx.Tx) error {
		if err := fence(ctx, tx, r.Cluster, r.Epoch); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, q("SaveClusterReport"), r.Cluster, text(r.KubeVersion), text(r.Platform), clampInt32(r.Nodes),
			clampInt32(r.Namespaces), texts(r.Conditions), texts(r.APIResources), texts(r.NamespacedKinds), r.ObservedAt,
			r.SettingsVersion, text(string(r.SettingsDigest)))
		return err
	})
}

func clampInt32(n int) int32 { return int32(min(max(n, 0), 1<<31-1)) }

// ClusterAPIs is what rendering needs to know of a cluster.
func (s *Store) ClusterAPIs(ctx context.Context, id model.ClusterID) (kubeVersion string, apiResources, namespacedKinds []string, err error) {
	err = s.pool.QueryRow(ctx, q("ClusterAPIs"), id).Scan(&kubeVersion, &apiResources, &namespacedKinds)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil, nil, clusterUnknown(string(id))
	}
	return kubeVersion, apiResources, namespacedKinds, wrap(err, "read the cluster's APIs")
}

// DeleteCluster forgets a cluster. Precondition (cluster_in_use) while
// applications point at it. Nothing is deleted in the cluster itself.
func (s *Store) DeleteCluster(ctx context.Context, id model.ClusterID, expected int64) error {
	err := s.tx(ctx, "delete the cluster", func(tx pgx.Tx) error {
		var revoked bool
		var unknown []byte
		var version int64
		err := tx.QueryRow(ctx, q("LockCluster"), id).Scan(&revoked, &unknown, &version, nil, nil, nil)
		if errors.Is(err, pgx.ErrNoRows) {
			return clusterUnknown(string(id))
		}
		if err != nil {
			return err
		}
		if expected != 0 && expected != version {
			return changedMeanwhile("the cluster")
		}
		var apps int
		if err := tx.QueryRow(ctx, q("CountClusterApps"), id).Scan(&apps); err != nil {
			return err
		}
		if apps > 0 {
			return fault.New(fault.Precondition, "cluster_in_use", "%d applications are deployed to the cluster", apps).
				WithFix("delete them first, with or without their objects")
		}
		for _, statement := range []string{"DeleteClusterSession", "DeleteClusterCertificates", "DeleteClusterKeys", "DeleteClusterTombstones", "DeleteCluster"} {
			if _, err := tx.Exec(ctx, q(statement), id); err != nil {
				return err
			}
		}
		return nil
	})
	if sqlState(err) == codeForeignKey {
		return fault.New(fault.Precondition, "cluster_in_use", "an application was just created on the cluster")
	}
	return err
}
