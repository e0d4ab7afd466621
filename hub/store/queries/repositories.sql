-- name: UpsertRepository
-- The credential is replaced only when one is given; a new credential or URL
-- makes the state unknown again.
INSERT INTO repositories AS r (id, url, match_url, project, username, has_password, has_ssh_key, credential, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET
    url = excluded.url, match_url = excluded.match_url, project = excluded.project,
    username     = CASE WHEN $10::boolean THEN excluded.username     ELSE r.username     END,
    has_password = CASE WHEN $10::boolean THEN excluded.has_password ELSE r.has_password END,
    has_ssh_key  = CASE WHEN $10::boolean THEN excluded.has_ssh_key  ELSE r.has_ssh_key  END,
    credential   = CASE WHEN $10::boolean THEN excluded.credential   ELSE r.credential   END,
    state = 'unknown', error = '', error_code = '', since = NULL;

-- name: RepositoryIDByURL
SELECT id FROM repositories WHERE match_url = $1 FOR UPDATE;

-- name: Repositories
SELECT id, url, project, username, has_password, has_ssh_key, last_check, state, error, error_code, since
FROM repositories WHERE ($1 = '' OR id = $1) ORDER BY url, id;

-- name: DeleteRepository
DELETE FROM repositories WHERE id = $1;

-- name: CredentialFor
SELECT id, credential FROM repositories
WHERE match_url = ANY ($1) AND credential IS NOT NULL
ORDER BY length(match_url) DESC LIMIT 1;

-- name: RecordRepositoryState
UPDATE repositories SET
    last_check = $2, state = $3, error = $4, error_code = $5,
    since = CASE WHEN state = $3 AND error_code = $5 AND since IS NOT NULL THEN since ELSE $2 END
WHERE match_url = $1 AND (last_check IS NULL OR last_check <= $2);
