package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hawser-dev/hawser/shared/fault"
)

// SQLSTATE codes that are told apart.
const (
	codeForeignKey       = "23503"
	codeUnique           = "23505"
	codeSerialization    = "40001"
	codeDeadlock         = "40P01"
	codeUndefinedTable   = "42P01"
	codeInvalidText      = "22021"
	codeUntranslatable   = "22P05"
	codeLockNotAvailable = "55P03"
	codeQueryCanceled    = "57014"
	codeAdminShutdown    = "57P01"
	codeCrashShutdown    = "57P02"
	codeReadOnly         = "25006"
	codeIdleTimeout      = "25P03"
	codeKeyRetired       = "HW001" // of the trigger vault_check
)

// wrap makes a fault of a database error; what completes "could not …". Faults
// pass through.
func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	if errors.Is(err, errCommitUnknown) {
		return fault.Wrap(err, fault.Unavailable, "commit_unknown",
			"the database connection was lost at the last moment: could not tell whether it was done (%s)", what).
			WithFix("ask for the state, or repeat the request with the same Idempotency-Key")
	}
	if unavailable(err) {
		return fault.Wrap(err, fault.Unavailable, "db_unavailable", "the hub's database does not answer: could not %s", what).
			WithFix("try again")
	}
	switch sqlState(err) {
	case codeInvalidText, codeUntranslatable:
		return fault.Wrap(err, fault.Invalid, "text_invalid", "a value holds characters that cannot be stored: could not %s", what)
	case codeKeyRetired:
		return errRetired(err)
	case codeUndefinedTable:
		return fault.Wrap(err, fault.Internal, "db_not_migrated", "the database has not the tables that this hub needs").
			WithFix("run: hawser-hub migrate")
	}
	return fault.Wrap(err, fault.Internal, "db_error", "the database refused: could not %s", what)
}

// unavailable tells trouble of the connection or the server from a statement
// that is wrong.
func unavailable(err error) bool {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case codeSerialization, codeDeadlock, codeLockNotAvailable, codeQueryCanceled, codeReadOnly, codeIdleTimeout:
			return true
		}
		// Connection, resources, operator, system, authorisation, catalogue.
		for _, class := range []string{"08", "53", "57", "58", "28", "3D"} {
			if strings.HasPrefix(pgErr.Code, class) {
				return true
			}
		}
		return false
	}
	var connect *pgconn.ConnectError
	var netErr net.Error
	return errors.As(err, &connect) || errors.As(err, &netErr) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "closed pool")
}

// repeatable errors come from two transactions that met; the same transaction
// sees the other's result when it runs again.
func repeatable(err error) bool {
	switch sqlState(err) {
	case codeSerialization, codeDeadlock, codeForeignKey, codeUnique:
		return true
	}
	return false
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

func notFound(code, format string, args ...any) error {
	return fault.New(fault.NotFound, code, format, args...)
}

// listed names up to most things, within the length of a message.
func listed(names []string, most int) string {
	if len(names) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, n := range names {
		if i > 0 && (i == most || b.Len()+len(n) > 150) {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(n)
	}
	return b.String()
}
