-- name: CreateAPIToken
INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at, grants, owner) VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''));

-- name: HoldProvider
-- No change of the provider is under way, nor begins before the end of the transaction.
SELECT 1 FROM identity_providers WHERE name = $1 FOR SHARE;

-- name: CreateAPITokenAt
-- Of somebody of an identity provider, while that with which it is asked for is there.
INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at, grants, provider, subject, issuer, groups)
SELECT $1, $2, $3, $4, $5, $6, $7, by.provider, by.subject, by.name, by.groups FROM (
    SELECT provider, subject, name, groups FROM login_sessions WHERE id = $8
    UNION ALL SELECT provider, subject, issuer, groups FROM api_tokens WHERE id = $8) by
WHERE by.provider = $9 AND by.subject = $10;

-- name: RenewIssuer
-- What the provider says now of somebody.
UPDATE api_tokens SET issuer = $3, groups = $4 WHERE provider = $1 AND subject = $2;

-- name: EndTokensOfProvider
DELETE FROM api_tokens WHERE provider = $1;

-- name: EndTokensOutside
-- Those that people issued who are in none of some groups.
DELETE FROM api_tokens WHERE provider = $1 AND NOT groups && $2::text[];

-- name: APITokenByHash
SELECT t.id, t.name, t.hash, t.admin, t.created_at, t.expires_at, t.last_used, t.grants, coalesce(t.owner, ''), coalesce(t.provider, ''), coalesce(t.subject, ''), coalesce(t.issuer, u.name, ''), t.groups, coalesce(u.admin, false)
FROM api_tokens t LEFT JOIN users u ON u.id = t.owner
WHERE t.hash = $1 AND (t.owner IS NULL OR u.enabled);

-- name: APITokenByID
SELECT t.id, t.name, t.hash, t.admin, t.created_at, t.expires_at, t.last_used, t.grants, coalesce(t.owner, ''), coalesce(t.provider, ''), coalesce(t.subject, ''), coalesce(t.issuer, u.name, ''), t.groups, coalesce(u.admin, false)
FROM api_tokens t LEFT JOIN users u ON u.id = t.owner
WHERE t.id = $1 AND (t.owner IS NULL OR u.enabled);

-- name: TouchAPIToken
UPDATE api_tokens SET last_used = $2 WHERE id = $1;

-- name: APITokens
SELECT t.id, t.name, t.hash, t.admin, t.created_at, t.expires_at, t.last_used, t.grants, coalesce(t.owner, ''), coalesce(t.provider, ''), coalesce(t.subject, ''), coalesce(t.issuer, u.name, ''), t.groups, coalesce(u.admin, false)
FROM api_tokens t LEFT JOIN users u ON u.id = t.owner ORDER BY t.created_at DESC, t.id;

-- name: DeleteAPIToken
DELETE FROM api_tokens WHERE id = $1;
