-- +goose Up

-- The last attempt to enrol with a token that failed, for whoever waits for the cluster.
ALTER TABLE enrolment_tokens
    ADD COLUMN refused_at      timestamptz,
    ADD COLUMN refused_from    text NOT NULL DEFAULT '',
    ADD COLUMN refused_code    text NOT NULL DEFAULT '',
    ADD COLUMN refused_message text NOT NULL DEFAULT '';
