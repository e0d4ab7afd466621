-- name: LockAudit
SELECT pg_advisory_xact_lock(7318442011907514)

-- name: AuditHead
SELECT part, seq, hash FROM audit ORDER BY seq DESC LIMIT 1

-- name: AuditClock
SELECT clock_timestamp()

-- name: AuditPartition
SELECT audit_partition($1)

-- name: AppendAudit
INSERT INTO audit (part, seq, at, record, hash, signature) VALUES ($1, $2, $3, $4, $5, $6)

-- name: BeginAudit
INSERT INTO audit_pending (id, record) VALUES ($1, $2)

-- name: EndAudit
DELETE FROM audit_pending WHERE id = $1

-- name: AbandonedAudit
DELETE FROM audit_pending WHERE id IN (
    SELECT id FROM audit_pending WHERE begun_at < clock_timestamp() - make_interval(secs => $1) ORDER BY begun_at LIMIT 100 FOR UPDATE SKIP LOCKED
) RETURNING id, record

-- name: UnauditedOperations
UPDATE operations o SET audited = true WHERE o.id IN (
    SELECT id FROM operations WHERE NOT audited AND NOT open ORDER BY seq LIMIT 100 FOR UPDATE SKIP LOCKED
) RETURNING o.seq, o.id, o.kind, o.app_name, o.project, coalesce((SELECT c.name FROM clusters c WHERE c.id = o.cluster_id), o.cluster_id), o.phase, o.initiated_by, o.message

-- name: AuditAt
SELECT hash FROM audit WHERE seq = $1

-- name: AuditRecords
SELECT seq, at, record, hash, signature FROM audit
WHERE ($1::text IS NULL OR actor = $1) AND ($2::text IS NULL OR action = $2) AND ($3::text IS NULL OR resource = $3)
  AND ($4::text IS NULL OR project = $4) AND ($5::text IS NULL OR cluster = $5) AND ($6::text IS NULL OR name = $6)
  AND ($7::text IS NULL OR outcome = $7) AND ($8::text IS NULL OR kind = $8) AND ($9::text IS NULL OR request = $9)
  AND ($10::text IS NULL OR operation = $10) AND ($11::timestamptz IS NULL OR at >= $11) AND ($12::timestamptz IS NULL OR at < $12)
  AND seq > $13 AND ($14::bigint = 0 OR seq < $14)

-- name: OldestAudit
SELECT a.part, (SELECT max(b.seq) FROM audit b WHERE b.part < (date_trunc('month', a.part) + interval '1 month')::date)
FROM audit a ORDER BY a.seq LIMIT 1

-- name: DropAudit
SELECT audit_drop($1)

-- name: HoldAuditExport
INSERT INTO audit_exports (receiver, holder, held_until) VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (receiver) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
WHERE audit_exports.holder = excluded.holder OR audit_exports.held_until < clock_timestamp()
RETURNING seq, hash

-- name: MoveAuditExport
UPDATE audit_exports SET seq = $3, hash = $4 WHERE receiver = $1 AND holder = $2

-- name: LeaveAuditExport
UPDATE audit_exports SET held_until = '-infinity' WHERE receiver = $1 AND holder = $2

-- name: AuditKeys
SELECT name, sealed, clock_timestamp() FROM secrets WHERE name = $1 OR name = $2

-- name: PutAuditKey
INSERT INTO secrets (name, sealed, created_at) VALUES ($1, $2, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, created_at = excluded.created_at

-- name: BegunAudit
SELECT id, record FROM audit_pending FOR UPDATE SKIP LOCKED

-- name: RenewBegunAudit
UPDATE audit_pending SET record = $2 WHERE id = $1

-- name: SchemaVersions
SELECT version_id, is_applied, to_char(tstamp, 'YYYY-MM-DD"T"HH24:MI:SS.US') FROM goose_db_version ORDER BY id

-- name: NewestSchemaRecord
SELECT record FROM audit WHERE actor = $1 AND action = $2 ORDER BY seq DESC LIMIT 1
