package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// abandoned is how old a request without an answer must be before its key can be
// used for it again: the hub that took it was killed.
const abandoned = 2 * time.Minute

// ClaimRequest takes an idempotency key for a request. claimed is false when the
// key has a record already, which is then returned.
func (s *Store) ClaimRequest(ctx context.Context, r fleet.RequestRecord) (old fleet.RequestRecord, claimed bool, err error) {
	now := s.now()
	for range maxAttempts {
		tag, err := s.pool.Exec(ctx, q("ClaimRequest"), r.Caller, r.Key, r.Digest, now, now.Add(-fleet.KeptRequests), now.Add(-abandoned))
		if err != nil {
			return old, false, wrap(err, "take the idempotency key")
		}
		if tag.RowsAffected() > 0 {
			return old, true, nil
		}
		old = fleet.RequestRecord{Caller: r.Caller, Key: r.Key}
		err = s.pool.QueryRow(ctx, q("Request"), r.Caller, r.Key).Scan(&old.Digest, &old.Status, &old.Answer)
		if errors.Is(err, pgx.ErrNoRows) {
			continue // it was given back meanwhile
		}
		return old, false, wrap(err, "read the idempotency key")
	}
	return old, false, wrap(context.DeadlineExceeded, "take the idempotency key")
}

// AnswerRequest records the answer under a key that was claimed.
func (s *Store) AnswerRequest(ctx context.Context, r fleet.RequestRecord) error {
	_, err := s.pool.Exec(ctx, q("AnswerRequest"), r.Caller, r.Key, r.Status, r.Answer)
	return wrap(err, "record the answer")
}

// ReleaseRequest gives a key back whose request had no effect.
func (s *Store) ReleaseRequest(ctx context.Context, caller, key string) error {
	_, err := s.pool.Exec(ctx, q("ReleaseRequest"), caller, key)
	return wrap(err, "give the idempotency key back")
}

// ForgetRequests removes what is no longer kept of requests, jobs and logins.
func (s *Store) ForgetRequests(ctx context.Context, now time.Time) error {
	if _, err := s.pool.Exec(ctx, q("ForgetRequests"), now.Add(-fleet.KeptRequests)); err != nil {
		return wrap(err, "forget idempotency keys")
	}
	if _, err := s.pool.Exec(ctx, q("ForgetJobs"), now.Add(-fleet.KeptJobs)); err != nil {
		return wrap(err, "forget jobs")
	}
	return s.ForgetLogins(ctx, now)
}

// CreateJob stores a job with all its items. existed is true when a job was
// submitted with the same request before, which is then returned. Codes:
// idempotency_key_reused, too_many_jobs.
func (s *Store) CreateJob(ctx context.Context, n fleet.NewJob) (job fleet.StoredJob, existed bool, err error) {
	err = s.tx(ctx, "store the job", func(tx pgx.Tx) error {
		existed = false
		if _, err := tx.Exec(ctx, q("LockJobsOf"), n.Token); err != nil { // so that no two count the same
			return err
		}
		var spec any
		if len(n.Spec) > 0 {
			spec = n.Spec
		}
		tag, err := tx.Exec(ctx, q("InsertJob"), n.ID, string(n.Kind), spec, text(n.InitiatedBy), n.Token, s.now(), n.Request, n.Digest)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			old := fleet.RequestRecord{Status: 202}
			var id string
			if err := tx.QueryRow(ctx, q("JobByRequest"), n.Request).Scan(&id, &old.Digest); err != nil {
				return err
			}
			if err := fleet.DecideRequest(old, n.Digest); err != nil {
				return err
			}
			existed = true
			job, err = readJob(ctx, tx, id)
			return err
		}
		var running int
		if err := tx.QueryRow(ctx, q("CountRunningJobs"), n.Token).Scan(&running); err != nil {
			return err
		}
		if running > fleet.MaxRunningJobs {
			return fleet.TooManyJobs(running - 1)
		}
		if _, err := tx.Exec(ctx, q("InsertJobItems"), n.ID, n.Applications); err != nil {
			return err
		}
		job, err = readJob(ctx, tx, n.ID)
		return err
	})
	return job, existed, err
}

// Job reads a job; NotFound job_not_found.
func (s *Store) Job(ctx context.Context, id string) (fleet.StoredJob, error) {
	job, err := readJob(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return job, notFound("job_not_found", "there is no job %q", id)
	}
	return job, wrap(err, "read the job")
}

