package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestErrorKinds(t *testing.T) {
	pg := func(code string) error { return fmt.Errorf("query: %w", &pgconn.PgError{Code: code, Message: "odd"}) }
	for _, test := range []struct {
		err        error
		kind       fault.Kind
		code       string
		repeatable bool
	}{
		{pg("08006"), fault.Unavailable, "db_unavailable", false},
		{pg("53300"), fault.Unavailable, "db_unavailable", false}, // too many connections
		{pg("53100"), fault.Unavailable, "db_unavailable", false}, // disk full
		{pg("57P01"), fault.Unavailable, "db_unavailable", false},
		{pg("57P03"), fault.Unavailable, "db_unavailable", false}, // starting up
		{pg("57014"), fault.Unavailable, "db_unavailable", false},
		{pg("55P03"), fault.Unavailable, "db_unavailable", false},
		{pg("25006"), fault.Unavailable, "db_unavailable", false},
		{pg("28P01"), fault.Unavailable, "db_unavailable", false},
		{pg("40001"), fault.Unavailable, "db_unavailable", true},
		{pg("40P01"), fault.Unavailable, "db_unavailable", true},
		{pg("23505"), fault.Internal, "db_error", true},
		{pg("23503"), fault.Internal, "db_error", true},
		{pg("23514"), fault.Internal, "db_error", false},
		{pg("42601"), fault.Internal, "db_error", false},
		{pg("42P01"), fault.Internal, "db_not_migrated", false},
		{pg("22021"), fault.Invalid, "text_invalid", false},
		{io.ErrUnexpectedEOF, fault.Unavailable, "db_unavailable", false},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, fault.Unavailable, "db_unavailable", false},
		{context.DeadlineExceeded, fault.Unavailable, "db_unavailable", false},
		{context.Canceled, fault.Unavailable, "db_unavailable", false},
		{fmt.Errorf("%w: %w", errCommitUnknown, io.EOF), fault.Unavailable, "commit_unknown", false},
		{errors.New("odd"), fault.Internal, "db_error", false},
		{fault.New(fault.Conflict, "mine", "x"), fault.Conflict, "mine", false},
		{fmt.Errorf("in: %w", fault.New(fault.Conflict, "mine", "x")), fault.Conflict, "mine", false},
	} {
		got := wrap(test.err, "do it")
		wantCode(t, got, test.kind, test.code)
		if !errors.Is(got, test.err) && sqlState(got) != sqlState(test.err) {
			t.Errorf("%v: the cause is lost", test.err)
		}
		if repeatable(test.err) != test.repeatable {
			t.Errorf("%v: repeatable is %v", test.err, !test.repeatable)
		}
	}
	if wrap(nil, "do it") != nil {
		t.Error("no error became one")
	}
}

func TestListed(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, test := range []struct {
		names []string
		most  int
		want  string
	}{
		{nil, 3, "none"},
		{[]string{"a"}, 3, "a"},
		{[]string{"a", "b", "c"}, 3, "a, b, c"},
		{[]string{"a", "b", "c", "d", "e"}, 3, "a, b, c and 2 more"},
		{[]string{long, long, long}, 3, long + " and 2 more"},
	} {
		if got := listed(test.names, test.most); got != test.want {
			t.Errorf("%q: %q, want %q", test.names, got, test.want)
		}
	}
}

// TestDesiredKeepsItsContent: what is read back is the same desired state, or
// hub and agent would not mean the same by one generation.
func TestDesiredKeepsItsContent(t *testing.T) {
	on, limit := true, int64(3)
	d := model.Desired{
		App: "a", Name: "shop", Bundle: "sha256:x", Revision: model.Revision{Commit: "c", Message: "<b> & \u2028 \x00 é"},
		Spec: model.DesiredSpec{
			SyncPolicy:           &model.SyncPolicy{Automated: &model.AutomatedSync{Enabled: &on}, SyncOptions: []string{}},
			IgnoreDifferences:    []model.IgnoreDifferences{{Kind: "Deployment", JSONPointers: []string{"/spec/replicas"}}},
			RevisionHistoryLimit: &limit,
		},
		ProjectSpec: model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{}},
	}
	doc, err := document(d)
	must(t, err)
	got, err := desiredFrom(doc, 7, 9)
	must(t, err)
	if got.Content() != d.Content() || got.Generation != 7 || got.BundleBytes != 9 {
		t.Errorf("%+v", got)
	}
}
