-- name: Clusters
SELECT c.id, c.name, c.labels, c.project, c.aliases, c.revoked, c.enrolled_at, c.cert_not_after,
       c.agent_version, c.kube_version, c.nodes, c.namespaces, c.conditions, c.unknown_apps, c.settings_version, c.version, c.kubectl,
       s.last_seen, s.cluster_id IS NOT NULL AND s.closed_at IS NULL,
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
SELECT revoked, unknown_apps, version FROM clusters WHERE id = $1 FOR NO KEY UPDATE;

-- name: CountClusterApps
SELECT count(*) FROM apps WHERE cluster_id = $1;

-- name: DeleteClusterSession
DELETE FROM sessions WHERE cluster_id = $1;

-- name: DeleteClusterCertificates
DELETE FROM certificates WHERE cluster_id = $1;

-- name: DeleteClusterTombstones
DELETE FROM tombstones WHERE cluster_id = $1;

-- name: DeleteCluster
DELETE FROM clusters WHERE id = $1;
