package store

import (
	"context"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// PolicyMark tells apart what Policy reads: it is another one after a change of the
// RBAC policy or of any project. Replicas ask for it every few seconds.
func (s *Store) PolicyMark(ctx context.Context) (m fleet.PolicyMark, err error) {
	err = s.pool.QueryRow(ctx, q("PolicyMark")).Scan(&m.Version, &m.Projects)
	return m, wrap(err, "ask for the version of the RBAC policy")
}

// Policy reads the RBAC policy and the projects, whose roles add to it. The mark is
// of the moment before: what is written meanwhile is found by the next one.
func (s *Store) Policy(ctx context.Context) (p fleet.Policy, err error) {
	if p.Mark, err = s.PolicyMark(ctx); err != nil {
		return p, err
	}
	if p.RBAC, err = s.RBAC(ctx); err != nil {
		return p, err
	}
	p.Projects, err = s.Projects(ctx)
	return p, err
}
