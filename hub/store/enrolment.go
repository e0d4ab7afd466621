package store

import (
	"context"
	"errors"
	"fmt"
	"github.com/hawser-dev/hawser/shared/audit"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// CreateEnrolmentToken stores a token by its hash.
func (s *Store) CreateEnrolmentToken(ctx context.Context, t fleet.EnrolmentToken) error {
	_, err := s.pool.Exec(ctx, q("CreateEnrolmentToken"), t.ID, t.Hash, t.Cluster, labels(t.Labels), aliases(t.Aliases), t.Project, t.CreatedBy, t.CreatedAt, t.ExpiresAt)
	if sqlState(err) == codeUnique {
		return fault.New(fault.Conflict, "enrolment_token_exists", "the enrolment token %s exists", t.ID)
	}
	return wrap(err, "store the enrolment token")
}

// EnrolmentTokens lists all tokens, newest first.
func (s *Store) EnrolmentTokens(ctx context.Context) ([]fleet.EnrolmentToken, error) {
	rows, err := s.pool.Query(ctx, q("EnrolmentTokens"))
	if err != nil {
		return nil, wrap(err, "list enrolment tokens")
	}
	out, err := pgx.CollectRows(rows, scanEnrolmentToken)
	return out, wrap(err, "list enrolment tokens")
}

func scanEnrolmentToken(r pgx.CollectableRow) (t fleet.EnrolmentToken, err error) {
	var refusedAt *time.Time
	var refused fleet.EnrolmentRefusal
	var preflightAt *time.Time
	var preflight fleet.EnrolmentPreflight
	err = r.Scan(&t.ID, &t.Hash, &t.Cluster, &t.Labels, &t.Aliases, &t.Project, &t.CreatedBy, &t.CreatedAt, &t.ExpiresAt, &t.UsedAt, &t.UsedFrom,
		&refusedAt, &refused.From, &refused.Code, &refused.Message,
		&preflightAt, &preflight.From, &preflight.AgentVersion, &preflight.Checks)
	t.CreatedAt, t.ExpiresAt, t.UsedAt = t.CreatedAt.UTC(), t.ExpiresAt.UTC(), utc(t.UsedAt)
	if refusedAt != nil {
		refused.At = refusedAt.UTC()
		t.Refused = &refused
	}
	if preflightAt != nil {
		preflight.At = preflightAt.UTC()
		t.Preflight = &preflight
	}
	return t, err
}

// DeleteEnrolmentToken removes a token. NotFound (enrolment_token_unknown).
func (s *Store) DeleteEnrolmentToken(ctx context.Context, id string) error {
	tag, err := s.pool.Exec(ctx, q("DeleteEnrolmentToken"), id)
	if err == nil && tag.RowsAffected() == 0 {
		return notFound("enrolment_token_unknown", "there is no enrolment token %q", id)
	}
	return wrap(err, "delete the enrolment token")
}

// Enrol redeems a token and records the certificate that issue makes for the
// cluster, in one transaction: a token whose transaction failed is unused. A
// cluster of that name keeps its id; its older certificates are revoked. An
// empty clusterName means the token's.
//
// Codes, all Unauthorized: enrolment_token_unknown, enrolment_token_used,
// enrolment_token_expired, enrolment_token_other_cluster; and Conflict
// agent_key_in_use when the key is another cluster's.
func (s *Store) Enrol(ctx context.Context, tokenHash []byte, clusterName, from string, issue func(model.ClusterID) (fleet.Certificate, error)) (model.Cluster, error) {
	if err := s.learnBegunKey(ctx); err != nil {
		return model.Cluster{}, wrap(err, "enrol the cluster")
	}
	var id model.ClusterID
	err := s.tx(ctx, "enrol the cluster", func(tx pgx.Tx) error {
		now := s.now()
		rows, err := tx.Query(ctx, q("LockEnrolmentToken"), tokenHash)
		if err != nil {
			return err
		}
		token, err := theEnrolmentToken(rows)
		if err != nil {
			return err
		}
		if err := redeemable(token, clusterName, now); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, q("UseEnrolmentToken"), token.ID, now, text(from)); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, q("EnrolCluster"), uuid.NewString(), token.Cluster, labels(token.Labels), aliases(token.Aliases), token.Project, now).Scan(&id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, q("RevokeCertificates"), id); err != nil {
			return err
		}
		cert, err := issue(id)
		if err != nil {
			return err
		}
		cert.Cluster = id
		if err := recordCertificate(ctx, tx, cert, now); err != nil {
			return err
		}
		return s.beginCertificate(ctx, tx, cert, audit.Record{Action: "enrolCluster", Verb: "create", Cluster: token.Cluster, Name: token.Cluster, From: from,
			Actor: "agent of " + token.Cluster, ActorID: string(id), Reason: fmt.Sprintf("token %s of %s, certificate %s", token.ID, token.CreatedBy, cert.Serial)})
	})
	if err != nil {
		s.refuse(ctx, tokenHash, from, err)
		return model.Cluster{}, err
	}
	return s.Cluster(ctx, string(id))
}

