-- name: CreateUser
INSERT INTO users (id, name, password, enabled, admin, grants, created_at, password_changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: Users
SELECT id, name, password, enabled, admin, grants, created_at, password_changed_at, last_login FROM users ORDER BY name;

-- name: UserByName
SELECT id, name, password, enabled, admin, grants, created_at, password_changed_at, last_login FROM users WHERE name = $1;

-- name: ChangeUser
UPDATE users SET password = coalesce($2, password), password_changed_at = CASE WHEN $2::text IS NULL THEN password_changed_at ELSE $6 END,
    enabled = coalesce($3, enabled), admin = coalesce($4, admin), grants = coalesce($5, grants)
WHERE name = $1
RETURNING id, name, password, enabled, admin, grants, created_at, password_changed_at, last_login;

-- name: RehashUser
UPDATE users SET password = $3 WHERE id = $1 AND password = $2;

-- name: DeleteUser
DELETE FROM users WHERE name = $1;

-- name: EndSessionsOfUser
DELETE FROM login_sessions WHERE user_id = $1;

-- name: EndTokensOfUser
DELETE FROM api_tokens WHERE owner = $1;

-- name: CreateLoginSession
INSERT INTO login_sessions (id, hash, user_id, provider, subject, name, groups, browser, created_at, authenticated_at, seen_at, expires_at, address, client)
VALUES ($1, $2, nullif($3, ''), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);

-- name: LoginOfUser
UPDATE users SET last_login = $2 WHERE id = $1 AND enabled AND password = $3;

-- name: LoginSession
SELECT s.id, s.hash, coalesce(s.user_id, ''), s.provider, s.subject, s.name, s.groups, s.browser, s.created_at, s.authenticated_at, s.seen_at, s.expires_at,
    s.address, s.client, coalesce(u.admin, false), coalesce(u.grants, '[]')
FROM login_sessions s LEFT JOIN users u ON u.id = s.user_id
WHERE (s.hash = $1 OR s.id = $2) AND (s.user_id IS NULL OR u.enabled);

-- name: LoginSessions
SELECT s.id, ''::bytea, coalesce(s.user_id, ''), s.provider, s.subject, s.name, s.groups, s.browser, s.created_at, s.authenticated_at, s.seen_at, s.expires_at,
    s.address, s.client, coalesce(u.admin, false), coalesce(u.grants, '[]')
FROM login_sessions s LEFT JOIN users u ON u.id = s.user_id
WHERE (s.user_id IS NULL OR u.enabled) AND s.expires_at > $1 AND s.seen_at > $2 AND ($3 = '' OR (s.provider = $3 AND s.subject = $4))
ORDER BY s.seen_at DESC, s.id;

-- name: EndLoginSession
DELETE FROM login_sessions WHERE id = $1 AND ($2 = '' OR (provider = $2 AND subject = $3));

-- name: EndLoginSessions
DELETE FROM login_sessions WHERE provider = $1 AND subject = $2;

-- name: TouchLoginSession
UPDATE login_sessions SET seen_at = $2, address = CASE WHEN $3 = '' THEN address ELSE $3 END WHERE id = $1 AND seen_at <= $2::timestamptz - interval '1 minute';

-- name: RotateLoginSession
UPDATE login_sessions SET hash = $3, authenticated_at = $4, seen_at = $4 WHERE id = $1 AND hash = $2;

-- name: DeleteLoginSession
DELETE FROM login_sessions WHERE id = $1;

-- name: ForgetLogins
DELETE FROM login_attempts WHERE until < $1;

-- name: PurgeSessions
-- $1 is when the session is over, $2 the time since when it was not used.
DELETE FROM login_sessions WHERE id IN (
    SELECT id FROM login_sessions WHERE expires_at < $1 OR seen_at < $2 LIMIT $3 FOR UPDATE SKIP LOCKED);

-- name: PurgeAPITokens
DELETE FROM api_tokens WHERE id IN (SELECT id FROM api_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED);

-- name: PurgeRoleTokens
DELETE FROM role_tokens WHERE id IN (SELECT id FROM role_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED);

-- name: PurgeEnrolmentTokens
DELETE FROM enrolment_tokens WHERE id IN (SELECT id FROM enrolment_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED);

-- name: CountedKeys
SELECT count(*) FROM login_attempts;

-- name: EvictAttempts
DELETE FROM login_attempts WHERE key IN (
    SELECT key FROM login_attempts WHERE count < $1 AND key NOT LIKE 'user %' ORDER BY count, until LIMIT $2);

-- name: CountAttempt
INSERT INTO login_attempts (key, count, until) VALUES ($1, 1, $3)
ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN login_attempts.until <= $2 THEN 1 ELSE login_attempts.count + 1 END,
    until = CASE WHEN login_attempts.until <= $2 THEN $3 ELSE login_attempts.until END
RETURNING count, until;

-- name: Attempts
SELECT coalesce((SELECT count FROM login_attempts WHERE key = $1 AND until > $2), 0);

-- name: ForgiveAttempt
UPDATE login_attempts SET count = greatest(count - 1, 0) WHERE key = $1;

-- name: ForgetAttempts
DELETE FROM login_attempts WHERE key = $1;

-- name: FirstLogin
SELECT sealed, hash, expires_at FROM first_login;

-- name: OfferFirstLogin
INSERT INTO first_login (hash, sealed, expires_at, on_purpose) VALUES ($1, $2, $3, $6)
ON CONFLICT (only_row) DO UPDATE SET hash = $1, sealed = $2, expires_at = $3, on_purpose = $6 WHERE $5 OR first_login.expires_at <= $4;

-- name: WithdrawFirstLogin
DELETE FROM first_login WHERE NOT on_purpose;

-- name: TakeFirstLogin
DELETE FROM first_login WHERE hash = $1 RETURNING expires_at;
