-- +goose Up

-- Documents that people or agents wrote are of type json, not jsonb: they are
-- never searched by content, come back byte for byte, and a character escape
-- that jsonb refuses (\u0000) cannot block a whole batch.

CREATE TABLE hub (
    only_row              boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    hub_id                text        NOT NULL,
    incarnation           bigint      NOT NULL CHECK (incarnation > 0),
    incarnation_signature bytea       NOT NULL,
    hold_deletes          boolean     NOT NULL DEFAULT false,
    created_at            timestamptz NOT NULL DEFAULT now()
);

-- Numbers of agent sessions; with the incarnation they make an epoch.
CREATE SEQUENCE session_epoch;

-- Keys of the hub itself, sealed.
CREATE TABLE secrets (
    name       text        PRIMARY KEY,
    sealed     bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_tokens (
    id         text        PRIMARY KEY,
    name       text        NOT NULL,
    hash       bytea       NOT NULL UNIQUE,
    admin      boolean     NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used  timestamptz
);