func readJob(ctx context.Context, db querier, id string) (fleet.StoredJob, error) {
	rows, err := db.Query(ctx, q("Job"), id)
	if err != nil {
		return fleet.StoredJob{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanJob)
}

func scanJob(r pgx.CollectableRow) (j fleet.StoredJob, err error) {
	err = r.Scan(&j.ID, &j.Kind, &j.Spec, &j.Phase, &j.InitiatedBy, &j.Token, &j.CancelledBy, &j.CreatedAt, &j.FinishedAt,
		&j.Total, &j.Pending, &j.Accepted, &j.Failed, &j.Cancelled)
	j.DryRun = fleet.JobDryRun(j.Kind, j.Spec)
	j.CreatedAt = j.CreatedAt.UTC()
	if j.FinishedAt != nil {
		*j.FinishedAt = j.FinishedAt.UTC()
	}
	return j, err
}

// Jobs lists jobs, the newest first.
func (s *Store) Jobs(ctx context.Context, f fleet.JobFilter) ([]fleet.StoredJob, error) {
	rows, err := s.pool.Query(ctx, q("Jobs"), f.Token, f.Before, f.Limit)
	if err != nil {
		return nil, wrap(err, "list the jobs")
	}
	out, err := pgx.CollectRows(rows, scanJob)
	return out, wrap(err, "list the jobs")
}

// RunningJobs are those that have not ended, the oldest first.
func (s *Store) RunningJobs(ctx context.Context) ([]fleet.RunningJob, error) {
	rows, err := s.pool.Query(ctx, q("RunningJobs"))
	if err != nil {
		return nil, wrap(err, "list the running jobs")
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[fleet.RunningJob])
	return out, wrap(err, "list the running jobs")
}

// JobItems are the items of a job after a number, with how their operations are.
func (s *Store) JobItems(ctx context.Context, job string, after, limit int) ([]model.JobItem, error) {
	rows, err := s.pool.Query(ctx, q("JobItems"), job, after, limit)
	if err != nil {
		return nil, wrap(err, "list the items of the job")
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (i model.JobItem, err error) {
		err = r.Scan(&i.Number, &i.Application, &i.Phase, &i.Operation, &i.OperationPhase, &i.Code, &i.Message, &i.FinishedAt, &i.DryRun, &i.Changes)
		if i.FinishedAt != nil {
			*i.FinishedAt = i.FinishedAt.UTC()
		}
		return i, err
	})
	return out, wrap(err, "list the items of the job")
}

// PendingJobItems are the next items whose command is still to be given.
func (s *Store) PendingJobItems(ctx context.Context, job string, after, limit int) ([]model.JobItem, error) {
	rows, err := s.pool.Query(ctx, q("PendingJobItems"), job, after, limit)
	if err != nil {
		return nil, wrap(err, "list the pending items of the job")
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (i model.JobItem, err error) {
		return i, r.Scan(&i.Number, &i.Application)
	})
	return out, wrap(err, "list the pending items of the job")
}

// FinishJobItem records what came of an item, once.
func (s *Store) FinishJobItem(ctx context.Context, job string, number int, r fleet.ItemResult) error {
	_, err := s.pool.Exec(ctx, q("FinishJobItem"), job, number, string(r.Phase), string(r.Operation), r.Code, text(r.Message), s.now())
	return wrap(err, "record an item of the job")
}

// CancelJob ends what is pending of a job; what was accepted goes on. Of a job
// that has ended, or was cancelled, it changes nothing.
func (s *Store) CancelJob(ctx context.Context, id, by string) (job fleet.StoredJob, err error) {
	err = s.tx(ctx, "cancel the job", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, q("CancelJob"), id, text(by))
		if err == nil && tag.RowsAffected() > 0 {
			_, err = tx.Exec(ctx, q("CancelJobItems"), id, s.now())
		}
		return err
	})
	if err != nil {
		return job, err
	}
	return s.Job(ctx, id)
}

// EndJob ends a job that has no pending items. ended is true for the call that
// did it.
func (s *Store) EndJob(ctx context.Context, id string) (job fleet.StoredJob, ended bool, err error) {
	err = s.tx(ctx, "end the job", func(tx pgx.Tx) error {
		ended = false
		if _, err := tx.Exec(ctx, q("LockJob"), id); err != nil {
			return err
		}
		if job, err = readJob(ctx, tx, id); err != nil {
			return err
		}
		phase, ends := fleet.JobEnd(job.Job)
		if !ends {
			return nil
		}
		at := s.now()
		if _, err := tx.Exec(ctx, q("EndJob"), id, string(phase), at); err != nil {
			return err
		}
		job.Phase, job.FinishedAt, ended = phase, &at, true
		return nil
	})
	return job, ended, err
}
