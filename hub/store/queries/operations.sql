-- name: LockApp
SELECT name, cluster_id, version FROM apps WHERE uid = $1 FOR NO KEY UPDATE;

-- name: AppCounter
-- Not part of LockApp: a statement that waits for a lock still sees other
-- tables as they were before it waited.
SELECT greatest(a.generation_counter, coalesce(d.generation, 0)), a.generation_floor
FROM apps a LEFT JOIN desired d ON d.app_uid = a.uid
WHERE a.uid = $1;

-- name: LockAppsOfOperations
SELECT uid FROM apps
WHERE uid IN (SELECT app_uid FROM operations WHERE id = ANY ($1))
ORDER BY uid FOR NO KEY UPDATE;

-- name: Operation
SELECT id, seq, app_uid, app_name, cluster_id, kind, spec, phase, message, terminating, result, initiated_by,
       created_at, started_at, finished_at, deadline, generation, amendments, project
FROM operations WHERE id = $1;

-- name: OperationByKey
SELECT id, seq, app_uid, app_name, cluster_id, kind, spec, phase, message, terminating, result, initiated_by,
       created_at, started_at, finished_at, deadline, generation, amendments, project
FROM operations WHERE idempotency_key = $1;

-- name: Operations
SELECT id, seq, app_uid, app_name, cluster_id, kind, spec, phase, message, terminating, result, initiated_by,
       created_at, started_at, finished_at, deadline, generation, amendments, project
FROM operations
WHERE ($1 = '' OR app_uid = $1) AND ($2 = '' OR cluster_id = $2) AND (NOT $3::boolean OR open)
  AND ($5::text[] IS NULL OR project = ANY ($5)) AND ($6::bigint = 0 OR seq < $6)
ORDER BY seq DESC
LIMIT $4;

-- name: CountOperations
-- What the newest operations are, without reading what is in them.
SELECT phase, kind, count(*) FROM (
    SELECT phase, kind FROM operations
    WHERE ($1 = '' OR app_uid = $1) AND ($2 = '' OR cluster_id = $2) AND (NOT $3::boolean OR open)
      AND ($5::text[] IS NULL OR project = ANY ($5))
    ORDER BY seq DESC
    LIMIT $4) newest
GROUP BY phase, kind;

-- name: PendingOperations
SELECT id, seq, app_uid, app_name, cluster_id, kind, spec, phase, message, terminating, result, initiated_by,
       created_at, started_at, finished_at, deadline, generation, amendments, project
FROM operations
WHERE cluster_id = $1 AND open AND kind <> 'delete'
ORDER BY seq;

-- name: OpenOperationsOfApp
SELECT id, seq, app_uid, app_name, cluster_id, kind, spec, phase, message, terminating, result, initiated_by,
       created_at, started_at, finished_at, deadline, generation, amendments, project
FROM operations
WHERE app_uid = $1 AND open
ORDER BY id
FOR NO KEY UPDATE;

-- name: QueuedWithGeneration
-- Operations that no agent was given and that are about one desired state.
SELECT id, seq, app_uid, app_name, cluster_id, kind, spec, phase, message, terminating, result, initiated_by,
       created_at, started_at, finished_at, deadline, generation, amendments, project
FROM operations
WHERE app_uid = ANY ($1) AND open AND phase = 'Queued' AND generation > 0
ORDER BY id
FOR NO KEY UPDATE;

-- name: LockOperations
SELECT id, seq, app_uid, app_name, cluster_id, kind, spec, phase, message, terminating, result, initiated_by,
       created_at, started_at, finished_at, deadline, generation, amendments, project
FROM operations
WHERE id = ANY ($1)
ORDER BY id
FOR NO KEY UPDATE;

-- name: LockClusterOperations
SELECT id, seq, app_uid, app_name, cluster_id, kind, spec, phase, message, terminating, result, initiated_by,
       created_at, started_at, finished_at, deadline, generation, amendments, project
FROM operations
WHERE id = ANY ($1) AND cluster_id = $2
ORDER BY id
FOR NO KEY UPDATE;

-- name: OverdueOperations
SELECT id FROM operations WHERE open AND phase = 'Queued' AND deadline < $1 ORDER BY seq LIMIT 500;

-- name: InsertOperation
INSERT INTO operations (id, seq, app_uid, app_name, cluster_id, kind, spec, phase, initiated_by, idempotency_key, created_at, deadline, generation, project)
VALUES ($1, nextval('operation_seq'), $2, $3, $4, $5, $6, 'Queued', $7, $8, $9, $10, $11, (SELECT project FROM apps WHERE uid = $2))
RETURNING seq, project;

-- name: UpdateOperation
UPDATE operations SET phase = $2, message = $3, terminating = $4, result = $5, started_at = $6, finished_at = $7, amendments = $8
WHERE id = $1;

-- name: InsertWithdrawal
INSERT INTO withdrawals (app_uid, cluster_id, name, generation, mode, operation_id, operation_seq, created_at, approve_deletions)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: AmendWithdrawal
UPDATE withdrawals SET mode = $3, approve_deletions = $4 WHERE app_uid = $1 AND operation_id = $2;

-- name: AmendOperation
UPDATE operations SET spec = $2, amendments = $3 WHERE id = $1;

-- name: MarkDeleting
UPDATE apps SET deleting = true, version = version + 1, updated_at = $2 WHERE uid = $1;

-- name: KeepApp
-- A delete that ended without deleting: the generation that it had is used up.
WITH gone AS (DELETE FROM withdrawals WHERE app_uid = $1 AND operation_id = $2 RETURNING generation)
UPDATE apps SET deleting = false, version = version + 1, updated_at = $3,
       generation_counter = greatest(generation_counter, gone.generation)
FROM gone WHERE uid = $1;

-- name: BuryApp
INSERT INTO tombstones (app_uid, cluster_id, name, generation, operation_id, at)
SELECT uid, cluster_id, name,
       greatest(generation_counter, generation_floor, (SELECT coalesce(max(w.generation), 0) FROM withdrawals w WHERE w.app_uid = uid)),
       $2, $3
FROM apps WHERE uid = $1
ON CONFLICT (app_uid) DO NOTHING;

-- name: RemoveTree
DELETE FROM observed_detail WHERE app_uid = $1;

-- name: RemoveObserved
DELETE FROM observed WHERE app_uid = $1;

-- name: RemoveWithdrawal
DELETE FROM withdrawals WHERE app_uid = $1;

-- name: RemoveDesired
DELETE FROM desired WHERE app_uid = $1;

-- name: RemovePin
DELETE FROM pins WHERE app_uid = $1;

-- name: RemoveIssued
DELETE FROM issued WHERE app_uid = $1;

-- name: RemoveDeployments
DELETE FROM deployments WHERE app_uid = $1;

-- name: RemoveSource
DELETE FROM app_sources WHERE app_uid = $1;

-- name: RemoveApp
DELETE FROM apps WHERE uid = $1;
