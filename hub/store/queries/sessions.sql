-- name: FenceSession
SELECT 1 FROM sessions WHERE cluster_id = $1 AND incarnation = $2 AND number = $3 FOR NO KEY UPDATE;

-- name: FencedSessions
-- Which of these sessions may not go on, why, and whose session is the newest. A
-- certificate that is not recorded, as after a restore, is no reason.
SELECT open.cluster_id, open.number,
       CASE WHEN k.id IS NULL THEN 'cluster_deleted'
            WHEN k.revoked THEN 'cluster_revoked'
            WHEN c.revoked THEN 'certificate_revoked'
            WHEN k.quarantined_at IS NOT NULL THEN 'duplicate_identity'
            ELSE 'session_superseded' END,
       coalesce(s.instance, '')
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS open (cluster_id, serial, incarnation, number)
LEFT JOIN clusters k ON k.id = open.cluster_id
LEFT JOIN certificates c ON c.serial = open.serial
LEFT JOIN sessions s ON s.cluster_id = open.cluster_id
WHERE k.id IS NULL OR k.revoked OR c.revoked OR k.quarantined_at IS NOT NULL
   OR (s.incarnation, s.number) > (open.incarnation, open.number);

-- name: NextEpochNumber
SELECT nextval('session_epoch');

-- name: MaxOperationSeq
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM operation_seq;

-- name: RaiseOperationSeq
SELECT setval('operation_seq', $1::bigint) FROM operation_seq WHERE last_value < $1::bigint;

-- name: PreviousEpoch
SELECT incarnation, number FROM sessions WHERE cluster_id = $1 FOR UPDATE;

-- name: LockClusterApps
SELECT uid FROM apps WHERE cluster_id = $1 ORDER BY uid FOR NO KEY UPDATE;

-- name: ClusterApps
-- All applications of a cluster as facts of an opening session.
SELECT a.uid, a.name, a.project, greatest(a.generation_counter, coalesce(d.generation, 0), coalesce(w.generation, 0)),
       a.generation_floor, d.generation, d.document, d.bundle_bytes,
       w.generation, w.mode, w.operation_id, w.operation_seq, w.approve_deletions
FROM apps a
LEFT JOIN desired d ON d.app_uid = a.uid
LEFT JOIN withdrawals w ON w.app_uid = a.uid
WHERE a.cluster_id = $1
ORDER BY a.uid;

-- name: SessionOperations
-- What has not ended, and what the hello names; foreign clusters' never.
SELECT id, seq, app_uid, app_name, cluster_id, kind, spec, phase, message, terminating, result, initiated_by,
       created_at, started_at, finished_at, deadline, generation, amendments, project
FROM operations
WHERE cluster_id = $1 AND (open OR id = ANY ($2))
ORDER BY id
FOR NO KEY UPDATE;

-- name: RaiseFloors
WITH raised AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS r (uid, floor)),
render AS (
    UPDATE app_sources SET render_key = '' FROM raised WHERE app_sources.app_uid = raised.uid
)
UPDATE apps SET generation_floor = greatest(generation_floor, raised.floor) FROM raised WHERE apps.uid = raised.uid;

-- name: UpdateHello
UPDATE clusters SET agent_version = $2, kube_version = $3, unknown_apps = $4 WHERE id = $1;

-- name: OpenSession
-- The end of a session that nobody noted is noted now. Of a cluster 200 lines are kept,
-- and those of one session more.
WITH before AS (
    SELECT last_seen FROM sessions WHERE cluster_id = $1 AND closed_at IS NULL
), opened AS (
    INSERT INTO sessions (cluster_id, incarnation, number, instance, opened_at, last_seen)
    VALUES ($1, $2, $3, $4, $5, $5)
    ON CONFLICT (cluster_id) DO UPDATE SET
        incarnation = excluded.incarnation, number = excluded.number, instance = excluded.instance,
        opened_at = excluded.opened_at, closed_at = NULL, last_seen = excluded.last_seen,
        report_seq = 0, confirmed_at = NULL, round_trip_us = NULL, clock_ahead_ms = NULL
), noted AS (
    INSERT INTO connection_log (cluster_id, at, kind, code, message)
    SELECT $1, last_seen, 'lost', 'session_superseded', 'its end was not noted: the connection broke, or a hub stopped' FROM before
    UNION ALL SELECT $1, $5, 'connected', '', ''
)
DELETE FROM connection_log WHERE cluster_id = $1 AND id <= (
    SELECT id FROM connection_log WHERE cluster_id = $1 ORDER BY id DESC OFFSET 200 LIMIT 1);

