-- name: CreateAPIToken
INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at, grants, owner) VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''));

-- name: APITokenByHash
SELECT id, name, hash, admin, created_at, expires_at, last_used, grants, coalesce(owner, '') FROM api_tokens t
WHERE hash = $1 AND (owner IS NULL OR EXISTS (SELECT FROM users u WHERE u.id = t.owner AND u.enabled));

-- name: APITokenByID
SELECT id, name, hash, admin, created_at, expires_at, last_used, grants, coalesce(owner, '') FROM api_tokens t
WHERE id = $1 AND (owner IS NULL OR EXISTS (SELECT FROM users u WHERE u.id = t.owner AND u.enabled));

-- name: TouchAPIToken
UPDATE api_tokens SET last_used = $2 WHERE id = $1;

-- name: APITokens
SELECT id, name, hash, admin, created_at, expires_at, last_used, grants, coalesce(owner, '') FROM api_tokens ORDER BY created_at DESC, id;

-- name: DeleteAPIToken
DELETE FROM api_tokens WHERE id = $1;
