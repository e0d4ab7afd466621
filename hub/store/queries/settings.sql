-- name: Settings
SELECT version, document, changed_by, changed_at FROM settings
WHERE name = $1 AND ($2::bigint = 0 OR version = $2) ORDER BY version DESC LIMIT 1;

-- name: SettingsVersions
SELECT version, changed_by, changed_at FROM settings WHERE name = $1 ORDER BY version DESC;

-- name: PutSettings
INSERT INTO settings (name, version, document, changed_by, changed_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING;

-- name: ForgetSettings
DELETE FROM settings WHERE name = $1 AND version <= $2;

-- name: SettingsHolders
SELECT count(*) FILTER (WHERE settings_digest = $1), count(*) FILTER (WHERE settings_digest <> $1),
       coalesce((array_agg(name ORDER BY name) FILTER (WHERE settings_digest <> $1))[1:$2::int], '{}')
FROM clusters WHERE NOT revoked AND enrolled_at IS NOT NULL;

-- name: PolicyMark
SELECT coalesce((SELECT max(version) FROM settings WHERE name = 'rbac'), 0),
       coalesce((SELECT md5(string_agg(name || ' ' || version || ' ' || created_at, E'\n' ORDER BY name)) FROM projects), '');
