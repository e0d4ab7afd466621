-- +goose Up

-- What an agent found before it enrolled, for whoever waits for the cluster: a list
-- of checks. NULL when none has told.
ALTER TABLE enrolment_tokens
    ADD COLUMN preflight_at      timestamptz,
    ADD COLUMN preflight_from    text NOT NULL DEFAULT '',
    ADD COLUMN preflight_version text NOT NULL DEFAULT '',
    ADD COLUMN preflight         jsonb;
