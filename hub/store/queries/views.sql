-- name: AppViews
SELECT a.uid, a.name, a.project, c.name, a.cluster_id, a.namespace, a.repo_url, a.path, a.target_revision, a.auto_sync, a.deleting,
       s.error, s.warnings, n.document,
       d.generation, d.revision, d.ack_error_code, d.ack_error, d.acked_at,
       o.incarnation, o.number, o.seq, o.generation, o.observed_at, o.revision, o.sync_status, o.sync_reason,
       o.health_status, o.health_message, o.health_since, o.conditions, o.operation,
       l.incarnation, l.number, l.closed_at, l.last_seen, l.report_seq, l.confirmed_at, c.revoked,
       p.id, p.seq, p.kind, p.spec, p.phase, p.message, p.terminating, p.initiated_by, p.created_at, p.started_at, p.finished_at, p.deadline, p.generation,
       a.labels, a.created_at, a.updated_at
FROM apps a
JOIN clusters c ON c.id = a.cluster_id
LEFT JOIN app_sources s ON s.app_uid = a.uid
LEFT JOIN pins n ON n.app_uid = a.uid
LEFT JOIN desired d ON d.app_uid = a.uid
LEFT JOIN observed o ON o.app_uid = a.uid
LEFT JOIN sessions l ON l.cluster_id = a.cluster_id
LEFT JOIN LATERAL (SELECT * FROM operations WHERE app_uid = a.uid ORDER BY seq DESC LIMIT 1) p ON true
WHERE ($1 = '' OR a.project = $1) AND ($2 = '' OR a.cluster_id = $2)
  AND ($3::text[] IS NULL OR a.name = ANY ($3)) AND ($4::text[] IS NULL OR a.uid = ANY ($4))
ORDER BY a.name;

-- name: AppDetails
SELECT a.uid, a.document, a.version, a.created_at, t.status,
       (SELECT p.result FROM operations p WHERE p.app_uid = a.uid ORDER BY p.seq DESC LIMIT 1)
FROM apps a LEFT JOIN observed_detail t ON t.app_uid = a.uid
WHERE a.uid = ANY ($1);

-- name: AppDocuments
SELECT uid, document, version, created_at FROM apps WHERE uid = ANY ($1);

-- name: TreeState
SELECT a.uid, a.project, t.tree_digest, t.tree_at, o.incarnation, o.number, o.seq, o.observed_at,
       l.incarnation, l.number, l.closed_at, l.last_seen, l.report_seq, l.confirmed_at, c.revoked
FROM apps a
JOIN clusters c ON c.id = a.cluster_id
LEFT JOIN observed o ON o.app_uid = a.uid
LEFT JOIN observed_detail t ON t.app_uid = a.uid
LEFT JOIN sessions l ON l.cluster_id = a.cluster_id
WHERE a.name = $1;

-- name: Tree
SELECT t.tree, t.tree_digest, t.tree_at, o.incarnation, o.number, o.seq, o.observed_at,
       l.incarnation, l.number, l.report_seq, l.confirmed_at
FROM observed_detail t
JOIN observed o ON o.app_uid = t.app_uid
JOIN apps a ON a.uid = t.app_uid
LEFT JOIN sessions l ON l.cluster_id = a.cluster_id
WHERE t.app_uid = $1;

-- name: Leases
SELECT cluster_id, incarnation, number, closed_at IS NULL, last_seen, report_seq, confirmed_at FROM sessions
WHERE $1::text[] IS NULL OR cluster_id = ANY ($1);
