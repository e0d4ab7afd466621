-- name: HubState
SELECT hub_id, incarnation, incarnation_signature, hold_deletes FROM hub;

-- name: HubStateShared
SELECT hub_id, incarnation, incarnation_signature, hold_deletes FROM hub FOR SHARE;

-- name: HubStateLocked
SELECT hub_id, incarnation, incarnation_signature, hold_deletes FROM hub FOR UPDATE;

-- name: InitHub
INSERT INTO hub (hub_id, incarnation, incarnation_signature, created_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (only_row) DO NOTHING;

-- name: RaiseHub
UPDATE hub SET incarnation = $1, incarnation_signature = $2, hold_deletes = $3;

-- name: ReleaseDeletes
UPDATE hub SET hold_deletes = false WHERE hold_deletes;

-- name: LateWithdrawals
-- Withdrawals that an agent would take for late ones, because it holds a
-- generation at or above theirs.
SELECT w.app_uid, greatest(a.generation_counter, w.generation, coalesce(d.generation, 0)), a.generation_floor
FROM withdrawals w
JOIN apps a ON a.uid = w.app_uid
LEFT JOIN desired d ON d.app_uid = w.app_uid
WHERE w.generation <= a.generation_floor
ORDER BY w.app_uid
FOR NO KEY UPDATE OF a, w;

-- name: RaiseWithdrawal
UPDATE withdrawals SET generation = $2 WHERE app_uid = $1;

-- name: Secret
SELECT sealed FROM secrets WHERE name = $1;

-- name: PutSecretOnce
INSERT INTO secrets (name, sealed, created_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO NOTHING;

-- name: CacheEpoch
SELECT epoch::text, at > clock_timestamp() OR at < clock_timestamp() - interval '1 second' FROM cache_epoch;

-- name: RollCacheEpoch
INSERT INTO cache_epoch (epoch, at) VALUES (gen_random_uuid(), clock_timestamp())
ON CONFLICT (only_row) DO UPDATE SET epoch = excluded.epoch, at = excluded.at
WHERE $1 OR cache_epoch.at > clock_timestamp() OR cache_epoch.at < clock_timestamp() - interval '1 second'
RETURNING epoch::text;
