-- +goose Up

-- ApplicationSets are kept as they were written. project is the one that all
-- their applications belong to; it is null when an expression decides.
CREATE TABLE applicationsets (
    name       text        PRIMARY KEY,
    project    text        REFERENCES projects (name),
    document   json        NOT NULL,
    version    bigint      NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX applicationsets_project ON applicationsets (project);
