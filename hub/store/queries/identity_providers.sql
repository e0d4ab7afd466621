-- name: IdentityProviders
SELECT name, document, sealed, version, changed_by, changed_at FROM identity_providers ORDER BY name;

-- name: IdentityProvider
SELECT name, document, sealed, version, changed_by, changed_at FROM identity_providers WHERE name = $1;

-- name: PutIdentityProvider
INSERT INTO identity_providers (name, document, sealed, version, changed_by, changed_at)
VALUES ($1, $2, $3, nextval('identity_provider_versions'), $5, $6)
ON CONFLICT (name) DO UPDATE SET document = $2, sealed = CASE WHEN $4 THEN identity_providers.sealed ELSE $3 END,
    version = nextval('identity_provider_versions'), changed_by = $5, changed_at = $6
WHERE $7::bigint = 0 OR identity_providers.version = $7
RETURNING name, document, sealed, version, changed_by, changed_at;

-- name: DeleteIdentityProvider
DELETE FROM identity_providers WHERE name = $1 AND ($2::bigint = 0 OR version = $2);

-- name: EndSessionsOfProvider
DELETE FROM login_sessions WHERE provider = $1;

-- name: EndSessionsOutside
-- Those of people who are in none of some groups.
DELETE FROM login_sessions WHERE provider = $1 AND NOT groups && $2::text[];

-- name: ForgetExternalLogins
DELETE FROM external_logins WHERE provider = $1;

-- name: BeginExternalLogin
INSERT INTO external_logins (hash, kind, provider, sealed, due, expires_at) VALUES ($1, $2, $3, $4, $5, $6);

-- name: TakeExternalLogin
DELETE FROM external_logins WHERE hash = $1 AND kind = $2 RETURNING provider, sealed, expires_at;

-- name: DueExternalLogin
UPDATE external_logins SET due = $4 WHERE hash = $1 AND kind = $2 AND due <= $3 RETURNING provider, sealed, expires_at;

-- name: ExternalLogin
SELECT provider, sealed, expires_at FROM external_logins WHERE hash = $1 AND kind = $2;

-- name: ForgetOldExternalLogins
DELETE FROM external_logins WHERE expires_at < $1;

-- name: LoginOfProvider
SELECT 1 FROM identity_providers WHERE name = $1 FOR KEY SHARE;
