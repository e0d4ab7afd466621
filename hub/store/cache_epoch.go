package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// CacheEpoch is the word under which hubs share what they read a moment ago. It is
// at most a second old, by the database's clock alone; with roll it is a new one.
func (s *Store) CacheEpoch(ctx context.Context, roll bool) (epoch string, err error) {
	for try := 0; ; try++ {
		old := true
		err := s.pool.QueryRow(ctx, q("CacheEpoch")).Scan(&epoch, &old)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return "", wrap(err, "read the cache's epoch")
		}
		if !old && !roll {
			return epoch, nil
		}
		err = s.pool.QueryRow(ctx, q("RollCacheEpoch"), roll).Scan(&epoch)
		if errors.Is(err, pgx.ErrNoRows) && try < 3 {
			continue // another hub has changed it meanwhile
		}
		return epoch, wrap(err, "change the cache's epoch")
	}
}
