-- name: CreateAPIToken
INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at, grants) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: APITokenByHash
SELECT id, name, hash, admin, created_at, expires_at, last_used, grants FROM api_tokens WHERE hash = $1;

-- name: TouchAPIToken
UPDATE api_tokens SET last_used = $2 WHERE id = $1;

-- name: APITokens
SELECT id, name, hash, admin, created_at, expires_at, last_used, grants FROM api_tokens ORDER BY created_at DESC, id;

-- name: DeleteAPIToken
DELETE FROM api_tokens WHERE id = $1;