func theEnrolmentToken(rows pgx.Rows) (fleet.EnrolmentToken, error) {
	token, err := pgx.CollectExactlyOneRow(rows, scanEnrolmentToken)
	if errors.Is(err, pgx.ErrNoRows) {
		return token, fault.New(fault.Unauthorized, "enrolment_token_unknown", "the enrolment token is not known").
			WithFix("mint one with: hawser cluster enroll NAME")
	}
	return token, err
}

// NotePreflight keeps what an agent found beside its token, which is not used up by
// it. A token that could not enrol is refused as Enrol does, and nothing is written.
func (s *Store) NotePreflight(ctx context.Context, tokenHash []byte, clusterName string, p fleet.EnrolmentPreflight) error {
	rows, err := s.pool.Query(ctx, q("EnrolmentToken"), tokenHash)
	if err != nil {
		return wrap(err, "read the enrolment token")
	}
	token, err := theEnrolmentToken(rows)
	if err != nil {
		return wrap(err, "read the enrolment token")
	}
	now := s.now()
	if err := redeemable(token, clusterName, now); err != nil {
		return err
	}
	checks := make([]model.PreflightCheck, len(p.Checks))
	for i, c := range p.Checks {
		checks[i] = model.PreflightCheck{Check: text(c.Check), Outcome: c.Outcome, Code: text(c.Code), Message: text(c.Message), Fix: text(c.Fix)}
	}
	_, err = s.pool.Exec(ctx, q("NotePreflight"), token.ID, now, text(p.From), text(p.AgentVersion), checks)
	return wrap(err, "keep what the preflight found")
}

// maxRefusal is how much of a message is kept.
const maxRefusal = 500

// refuse notes at a token why an attempt with it failed, for whoever waits for the
// cluster. When that cannot be written there is still the answer to the agent, and
// the log.
func (s *Store) refuse(ctx context.Context, tokenHash []byte, from string, err error) {
	f := fault.As(err)
	if f == nil || f.Kind == fault.Unavailable || f.Code == "enrolment_token_unknown" {
		return
	}
	message := f.Message
	if len(message) > maxRefusal {
		message = strings.ToValidUTF8(message[:maxRefusal], "")
	}
	_, _ = s.pool.Exec(ctx, q("RefuseEnrolment"), tokenHash, s.now(), text(from), f.Code, text(message))
}

func redeemable(t fleet.EnrolmentToken, clusterName string, now time.Time) error {
	refuse := func(code, format string, args ...any) error {
		return fault.New(fault.Unauthorized, code, format, args...).WithFix("mint a new one with: hawser cluster enroll %s", t.Cluster)
	}
	switch {
	case t.UsedAt != nil:
		return refuse("enrolment_token_used", "the enrolment token was used at %s; it works once", t.UsedAt.Format(time.RFC3339))
	case !now.Before(t.ExpiresAt):
		return refuse("enrolment_token_expired", "the enrolment token expired at %s", t.ExpiresAt.Format(time.RFC3339))
	case clusterName != "" && clusterName != t.Cluster:
		return fault.New(fault.Unauthorized, "enrolment_token_other_cluster", "the enrolment token is for another cluster than %q", clusterName).
			WithFix("use the name that the token was minted for, or mint one for this name")
	}
	return nil
}