-- name: CloseSession
WITH ended AS (
    UPDATE sessions SET closed_at = coalesce(closed_at, $4)
    WHERE cluster_id = $1 AND incarnation = $2 AND number = $3
    RETURNING cluster_id
)
INSERT INTO connection_log (cluster_id, at, kind, code, message)
SELECT cluster_id, $4, 'lost', $5, $6 FROM ended;

-- name: Line
SELECT opened_at, closed_at, last_seen, round_trip_us, clock_ahead_ms FROM sessions WHERE cluster_id = $1;

-- name: ConnectionLog
SELECT at, kind, code, message FROM connection_log WHERE cluster_id = $1 ORDER BY id DESC LIMIT $2;

-- name: QueuedChanges
-- What the hub has for an agent that has not said that it holds it.
SELECT d.app_uid, a.name, a.project, 'update', d.generation, d.updated_at
FROM desired d JOIN apps a ON a.uid = d.app_uid
WHERE d.cluster_id = $1 AND a.cluster_id = $1 AND d.generation > d.acked_generation AND d.ack_error_code = ''
  AND NOT EXISTS (SELECT 1 FROM withdrawals w WHERE w.app_uid = d.app_uid)
UNION ALL
SELECT w.app_uid, a.name, a.project, 'delete', w.generation, w.created_at
FROM withdrawals w JOIN apps a ON a.uid = w.app_uid
WHERE w.cluster_id = $1
ORDER BY 6, 2;

-- name: EndSession
UPDATE sessions SET closed_at = $2 WHERE cluster_id = $1 AND closed_at IS NULL;

-- name: Heartbeat
-- Rows are locked in one order, because several replicas beat at once.
WITH beat AS (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[], $7::bigint[], $8::bigint[])
        AS b (cluster_id, incarnation, number, seq, observed_at, round_trip_us, clock_ahead_ms)
), fenced AS (
    SELECT b.* FROM beat b
    JOIN sessions s ON s.cluster_id = b.cluster_id AND s.incarnation = b.incarnation AND s.number = b.number
    ORDER BY b.cluster_id
    FOR NO KEY UPDATE OF s
)
UPDATE sessions s SET
    last_seen = greatest(s.last_seen, $6::timestamptz),
    confirmed_at = CASE WHEN f.seq >= s.report_seq THEN greatest(s.confirmed_at, f.observed_at) ELSE s.confirmed_at END,
    report_seq = greatest(s.report_seq, f.seq),
    round_trip_us = coalesce(f.round_trip_us, s.round_trip_us), clock_ahead_ms = coalesce(f.clock_ahead_ms, s.clock_ahead_ms)
FROM fenced f
WHERE s.cluster_id = f.cluster_id AND s.incarnation = f.incarnation AND s.number = f.number;

-- name: ClusterDesired
-- What an agent may be sent: nothing of an application that is withdrawn, and
-- nothing that is not above what an agent was seen to hold.
SELECT d.document, d.generation, d.bundle_bytes
FROM desired d
JOIN apps a ON a.uid = d.app_uid
WHERE d.cluster_id = $1 AND a.cluster_id = $1 AND ($2::text[] IS NULL OR d.app_uid = ANY ($2))
  AND d.generation > a.generation_floor
  AND NOT EXISTS (SELECT 1 FROM withdrawals w WHERE w.app_uid = d.app_uid)
ORDER BY d.app_uid;

-- name: ClusterWithdrawals
SELECT app_uid, name, generation, mode, operation_id, operation_seq, approve_deletions
FROM withdrawals
WHERE cluster_id = $1 AND ($2::text[] IS NULL OR app_uid = ANY ($2))
ORDER BY operation_seq;

-- name: AckDesired
WITH ack AS (
    SELECT * FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) AS a (app_uid, generation, code, message)
), locked AS (
    SELECT d.app_uid, a.generation, a.code, a.message
    FROM ack a JOIN desired d ON d.app_uid = a.app_uid AND d.cluster_id = $1
    ORDER BY d.app_uid FOR NO KEY UPDATE OF d
)
UPDATE desired d SET
    acked_generation = CASE WHEN l.code = '' THEN greatest(d.acked_generation, l.generation) ELSE d.acked_generation END,
    acked_at = $6::timestamptz,
    ack_error_code = CASE WHEN l.generation >= d.generation OR l.code = '' THEN l.code ELSE d.ack_error_code END,
    ack_error = CASE WHEN l.generation >= d.generation OR l.code = '' THEN l.message ELSE d.ack_error END
FROM locked l
WHERE d.app_uid = l.app_uid;

-- name: ForeignApps
SELECT uid FROM apps WHERE uid = ANY ($2) AND cluster_id <> $1;

-- name: ForeignOperations
SELECT id FROM operations WHERE id = ANY ($2) AND cluster_id <> $1;
