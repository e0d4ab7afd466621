-- +goose Up

-- The server URLs that are to mean the cluster when it enrols.
ALTER TABLE enrolment_tokens ADD COLUMN aliases text[] NOT NULL DEFAULT '{}';
