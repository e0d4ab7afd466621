-- name: LockAppByName
SELECT uid, version, deleting, cluster_id, document::text = $2::json::text, project
FROM apps WHERE name = $1 FOR NO KEY UPDATE;

-- name: InsertApp
INSERT INTO apps (uid, name, project, cluster_id, document, created_at, updated_at, namespace, repo_url, path, target_revision, auto_sync, labels)
VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11, $12);

-- name: UpdateApp
UPDATE apps SET project = $2, document = $3, version = version + 1, updated_at = $4,
       namespace = $5, repo_url = $6, path = $7, target_revision = $8, auto_sync = $9, labels = $10
WHERE uid = $1;

-- name: ProjectExists
SELECT 1 FROM projects WHERE name = $1 FOR KEY SHARE;

-- name: LockProjectQuota
-- Applications are counted by one at a time.
SELECT (document #>> '{spec,limits,maxApplications}')::bigint FROM projects
WHERE name = $1 AND document #>> '{spec,limits,maxApplications}' IS NOT NULL FOR NO KEY UPDATE;

-- name: CountProjectApps
SELECT count(*) FROM apps WHERE project = $1;

-- name: Applications
SELECT a.uid, a.name, a.project, a.cluster_id, c.name, a.document, a.version, a.deleting, a.created_at,
       s.revision, s.render_key, s.bundle, s.sources, s.warnings, s.error, s.at, p.document, a.set_aside, a.unpinned_by <> ''
FROM apps a
JOIN clusters c ON c.id = a.cluster_id
LEFT JOIN app_sources s ON s.app_uid = a.uid
LEFT JOIN pins p ON p.app_uid = a.uid
WHERE ($1 = '' OR a.name = $1)
ORDER BY a.name;
