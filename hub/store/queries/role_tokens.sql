-- name: RolesOfProject
-- Locked against changes of the project, not against other tokens.
SELECT document FROM projects WHERE name = $1 FOR SHARE;

-- name: CountRoleTokens
SELECT count(*) FROM role_tokens WHERE project = $1 AND role = $2;

-- name: ForgetExpiredRoleTokens
DELETE FROM role_tokens WHERE project = $1 AND role = $2 AND expires_at < $3;

-- name: CreateRoleToken
INSERT INTO role_tokens (id, project, role, name, hash, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: RoleTokenByHash
SELECT id, project, role, name, hash, created_by, created_at, expires_at, last_used FROM role_tokens WHERE hash = $1;

-- name: RoleTokenByID
SELECT id, project, role, name, hash, created_by, created_at, expires_at, last_used FROM role_tokens WHERE id = $1;

-- name: TouchRoleToken
UPDATE role_tokens SET last_used = $2 WHERE id = $1;

-- name: RoleTokens
SELECT id, project, role, name, hash, created_by, created_at, expires_at, last_used FROM role_tokens
WHERE project = $1 AND role = $2 ORDER BY created_at DESC, id;

-- name: DeleteRoleToken
DELETE FROM role_tokens WHERE project = $1 AND role = $2 AND id = $3;

-- name: DeleteTokensOfRoles
-- Those of all roles but some.
DELETE FROM role_tokens WHERE project = $1 AND role <> ALL ($2);
