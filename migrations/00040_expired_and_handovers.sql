-- +goose Up

-- Handovers of the key that signs audit records are a handful among millions, and are
-- asked for with each export and verification.
CREATE INDEX audit_handover ON audit (seq) WHERE kind = 'handover';

-- What has expired is looked for every hour.
CREATE INDEX api_tokens_expires ON api_tokens (expires_at);
CREATE INDEX role_tokens_expires ON role_tokens (expires_at);
CREATE INDEX enrolment_tokens_expires ON enrolment_tokens (expires_at);
