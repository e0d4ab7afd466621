package store

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Sign makes the CA's signature over an incarnation of the hub.
type Sign = func(hubID string, incarnation int64) ([]byte, error)

// HubState reads the row about the hub. NotFound (hub_not_initialised) before
// InitHub.
func (s *Store) HubState(ctx context.Context) (fleet.HubState, error) {
	h, err := readHub(ctx, s.pool, "HubState")
	return h, wrap(err, "read the hub's state")
}

func readHub(ctx context.Context, db querier, statement string) (fleet.HubState, error) {
	var h fleet.HubState
	err := db.QueryRow(ctx, q(statement)).Scan(&h.HubID, &h.Incarnation, &h.IncarnationSignature, &h.HoldDeletes)
	if errors.Is(err, pgx.ErrNoRows) {
		return h, notFound("hub_not_initialised", "the database has no hub yet")
	}
	return h, err
}

// InitHub makes the row about the hub at first start, with incarnation 1, and
// returns it; when it exists it is returned as it is.
func (s *Store) InitHub(ctx context.Context, sign Sign) (fleet.HubState, error) {
	h, err := s.HubState(ctx)
	if !fault.HasCode(err, "hub_not_initialised") {
		return h, err
	}
	id := uuid.NewString()
	signature, err := sign(id, 1)
	if err != nil {
		return fleet.HubState{}, err
	}
	if _, err := s.pool.Exec(ctx, q("InitHub"), id, 1, signature, s.now()); err != nil {
		return fleet.HubState{}, wrap(err, "store the hub's state")
	}
	return s.HubState(ctx)
}

// RaiseIncarnation begins the next incarnation of the hub, as a restored database
// needs it, and holds deletes. No hub may run on the database: open sessions are of
// the incarnation before.
func (s *Store) RaiseIncarnation(ctx context.Context, sign Sign) (h fleet.HubState, err error) {
	err = s.tx(ctx, "raise the incarnation", func(tx pgx.Tx) error {
		if h, err = readHub(ctx, tx, "HubStateLocked"); err != nil {
			return err
		}
		h.Incarnation, h.HoldDeletes = h.Incarnation+1, true
		if h.IncarnationSignature, err = sign(h.HubID, h.Incarnation); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, q("RaiseHub"), h.Incarnation, h.IncarnationSignature, h.HoldDeletes)
		return err
	})
	return h, err
}

// AcknowledgeRestore ends the hold on deletes that a restored database brought.
// Withdrawals that waited get generations above what agents hold. The caller
// closes all sessions, so that agents are told.
func (s *Store) AcknowledgeRestore(ctx context.Context) error {
	return s.tx(ctx, "acknowledge the restore", func(tx pgx.Tx) error {
		if _, err := readHub(ctx, tx, "HubStateLocked"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, q("ReleaseDeletes")); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, q("LateWithdrawals"))
		if err != nil {
			return err
		}
		type late struct {
			app            model.AppUID
			counter, floor model.Generation
		}
		found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (l late, err error) {
			err = r.Scan(&l.app, &l.counter, &l.floor)
			return l, err
		})
		if err != nil {
			return err
		}
		for _, l := range found {
			if _, err := tx.Exec(ctx, q("RaiseWithdrawal"), l.app, fleet.NextWithdrawal(l.counter, l.floor)); err != nil {
				return err
			}
		}
		return nil
	})
}

func secretPlace(name string) string { return "secrets/sealed/" + name }

// Secret reads one of the hub's own keys. NotFound (secret_not_found) when it
// was never put.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	var sealed []byte
	err := s.pool.QueryRow(ctx, q("Secret"), name).Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("secret_not_found", "the hub has no key %q", name)
	}
	if err != nil {
		return nil, wrap(err, "read a key")
	}
	return s.unseal(ctx, sealed, secretPlace(name))
}

// PutSecretOnce stores a key unless there is one of that name, and returns what
// is stored: of several hubs that start at once, all get the same.
func (s *Store) PutSecretOnce(ctx context.Context, name string, value []byte) ([]byte, error) {
	err := s.sealing(func() error {
		sealed, err := s.seal(ctx, value, secretPlace(name))
		if err == nil {
			_, err = s.pool.Exec(ctx, q("PutSecretOnce"), name, sealed, s.now())
		}
		return wrap(err, "store a key")
	})
	if err != nil {
		return nil, err
	}
	return s.Secret(ctx, name)
}
