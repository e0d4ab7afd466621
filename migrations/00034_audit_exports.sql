-- +goose Up

-- How far each receiver of audit records has come. One hub at a time sends to it:
-- the one that holds it, until held_until.
CREATE TABLE audit_exports (
    receiver   text        PRIMARY KEY,
    seq        bigint      NOT NULL DEFAULT 0,
    hash       bytea       NOT NULL DEFAULT '',
    holder     text        NOT NULL DEFAULT '',
    held_until timestamptz NOT NULL DEFAULT '-infinity'
);
