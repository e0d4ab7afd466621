-- name: RelaxedCommit
-- For what an agent says again after a crash: the commit does not wait for the
-- disk. It counts until the end of the transaction.
SELECT set_config('synchronous_commit', 'off', true);

-- name: SaveReports
-- One row per application. What comes from a session that is no longer the
-- cluster's newest, from another cluster, or late is left out.
WITH report AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[],
                         $14::json[], $15::json[], $16::json[], $17::json[], $19::text[])
        AS r (app_uid, cluster_id, incarnation, number, seq, generation, observed_at,
              revision, sync_status, sync_reason, health_status, health_message, health_since,
              conditions, operation, status, tree, tree_digest)
), fenced AS (
    SELECT r.* FROM report r
    JOIN apps a ON a.uid = r.app_uid AND a.cluster_id = r.cluster_id
    JOIN sessions s ON s.cluster_id = r.cluster_id AND s.incarnation = r.incarnation AND s.number = r.number
    ORDER BY r.app_uid
), flat AS (
    INSERT INTO observed AS o (app_uid, incarnation, number, seq, generation, observed_at, received_at, revision,
                               sync_status, sync_reason, health_status, health_message, health_since, conditions, operation)
    SELECT app_uid, incarnation, number, seq, generation, observed_at, $18::timestamptz, revision,
           sync_status, sync_reason, health_status, health_message, health_since, conditions, operation
    FROM fenced
    ON CONFLICT (app_uid) DO UPDATE SET
        incarnation = excluded.incarnation, number = excluded.number, seq = excluded.seq, generation = excluded.generation,
        observed_at = excluded.observed_at, received_at = excluded.received_at, revision = excluded.revision,
        sync_status = excluded.sync_status, sync_reason = excluded.sync_reason,
        health_status = excluded.health_status, health_message = excluded.health_message, health_since = excluded.health_since,
        conditions = excluded.conditions, operation = excluded.operation
    WHERE (o.incarnation, o.number, o.seq) < (excluded.incarnation, excluded.number, excluded.seq)
    RETURNING o.app_uid
)
INSERT INTO observed_detail AS t (app_uid, status, tree, tree_at, tree_digest)
SELECT f.app_uid, f.status, f.tree, CASE WHEN f.tree IS NULL THEN NULL ELSE f.observed_at END, f.tree_digest
FROM fenced f JOIN flat USING (app_uid)
ON CONFLICT (app_uid) DO UPDATE SET
    status  = excluded.status,
    tree    = coalesce(excluded.tree, t.tree),
    tree_at = coalesce(excluded.tree_at, t.tree_at),
    tree_digest = CASE WHEN excluded.tree IS NULL THEN t.tree_digest ELSE excluded.tree_digest END;