// RecordCertificate stores a certificate that was issued at renewal; it becomes
// the one whose end is shown. Conflict (agent_key_in_use) when its key is another
// cluster's.
func (s *Store) RecordCertificate(ctx context.Context, c fleet.Certificate) error {
	if err := s.learnBegunKey(ctx); err != nil {
		return wrap(err, "record the certificate")
	}
	return s.tx(ctx, "record the certificate", func(tx pgx.Tx) error {
		if err := recordCertificate(ctx, tx, c, s.now()); err != nil {
			return err
		}
		return s.beginCertificate(ctx, tx, c, audit.Record{Action: "renewCertificate", Verb: "update", Name: string(c.Cluster), Actor: "agent", ActorID: string(c.Cluster), Reason: "certificate " + c.Serial})
	})
}

// beginCertificate begins the audit record of a certificate, in the transaction that
// stores it: there is none without a record. fleet.CertificateRecord ends it.
func (s *Store) beginCertificate(ctx context.Context, tx pgx.Tx, c fleet.Certificate, r audit.Record) error {
	r.Kind, r.Resource, r.Outcome = audit.Command, "clusters", audit.Unknown
	return s.beginAudit(ctx, tx, fleet.CertificateRecord(c.Serial), r)
}

func recordCertificate(ctx context.Context, tx pgx.Tx, c fleet.Certificate, now time.Time) error {
	// First the cluster's row, as everywhere.
	tag, err := tx.Exec(ctx, q("CertificateNotAfter"), c.Cluster, c.NotAfter)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return clusterUnknown(string(c.Cluster))
	}
	if c.Fingerprint != "" {
		if err := bindKey(ctx, tx, c.Cluster, c.Fingerprint, now); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, q("InsertCertificate"), c.Serial, c.Cluster, c.NotBefore, c.NotAfter, c.Fingerprint)
	if sqlState(err) == codeUnique {
		return fault.New(fault.Conflict, "certificate_exists", "a certificate with this serial number is recorded")
	}
	return err
}

// bindKey makes a key the cluster's, which it may be already.
func bindKey(ctx context.Context, tx pgx.Tx, cluster model.ClusterID, fingerprint string, now time.Time) error {
	err := tx.QueryRow(ctx, q("BindAgentKey"), fingerprint, cluster, now).Scan(nil)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.Conflict, "agent_key_in_use", "the agent's key belongs to another cluster").
			WithFix("give each agent a key of its own: remove the agent's stored identity and enrol it again")
	}
	return err
}

// BindKey notes the key of a certificate that was recorded without. Conflict
// (agent_key_in_use) when it is another cluster's.
func (s *Store) BindKey(ctx context.Context, c fleet.Certificate) error {
	return s.tx(ctx, "note the agent's key", func(tx pgx.Tx) error {
		if err := bindKey(ctx, tx, c.Cluster, c.Fingerprint, s.now()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, q("CertificateFingerprint"), c.Serial, c.Fingerprint)
		return err
	})
}

// CertificateState reads a certificate; Revoked is also set when its cluster is
// revoked. NotFound (certificate_unknown).
func (s *Store) CertificateState(ctx context.Context, serial string) (fleet.Certificate, error) {
	var c fleet.Certificate
	err := s.pool.QueryRow(ctx, q("CertificateState"), serial).Scan(&c.Serial, &c.Cluster, &c.NotBefore, &c.NotAfter, &c.Revoked, &c.Fingerprint)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, notFound("certificate_unknown", "the hub has not issued a certificate with this serial number")
	}
	c.NotBefore, c.NotAfter = c.NotBefore.UTC(), c.NotAfter.UTC()
	return c, wrap(err, "read the certificate")
}

// aliases never stores NULL.
func aliases(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// labels never stores NULL.
func labels(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
