-- +goose Up

-- Settings for the whole fleet, one row for each version; the highest is in
-- force.
CREATE TABLE settings (
    name       text        NOT NULL,
    version    bigint      NOT NULL CHECK (version > 0),
    document   json        NOT NULL,
    changed_by text        NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (name, version)
);

-- What its agent has stored of them.
ALTER TABLE clusters
    ADD COLUMN settings_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN settings_digest  text   NOT NULL DEFAULT '';
