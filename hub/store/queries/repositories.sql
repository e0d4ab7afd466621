-- name: UpsertRepository
-- The credential is replaced only when one is given; a new credential makes the
-- state unknown again.
INSERT INTO repositories AS r (id, url, match_url, type, name, project, holds, credential, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET
    url = excluded.url, type = excluded.type, name = excluded.name, project = excluded.project,
    holds      = CASE WHEN $10::boolean THEN excluded.holds      ELSE r.holds      END,
    credential = CASE WHEN $10::boolean THEN excluded.credential ELSE r.credential END,
    state = 'unknown', error = '', error_code = '', since = NULL, version = r.version + 1;

-- name: RepositoryIDByURL
SELECT id, version FROM repositories WHERE match_url = $1 FOR UPDATE;

-- name: RepositoryURLByName
SELECT url FROM repositories WHERE name = $1 AND id <> $2;

-- name: Repositories
SELECT id, url, type, name, project, holds, last_check, state, error, error_code, since, version
FROM repositories WHERE ($1 = '' OR id = $1) AND ($2 = '' OR name = $2) ORDER BY url, id;

-- name: RepositoryCredential
SELECT match_url, credential FROM repositories WHERE id = $1;

-- name: DeleteRepository
DELETE FROM repositories WHERE id = $1 AND ($2::bigint = 0 OR version = $2);

-- name: RepositoryFor
-- A registry stands for everything in it; any other repository for itself.
SELECT id, url, match_url, type, name, project, credential FROM repositories
WHERE match_url = $1 OR (type = 'oci' AND match_url = ANY ($2))
ORDER BY length(match_url) DESC LIMIT 1;

-- name: ReservedRepository
-- Servers such as GitHub's take any case of a path. Whether this one does is not
-- known, so a reserved repository is reserved in every case that has no row.
SELECT project FROM repositories
WHERE lower(match_url) = lower($1) OR (type = 'oci' AND lower(match_url) = ANY ($2))
ORDER BY match_url = $1 DESC, length(match_url) DESC, project DESC LIMIT 1;

-- name: RecordRepositoryState
UPDATE repositories SET
    last_check = $2, state = $3, error = $4, error_code = $5,
    since = CASE WHEN state = $3 AND error_code = $5 AND since IS NOT NULL THEN since ELSE $2 END
WHERE match_url = $1 AND (last_check IS NULL OR last_check <= $2);

-- name: ProjectRepositories
SELECT url FROM repositories WHERE project = $1
UNION ALL SELECT url FROM repository_templates WHERE project = $1
ORDER BY url LIMIT 11;

-- name: UpsertRepositoryTemplate
INSERT INTO repository_templates AS t (id, url, match_url, project, holds, credential, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET url = excluded.url, holds = excluded.holds, credential = excluded.credential, version = t.version + 1;

-- name: RepositoryTemplateID
SELECT id, version FROM repository_templates WHERE match_url = $1 AND project = $2 FOR UPDATE;

-- name: RepositoryTemplates
SELECT id, url, project, holds, created_at, version FROM repository_templates WHERE ($1 = '' OR id = $1) ORDER BY url, project, id;

-- name: RepositoryTemplateCredential
SELECT match_url, credential FROM repository_templates WHERE id = $1;

-- name: TemplateFor
-- The longest prefix wins; of two with one URL that of the repository's project.
SELECT id, url, match_url, credential FROM repository_templates
WHERE match_url = ANY ($1) AND (project = '' OR project = $2)
ORDER BY length(match_url) DESC, project DESC LIMIT 1;

-- name: DeleteRepositoryTemplate
DELETE FROM repository_templates WHERE id = $1 AND ($2::bigint = 0 OR version = $2) RETURNING url;
