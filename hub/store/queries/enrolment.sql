-- name: CreateEnrolmentToken
INSERT INTO enrolment_tokens (id, hash, cluster, labels, aliases, project, created_by, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: EnrolmentTokens
SELECT id, hash, cluster, labels, aliases, project, created_by, created_at, expires_at, used_at, used_from,
    refused_at, refused_from, refused_code, refused_message,
    preflight_at, preflight_from, preflight_version, preflight
FROM enrolment_tokens ORDER BY created_at DESC, id;

-- name: DeleteEnrolmentToken
DELETE FROM enrolment_tokens WHERE id = $1;

-- name: LockEnrolmentToken
SELECT id, hash, cluster, labels, aliases, project, created_by, created_at, expires_at, used_at, used_from,
    refused_at, refused_from, refused_code, refused_message,
    preflight_at, preflight_from, preflight_version, preflight
FROM enrolment_tokens WHERE hash = $1 FOR UPDATE;

-- name: EnrolmentToken
SELECT id, hash, cluster, labels, aliases, project, created_by, created_at, expires_at, used_at, used_from,
    refused_at, refused_from, refused_code, refused_message,
    preflight_at, preflight_from, preflight_version, preflight
FROM enrolment_tokens WHERE hash = $1;

-- name: UseEnrolmentToken
UPDATE enrolment_tokens SET used_at = $2, used_from = $3 WHERE id = $1;

-- name: RefuseEnrolment
-- The same again is written once in a second: who has a token may try as often as he likes.
UPDATE enrolment_tokens SET refused_at = $2, refused_from = $3, refused_code = $4, refused_message = $5
WHERE hash = $1 AND (refused_at IS NULL OR refused_code <> $4 OR refused_at < $2::timestamptz - interval '1 second');

-- name: NotePreflight
-- Who has a token may tell as often as he likes; what comes within a second of the
-- one before is not written.
UPDATE enrolment_tokens SET preflight_at = $2, preflight_from = $3, preflight_version = $4, preflight = $5
WHERE id = $1 AND used_at IS NULL AND (preflight_at IS NULL OR preflight_at < $2::timestamptz - interval '1 second');

-- name: EnrolCluster
-- A cluster that enrols again keeps its id and what people have set; labels,
-- aliases and project of the token count for a new one. An alias that another
-- cluster got meanwhile stays there.
INSERT INTO clusters (id, name, labels, aliases, project, created_at, enrolled_at)
VALUES ($1, $2, $3, ARRAY(SELECT a FROM unnest($4::text[]) a WHERE NOT EXISTS (SELECT FROM clusters o WHERE o.aliases @> ARRAY[a])), $5, $6, $6)
ON CONFLICT (name) DO UPDATE SET revoked = false, enrolled_at = excluded.enrolled_at,
    kube_uid = '', kube_uid_offered = '', doubles = '{}', quarantined_at = NULL
RETURNING id;

-- name: RevokeCertificates
UPDATE certificates SET revoked = true WHERE cluster_id = $1 AND NOT revoked;

-- name: InsertCertificate
INSERT INTO certificates (serial, cluster_id, not_before, not_after, fingerprint) VALUES ($1, $2, $3, $4, $5);

-- name: BindAgentKey
-- No row: the key is another cluster's.
INSERT INTO agent_keys (fingerprint, cluster_id, since) VALUES ($1, $2, $3)
ON CONFLICT (fingerprint) DO UPDATE SET since = agent_keys.since WHERE agent_keys.cluster_id = excluded.cluster_id
RETURNING cluster_id;

-- name: CertificateFingerprint
UPDATE certificates SET fingerprint = $2 WHERE serial = $1;

-- name: CertificateNotAfter
UPDATE clusters SET cert_not_after = $2 WHERE id = $1;

-- name: CertificateState
SELECT c.serial, c.cluster_id, c.not_before, c.not_after, c.revoked OR k.revoked, c.fingerprint
FROM certificates c JOIN clusters k ON k.id = c.cluster_id
WHERE c.serial = $1;
