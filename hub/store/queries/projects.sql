-- name: Projects
SELECT name, document, version, created_at FROM projects WHERE ($1 = '' OR name = $1) ORDER BY name;

-- name: UpsertProject
-- An unchanged document is not written.
INSERT INTO projects AS p (name, document, created_at, updated_at) VALUES ($1, $2, $3, $3)
ON CONFLICT (name) DO UPDATE SET
    document = excluded.document,
    version = p.version + 1,
    updated_at = excluded.updated_at
WHERE p.document::text <> excluded.document::text;

-- name: LockProject
SELECT name FROM projects WHERE name = $1 FOR UPDATE;

-- name: ProjectApps
SELECT name FROM apps WHERE project = $1 ORDER BY name LIMIT 11;

-- name: DeleteProject
DELETE FROM projects WHERE name = $1;
