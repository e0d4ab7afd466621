-- name: VaultKeys
SELECT version, wrapped, state, made_at, sealing_at, retired_at FROM vault_keys ORDER BY made_at, version;

-- name: LockVaultKeys
-- Alone with the versions: nothing that is sealed is stored meanwhile.
SELECT pg_advisory_xact_lock(7318442011907528);

-- name: InsertVaultKey
INSERT INTO vault_keys (version, wrapped, state, sealing_at) VALUES ($1, $2, $3, CASE $3 WHEN 'sealing' THEN clock_timestamp() END)
ON CONFLICT (version) DO NOTHING;

-- name: RewrapVaultKey
UPDATE vault_keys SET wrapped = $2 WHERE version = $1 AND wrapped = $3;

-- name: StopSealing
UPDATE vault_keys SET state = 'opening' WHERE state = 'sealing';

-- name: StartSealing
UPDATE vault_keys SET state = 'sealing', sealing_at = clock_timestamp() WHERE version = $1 AND state = 'announced';

-- name: RetireVaultKey
UPDATE vault_keys SET state = 'retired', wrapped = NULL, retired_at = clock_timestamp() WHERE version = $1;

-- name: ReadKeys
INSERT INTO vault_readers (instance, versions) VALUES ($1, $2)
ON CONFLICT (instance) DO UPDATE SET versions = excluded.versions, seen_at = clock_timestamp();

-- name: ForgetReader
DELETE FROM vault_readers WHERE instance = $1 OR seen_at < clock_timestamp() - interval '1 day';

-- name: KeyReaders
SELECT instance, versions, seen_at, seen_at > clock_timestamp() - $1::interval FROM vault_readers ORDER BY instance;

-- name: LockResealing
SELECT pg_try_advisory_xact_lock(7318442011907529);

-- name: SealedCounts
SELECT 'secrets.sealed', substring(sealed FROM 2 FOR 4), count(*) FROM secrets GROUP BY 2
UNION ALL
SELECT 'bundles.sealed', substring(sealed FROM 2 FOR 4), count(*) FROM bundles GROUP BY 2
UNION ALL
SELECT 'repositories.credential', substring(credential FROM 2 FOR 4), count(*) FROM repositories WHERE credential IS NOT NULL GROUP BY 2
UNION ALL
SELECT 'repository_templates.credential', substring(credential FROM 2 FOR 4), count(*) FROM repository_templates GROUP BY 2
UNION ALL
SELECT 'first_login.sealed', substring(sealed FROM 2 FOR 4), count(*) FROM first_login GROUP BY 2
UNION ALL
SELECT 'identity_providers.sealed', substring(sealed FROM 2 FOR 4), count(*) FROM identity_providers WHERE sealed IS NOT NULL GROUP BY 2
UNION ALL
SELECT 'external_logins.sealed', substring(sealed FROM 2 FOR 4), count(*) FROM external_logins GROUP BY 2
ORDER BY 1, 2;

-- name: SealedOtherwise secrets.sealed
SELECT name, '', sealed FROM secrets WHERE name > $1 AND substring(sealed FROM 2 FOR 4) <> $2 ORDER BY name LIMIT $3;

-- name: Reseal secrets.sealed
UPDATE secrets SET sealed = $3 WHERE name = $1 AND substring(sealed FROM 1 FOR 17) = $2;

-- name: SealedOtherwise bundles.sealed
SELECT digest, '', sealed FROM bundles WHERE digest > $1 AND substring(sealed FROM 2 FOR 4) <> $2 ORDER BY digest LIMIT $3;

-- name: Reseal bundles.sealed
UPDATE bundles SET sealed = $3 WHERE digest = $1 AND substring(sealed FROM 1 FOR 17) = $2;

-- name: SealedOtherwise repositories.credential
SELECT id, match_url, credential FROM repositories WHERE id > $1 AND substring(credential FROM 2 FOR 4) <> $2 ORDER BY id LIMIT $3;

-- name: Reseal repositories.credential
UPDATE repositories SET credential = $3 WHERE id = $1 AND substring(credential FROM 1 FOR 17) = $2;

-- name: SealedOtherwise repository_templates.credential
SELECT id, match_url, credential FROM repository_templates WHERE id > $1 AND substring(credential FROM 2 FOR 4) <> $2 ORDER BY id LIMIT $3;

-- name: Reseal repository_templates.credential
UPDATE repository_templates SET credential = $3 WHERE id = $1 AND substring(credential FROM 1 FOR 17) = $2;

-- name: SealedOtherwise first_login.sealed
SELECT 'true', '', sealed FROM first_login WHERE 'true' > $1 AND substring(sealed FROM 2 FOR 4) <> $2 LIMIT $3;

-- name: Reseal first_login.sealed
UPDATE first_login SET sealed = $3 WHERE only_row::text = $1 AND substring(sealed FROM 1 FOR 17) = $2;

-- name: SealedOtherwise identity_providers.sealed
SELECT name, '', sealed FROM identity_providers WHERE name > $1 AND substring(sealed FROM 2 FOR 4) <> $2 ORDER BY name LIMIT $3;

-- name: Reseal identity_providers.sealed
UPDATE identity_providers SET sealed = $3 WHERE name = $1 AND substring(sealed FROM 1 FOR 17) = $2;

-- name: SealedOtherwise external_logins.sealed
SELECT encode(hash, 'hex'), '', sealed FROM external_logins WHERE encode(hash, 'hex') > $1 AND substring(sealed FROM 2 FOR 4) <> $2 ORDER BY 1 LIMIT $3;

-- name: Reseal external_logins.sealed
UPDATE external_logins SET sealed = $3 WHERE encode(hash, 'hex') = $1 AND substring(sealed FROM 1 FOR 17) = $2;
