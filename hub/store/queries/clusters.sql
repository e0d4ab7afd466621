-- name: Clusters
SELECT c.id, c.name, c.labels, c.project, c.aliases, c.revoked, c.enrolled_at, c.cert_not_after,
       c.agent_version, c.kube_version, c.nodes, c.namespaces, c.conditions, c.unknown_apps, c.settings_version, c.version, c.kubectl,
       CASE WHEN c.quarantined_at IS NOT NULL THEN 'duplicate_identity' WHEN c.kube_uid_offered <> '' THEN 'cluster_changed' ELSE '' END,
       s.last_seen, s.cluster_id IS NOT NULL AND s.closed_at IS NULL, s.round_trip_us,
       (SELECT count(*) FROM apps a WHERE a.cluster_id = c.id)
FROM clusters c
LEFT JOIN sessions s ON s.cluster_id = c.id
WHERE ($1 = '' OR c.id = $1 OR c.name = $1)
ORDER BY c.name;

-- name: ClusterNames
SELECT id, name, aliases FROM clusters ORDER BY name;

-- name: ClusterNameByID
SELECT name FROM clusters WHERE id = $1;

-- name: RevokeCluster
UPDATE clusters SET revoked = true WHERE id = $1;

-- name: SetClusterAliases
UPDATE clusters SET aliases = $2, version = version + 1 WHERE id = $1 AND ($3::bigint = 0 OR version = $3);

-- name: SetClusterLabels
UPDATE clusters SET labels = $2, version = version + 1 WHERE id = $1 AND ($3::bigint = 0 OR version = $3);

-- name: SetClusterKubectl
UPDATE clusters SET kubectl = $2, version = version + 1 WHERE id = $1 AND ($3::bigint = 0 OR version = $3);

-- name: SaveClusterReport
UPDATE clusters SET kube_version = $2, platform = $3, nodes = $4, namespaces = $5, conditions = $6,
       api_resources = $7, namespaced_kinds = $8, observed_at = $9, settings_version = $10, settings_digest = $11
WHERE id = $1;

-- name: ClusterAPIs
SELECT kube_version, api_resources, namespaced_kinds FROM clusters WHERE id = $1;

-- name: LockCluster
SELECT revoked, unknown_apps, version, quarantined_at IS NOT NULL, kube_uid, kube_uid_offered FROM clusters WHERE id = $1 FOR NO KEY UPDATE;

-- name: CountClusterApps
SELECT count(*) FROM apps WHERE cluster_id = $1;

-- name: DeleteClusterSession
DELETE FROM sessions WHERE cluster_id = $1;

-- name: DeleteClusterCertificates
DELETE FROM certificates WHERE cluster_id = $1;

-- name: DeleteClusterKeys
DELETE FROM agent_keys WHERE cluster_id = $1;

-- name: DeleteClusterTombstones
DELETE FROM tombstones WHERE cluster_id = $1;

-- name: BindKubeUID
UPDATE clusters SET kube_uid = $2 WHERE id = $1;

-- name: OfferKubeUID
UPDATE clusters SET kube_uid_offered = $2 WHERE id = $1;

-- name: NoteDouble
-- Notes another time, and quarantines the cluster when there are more than $4
-- since $3. The second column: it is in quarantine by this.
WITH noted AS (
    SELECT ARRAY(SELECT d FROM unnest(c.doubles) d WHERE d > $3::timestamptz) || $2::timestamptz AS list, c.quarantined_at IS NOT NULL AS before
    FROM clusters c WHERE c.id = $1 FOR NO KEY UPDATE
)
UPDATE clusters c SET doubles = noted.list,
    quarantined_at = CASE WHEN cardinality(noted.list) > $4::integer THEN coalesce(c.quarantined_at, $2::timestamptz) ELSE c.quarantined_at END
FROM noted WHERE c.id = $1
RETURNING cardinality(c.doubles), c.quarantined_at IS NOT NULL AND NOT noted.before;

-- name: AllowCluster
UPDATE clusters SET doubles = '{}', quarantined_at = NULL,
    kube_uid = CASE WHEN kube_uid_offered <> '' THEN kube_uid_offered ELSE kube_uid END, kube_uid_offered = ''
WHERE id = $1 AND NOT revoked AND (quarantined_at IS NOT NULL OR kube_uid_offered <> '');

-- name: DeleteCluster
DELETE FROM clusters WHERE id = $1;
