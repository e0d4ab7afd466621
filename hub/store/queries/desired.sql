-- name: PutBundles
-- A bundle that is there already is marked as used, so that it is not collected
-- before the desired state that names it is written.
INSERT INTO bundles (digest, sealed, objects, created_at, used_at)
SELECT digest, sealed, objects, $4::timestamptz, $4::timestamptz
FROM unnest($1::text[], $2::bytea[], $3::integer[]) AS b (digest, sealed, objects)
ORDER BY digest
ON CONFLICT (digest) DO UPDATE SET used_at = greatest(bundles.used_at, excluded.used_at);

-- name: Bundle
SELECT sealed FROM bundles WHERE digest = $1;

-- name: BundleFor
SELECT sealed FROM bundles
WHERE digest = $2 AND EXISTS (SELECT 1 FROM desired WHERE bundle = $2 AND cluster_id = $1);

-- name: CollectBundles
DELETE FROM bundles b
WHERE b.used_at < $1
  AND NOT EXISTS (SELECT 1 FROM desired d WHERE d.bundle = b.digest)
  AND NOT EXISTS (SELECT 1 FROM app_sources s WHERE s.bundle = b.digest)
  AND NOT EXISTS (SELECT 1 FROM issued i WHERE i.bundle = b.digest)
  AND NOT EXISTS (SELECT 1 FROM deployments h WHERE h.bundle = b.digest)
  AND NOT EXISTS (SELECT 1 FROM pins p WHERE p.bundle = b.digest);

-- name: LockApps
SELECT uid, version, deleting, cluster_id, generation_counter, generation_floor, unpinned_by, unpin_reason
FROM apps WHERE uid = ANY ($1) ORDER BY uid FOR NO KEY UPDATE;

-- name: ShareProjects
-- Nobody writes the projects before this transaction has ended.
SELECT name, version FROM projects WHERE name = ANY ($1) ORDER BY name FOR SHARE;

-- name: LabelsOf
SELECT id, labels FROM clusters WHERE id = ANY ($1);

-- name: LockAppsOfCluster
SELECT uid FROM apps WHERE cluster_id = $1 ORDER BY uid FOR NO KEY UPDATE;

-- name: ProjectObjects
-- A bundle that was collected counts for nothing until it is rendered again.
SELECT a.project, a.uid, b.objects
FROM apps a JOIN app_sources s ON s.app_uid = a.uid JOIN bundles b ON b.digest = s.bundle;

-- name: ObjectsOfProject
SELECT a.uid, b.objects
FROM apps a JOIN app_sources s ON s.app_uid = a.uid JOIN bundles b ON b.digest = s.bundle
WHERE a.project = $1;

-- name: ForgetRender
-- Something that the desired state depends on was written. Without a key the
-- sources are rendered and delivered again, also by a hub that was away.
UPDATE app_sources SET render_key = '' WHERE app_uid = $1 AND render_key <> '';

-- name: ForgetRendersOfProject
UPDATE app_sources SET render_key = ''
FROM (SELECT s.app_uid FROM app_sources s JOIN apps a ON a.uid = s.app_uid WHERE a.project = $1 ORDER BY s.app_uid FOR NO KEY UPDATE OF s) AS of_project
WHERE app_sources.app_uid = of_project.app_uid AND render_key <> '';

-- name: ForgetRendersOfCluster
UPDATE app_sources SET render_key = ''
FROM (SELECT s.app_uid FROM app_sources s JOIN apps a ON a.uid = s.app_uid WHERE a.cluster_id = $1 ORDER BY s.app_uid FOR NO KEY UPDATE OF s) AS of_cluster
WHERE app_sources.app_uid = of_cluster.app_uid AND render_key <> '';

-- name: DesiredOf
SELECT document, generation, bundle_bytes FROM desired WHERE app_uid = ANY ($1);

-- name: WriteDesired
INSERT INTO desired (app_uid, cluster_id, generation, content, bundle, bundle_bytes, revision, document, updated_at)
SELECT app_uid, cluster_id, generation, content, bundle, bundle_bytes, revision, document, $9::timestamptz
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::json[], $8::json[])
    AS d (app_uid, cluster_id, generation, content, bundle, bundle_bytes, revision, document)
ON CONFLICT (app_uid) DO UPDATE SET
    cluster_id = excluded.cluster_id, generation = excluded.generation, content = excluded.content,
    bundle = excluded.bundle, bundle_bytes = excluded.bundle_bytes, revision = excluded.revision,
    document = excluded.document, updated_at = excluded.updated_at, ack_error_code = '', ack_error = '';

-- name: RecordSourceStates
-- An attempt that failed keeps what the last good one gave. Attempts that are
-- older than the stored one change nothing, and gone applications have no row.
INSERT INTO app_sources AS old (app_uid, revision, render_key, bundle, sources, warnings, error, at)
SELECT s.app_uid, s.revision, s.render_key, s.bundle, s.sources, s.warnings, s.error, s.at
FROM unnest($1::text[], $2::json[], $3::text[], $4::text[], $5::json[], $6::json[], $7::json[], $8::timestamptz[])
    AS s (app_uid, revision, render_key, bundle, sources, warnings, error, at)
JOIN apps a ON a.uid = s.app_uid
ORDER BY s.app_uid
ON CONFLICT (app_uid) DO UPDATE SET
    revision   = CASE WHEN excluded.error IS NULL THEN excluded.revision   ELSE old.revision   END,
    render_key = CASE WHEN excluded.error IS NULL THEN excluded.render_key ELSE old.render_key END,
    bundle     = CASE WHEN excluded.error IS NULL THEN excluded.bundle     ELSE old.bundle     END,
    sources    = CASE WHEN excluded.error IS NULL THEN excluded.sources    ELSE old.sources    END,
    warnings   = CASE WHEN excluded.error IS NULL THEN excluded.warnings   ELSE old.warnings   END,
    error      = excluded.error,
    at         = excluded.at
WHERE old.at <= excluded.at;
