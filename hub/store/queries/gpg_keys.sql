-- name: GPGKeys
SELECT document, added_by, added_at FROM gpg_keys ORDER BY key_id;

-- name: GPGKey
SELECT document, added_by, added_at FROM gpg_keys WHERE key_id = $1 OR fingerprint = $1;

-- name: CountGPGKeys
SELECT count(*) FROM gpg_keys WHERE fingerprint <> ALL ($1::text[]);

-- name: PutGPGKey
INSERT INTO gpg_keys (fingerprint, key_id, document, added_by, added_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (fingerprint) DO UPDATE SET document = excluded.document, added_by = excluded.added_by, added_at = excluded.added_at;

-- name: DeleteGPGKey
DELETE FROM gpg_keys WHERE key_id = $1 OR fingerprint = $1;

-- name: LockGPGKeys
LOCK TABLE gpg_keys IN SHARE ROW EXCLUSIVE MODE;
