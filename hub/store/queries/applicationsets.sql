-- name: ApplicationSets
SELECT name, coalesce(project, ''), document, version, created_at FROM applicationsets
WHERE ($1 = '' OR name = $1) ORDER BY name;

-- name: LockApplicationSet
SELECT version, document::text = $2::json::text FROM applicationsets WHERE name = $1 FOR UPDATE;

-- name: InsertApplicationSet
INSERT INTO applicationsets (name, project, document, created_at, updated_at) VALUES ($1, nullif($2, ''), $3, $4, $4);

-- name: UpdateApplicationSet
UPDATE applicationsets SET project = nullif($2, ''), document = $3, version = version + 1, updated_at = $4 WHERE name = $1;

-- name: DeleteApplicationSet
DELETE FROM applicationsets WHERE name = $1 AND ($2::bigint = 0 OR version = $2);

-- name: ProjectSets
SELECT name FROM applicationsets WHERE project = $1 ORDER BY name LIMIT 11;
