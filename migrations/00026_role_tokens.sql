-- +goose Up

-- Tokens of roles of projects. A role that a project has no more takes them with
-- it, in the transaction that removes it: one that is made anew under the name has
-- none.
CREATE TABLE role_tokens (
    id         text        PRIMARY KEY,
    project    text        NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    role       text        NOT NULL,
    name       text        NOT NULL DEFAULT '',
    hash       bytea       NOT NULL UNIQUE,
    created_by text        NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used  timestamptz
);
CREATE INDEX role_tokens_role ON role_tokens (project, role);
CREATE UNIQUE INDEX role_tokens_name ON role_tokens (project, role, name) WHERE name <> '';
