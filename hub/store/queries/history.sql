-- name: RecordIssued
-- Where nothing is said of the sources they are those of the generation before.
INSERT INTO issued (app_uid, generation, bundle, bundle_bytes, revision, sources, initiated_by, reason, operation_id, rollback)
SELECT i.app_uid, i.generation, i.bundle, i.bundle_bytes, i.revision,
       coalesce(i.sources, (SELECT p.sources FROM issued p WHERE p.app_uid = i.app_uid AND p.generation < i.generation ORDER BY p.generation DESC LIMIT 1)),
       i.initiated_by, i.reason, i.operation_id, i.rollback
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::json[], $6::json[], $7::text[], $8::text[], $9::text[], $10::json[])
    AS i (app_uid, generation, bundle, bundle_bytes, revision, sources, initiated_by, reason, operation_id, rollback)
ON CONFLICT (app_uid, generation) DO UPDATE SET
    bundle = excluded.bundle, bundle_bytes = excluded.bundle_bytes, revision = excluded.revision, sources = excluded.sources,
    initiated_by = excluded.initiated_by, reason = excluded.reason, operation_id = excluded.operation_id, rollback = excluded.rollback;

-- name: TrimIssued
-- Of what was issued while no agent took it only the newest stays, and what the
-- agent said that it has.
DELETE FROM issued i
USING unnest($1::text[], $2::bigint[]) AS n (app_uid, generation), desired d
WHERE i.app_uid = n.app_uid AND d.app_uid = n.app_uid
  AND i.generation <= n.generation - $3::bigint AND i.generation <> d.acked_generation;

-- name: LockHistories
-- Of reports that come from their cluster's newest session.
SELECT a.uid, a.cluster_id, a.history_id, a.history_generation, a.history_at, coalesce((a.document #>> '{spec,revisionHistoryLimit}')::bigint, -1)
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS r (app_uid, cluster_id, incarnation, number)
JOIN apps a ON a.uid = r.app_uid AND a.cluster_id = r.cluster_id
JOIN sessions s ON s.cluster_id = r.cluster_id AND s.incarnation = r.incarnation AND s.number = r.number
ORDER BY a.uid
FOR NO KEY UPDATE OF a;

-- name: HighestGenerations
SELECT a.uid, greatest(a.generation_counter, a.generation_floor, coalesce(d.generation, 0))
FROM apps a LEFT JOIN desired d ON d.app_uid = a.uid
WHERE a.uid = ANY ($1);

-- name: IssuedOf
SELECT app_uid, generation, bundle, bundle_bytes, revision, sources, initiated_by, reason, operation_id, rollback
FROM issued WHERE app_uid = ANY ($1) ORDER BY app_uid, generation;

-- name: DeploymentsOf
SELECT app_uid, id, generation, coalesce(bundle, ''), bundle_bytes, revision, sources, initiated_by, reason, operation_id, rollback, started_at, deployed_at
FROM deployments
WHERE app_uid = ANY ($1)
ORDER BY app_uid, id;

-- name: AddDeployments
INSERT INTO deployments (app_uid, id, generation, bundle, bundle_bytes, revision, sources, initiated_by, reason, operation_id, rollback, started_at, deployed_at)
SELECT app_uid, id, generation, nullif(bundle, ''), bundle_bytes, revision, sources, initiated_by, reason, operation_id, rollback, started_at, deployed_at
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::json[], $7::json[], $8::text[], $9::text[], $10::text[], $11::json[],
            $12::timestamptz[], $13::timestamptz[])
    AS d (app_uid, id, generation, bundle, bundle_bytes, revision, sources, initiated_by, reason, operation_id, rollback, started_at, deployed_at);

-- name: TrimDeployments
DELETE FROM deployments d USING unnest($1::text[], $2::bigint[]) AS r (app_uid, id) WHERE d.app_uid = r.app_uid AND d.id = r.id;

-- name: MarkHistories
-- What was issued before the newest deployment will not be deployed any more.
WITH mark AS (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[]) AS m (app_uid, id, generation, at)
), forgotten AS (
    DELETE FROM issued i USING mark WHERE i.app_uid = mark.app_uid AND i.generation < mark.generation
)
UPDATE apps a SET history_id = mark.id, history_generation = mark.generation, history_at = mark.at
FROM mark WHERE a.uid = mark.app_uid;

-- name: PutPin
INSERT INTO pins (app_uid, bundle, document) VALUES ($1, $2, $3)
ON CONFLICT (app_uid) DO UPDATE SET bundle = excluded.bundle, document = excluded.document;

-- name: ReleasePins
-- Something else is desired. What was set aside stays known.
WITH gone AS (DELETE FROM pins WHERE app_uid = ANY ($1) RETURNING app_uid, document::jsonb -> 'aside' AS aside)
UPDATE apps a SET set_aside = (
    SELECT coalesce(jsonb_agg(e ORDER BY n), '[]') FROM (
        SELECT gone.aside AS e, 0 AS n
        UNION ALL (SELECT e, n FROM jsonb_array_elements(a.set_aside) WITH ORDINALITY AS t (e, n) WHERE e <> gone.aside ORDER BY n LIMIT $2::int - 1)
    ) AS kept
)
FROM gone WHERE a.uid = gone.app_uid;

-- name: ReleasePin
-- Somebody says that what was set aside is wanted.
WITH gone AS (DELETE FROM pins WHERE app_uid = $1 RETURNING app_uid, document),
wanted AS (
    UPDATE apps a SET unpinned_by = $2, unpin_reason = $3, set_aside = (
        SELECT coalesce(jsonb_agg(e ORDER BY n), '[]') FROM jsonb_array_elements(a.set_aside) WITH ORDINALITY AS t (e, n)
        WHERE e <> gone.document::jsonb -> 'aside'
    )
    FROM gone WHERE a.uid = gone.app_uid
)
SELECT document FROM gone;

-- name: ForgetUnpins
-- What the sources gave is delivered, or set aside by a pin: as somebody wished.
UPDATE apps a SET unpinned_by = '', unpin_reason = '', set_aside = (
    SELECT coalesce(jsonb_agg(e ORDER BY n), '[]') FROM jsonb_array_elements(a.set_aside) WITH ORDINALITY AS t (e, n)
    WHERE e IS DISTINCT FROM ( -- what is set aside is kept without tags
        SELECT jsonb_agg(u.e - 'tag' ORDER BY u.n) FROM app_sources s, jsonb_array_elements(s.sources::jsonb) WITH ORDINALITY AS u (e, n) WHERE s.app_uid = a.uid
    )
)
WHERE uid = ANY ($1);

-- name: RaiseVersion
UPDATE apps SET version = version + 1, updated_at = $2 WHERE uid = $1;
