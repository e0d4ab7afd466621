package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/shared/audit"
)

// HoldAuditExport says that holder sends records to a receiver for that long, and
// returns the last record that is there. held is false while another holder does.
func (s *Store) HoldAuditExport(ctx context.Context, receiver, holder string, long time.Duration) (at audit.Head, held bool, err error) {
	err = s.pool.QueryRow(ctx, q("HoldAuditExport"), receiver, holder, long.Seconds()).Scan(&at.Seq, &at.Hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Head{}, false, nil
	}
	return at, err == nil, wrap(err, "read how far the audit records were sent")
}

// MoveAuditExport keeps the last record that a receiver has; it does nothing for who
// does not hold it any more.
func (s *Store) MoveAuditExport(ctx context.Context, receiver, holder string, at audit.Head) error {
	_, err := s.pool.Exec(ctx, q("MoveAuditExport"), receiver, holder, at.Seq, []byte(at.Hash))
	return wrap(err, "keep how far the audit records were sent")
}

// LeaveAuditExport lets another holder have a receiver at once.
func (s *Store) LeaveAuditExport(ctx context.Context, receiver, holder string) error {
	_, err := s.pool.Exec(ctx, q("LeaveAuditExport"), receiver, holder)
	return wrap(err, "leave the audit records to others")
}
