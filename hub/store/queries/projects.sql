-- name: Projects
SELECT name, document, version, created_at, updated_at, changed_by FROM projects WHERE ($1 = '' OR name = $1) ORDER BY name;

-- name: ProjectAndGlobals
-- The text is searched, because taking a path out of a document with \u0000 fails;
-- a project that only speaks of the word does no harm.
SELECT name, document, version, created_at, updated_at, changed_by FROM projects
WHERE name = $1 OR document::text LIKE '%"inheritedBy"%' ORDER BY name;

-- name: ProjectDocuments
SELECT name, document FROM projects ORDER BY name;

-- name: LockProjects
SELECT name FROM projects WHERE name = ANY ($1) ORDER BY name FOR NO KEY UPDATE;

-- name: RaiseProjects
UPDATE projects SET version = version + 1 WHERE name = ANY ($1);

-- name: UpsertProject
-- An unchanged document is not written.
INSERT INTO projects AS p (name, document, created_at, updated_at, changed_by) VALUES ($1, $2, $3, $3, $4)
ON CONFLICT (name) DO UPDATE SET
    document = excluded.document,
    version = p.version + 1,
    updated_at = excluded.updated_at,
    changed_by = excluded.changed_by
WHERE p.document::text <> excluded.document::text;

-- name: ProjectVersion
SELECT version FROM projects WHERE name = $1 FOR NO KEY UPDATE;

-- name: LockProject
SELECT name, version FROM projects WHERE name = $1 FOR UPDATE;

-- name: ProjectApps
SELECT name FROM apps WHERE project = $1 ORDER BY name LIMIT 11;

-- name: DeleteProject
DELETE FROM projects WHERE name = $1;
