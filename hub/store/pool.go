package store

import "time"

// Pool is how the connections to the database are used.
type Pool struct {
	// Most may be open; Open are, of which Idle are not in use.
	Most, Open, Idle int32
	// Waits is how often somebody had to wait for one, and Waited how long all
	// together.
	Waits  int64
	Waited time.Duration
}

// Pool reads the counters; it does not block.
func (s *Store) Pool() Pool {
	st := s.pool.Stat()
	return Pool{Most: st.MaxConns(), Open: st.TotalConns(), Idle: st.IdleConns(), Waits: st.EmptyAcquireCount(), Waited: st.EmptyAcquireWaitTime()}
}
