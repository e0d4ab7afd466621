-- name: ClaimRequest
INSERT INTO requests (caller, key, digest, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (caller, key) DO UPDATE SET digest = excluded.digest, status = 0, answer = NULL, created_at = excluded.created_at
WHERE requests.created_at < $5 OR (requests.status = 0 AND requests.created_at < $6 AND requests.digest = excluded.digest);

-- name: Request
SELECT digest, status, answer FROM requests WHERE caller = $1 AND key = $2;

-- name: AnswerRequest
UPDATE requests SET status = $3, answer = $4 WHERE caller = $1 AND key = $2;

-- name: ReleaseRequest
DELETE FROM requests WHERE caller = $1 AND key = $2 AND status = 0;

-- name: ForgetRequests
DELETE FROM requests WHERE created_at < $1;

-- name: ForgetJobs
DELETE FROM jobs WHERE finished_at < $1;

-- name: InsertJob
INSERT INTO jobs (id, kind, spec, initiated_by, token, created_at, request, digest) VALUES ($1, $2, $3, $4, $5, $6, nullif($7, ''), $8)
ON CONFLICT (request) DO NOTHING;

-- name: JobByRequest
SELECT id, digest FROM jobs WHERE request = $1;

-- name: InsertJobItems
INSERT INTO job_items (job, number, application)
SELECT $1, n, name FROM unnest($2::text[]) WITH ORDINALITY AS t (name, n);

-- name: Job
SELECT j.id, j.kind, j.spec, j.phase, j.initiated_by, j.token, j.cancelled_by, j.created_at, j.finished_at,
       count(i.*), count(*) FILTER (WHERE i.phase = 'Pending'), count(*) FILTER (WHERE i.phase = 'Accepted'),
       count(*) FILTER (WHERE i.phase = 'Failed'), count(*) FILTER (WHERE i.phase = 'Cancelled')
FROM jobs j LEFT JOIN job_items i ON i.job = j.id
WHERE j.id = $1 GROUP BY j.id;

-- name: Jobs
SELECT j.id, j.kind, j.spec, j.phase, j.initiated_by, j.token, j.cancelled_by, j.created_at, j.finished_at,
       count(i.*), count(*) FILTER (WHERE i.phase = 'Pending'), count(*) FILTER (WHERE i.phase = 'Accepted'),
       count(*) FILTER (WHERE i.phase = 'Failed'), count(*) FILTER (WHERE i.phase = 'Cancelled')
FROM (SELECT * FROM jobs WHERE ($1 = '' OR token = $1) AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3) j
LEFT JOIN job_items i ON i.job = j.id
GROUP BY j.id, j.kind, j.spec, j.phase, j.initiated_by, j.token, j.cancelled_by, j.created_at, j.finished_at
ORDER BY j.id DESC;

-- name: LockJobsOf
SELECT pg_advisory_xact_lock(hashtextextended('jobs of ' || $1, 0));

-- name: CountRunningJobs
SELECT count(*) FROM jobs WHERE token = $1 AND phase = 'Running';

-- name: RunningJobs
SELECT id, token FROM jobs WHERE phase = 'Running' ORDER BY id;

-- name: LockJob
SELECT phase FROM jobs WHERE id = $1 FOR UPDATE;

-- name: JobItems
SELECT i.number, i.application, i.phase, i.operation, coalesce(o.phase, ''), i.code, i.message, i.finished_at,
       coalesce((o.spec->>'dryRun')::boolean, false),
       (SELECT json_object_agg(r.status, r.n) FROM (
            SELECT e->>'status' AS status, count(*) AS n FROM json_array_elements(CASE json_typeof(o.result->'resources') WHEN 'array' THEN o.result->'resources' END) AS e GROUP BY 1
        ) AS r)
FROM job_items i LEFT JOIN operations o ON o.id = i.operation AND i.operation <> ''
WHERE i.job = $1 AND i.number > $2 ORDER BY i.number LIMIT $3;

-- name: PendingJobItems
SELECT number, application FROM job_items WHERE job = $1 AND phase = 'Pending' AND number > $2 ORDER BY number LIMIT $3;

-- name: FinishJobItem
-- Also of one that was cancelled meanwhile: what was accepted goes on, and is said.
UPDATE job_items SET phase = $3, operation = $4, code = $5, message = $6, finished_at = $7
WHERE job = $1 AND number = $2 AND phase IN ('Pending', 'Cancelled');

-- name: CancelJob
UPDATE jobs SET cancelled_by = $2 WHERE id = $1 AND phase = 'Running' AND cancelled_by = '';

-- name: CancelJobItems
UPDATE job_items SET phase = 'Cancelled', finished_at = $2 WHERE job = $1 AND phase = 'Pending';

-- name: EndJob
UPDATE jobs SET phase = $2, finished_at = $3 WHERE id = $1 AND phase = 'Running';
