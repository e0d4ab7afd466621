-- +goose Up

-- People who log in with a password. The hash has its parameters in it.
CREATE TABLE users (
    id                  text        PRIMARY KEY,
    name                text        NOT NULL UNIQUE,
    password            text        NOT NULL,
    enabled             boolean     NOT NULL DEFAULT true,
    admin               boolean     NOT NULL DEFAULT false,
    grants              jsonb       NOT NULL DEFAULT '[]',
    created_at          timestamptz NOT NULL,
    password_changed_at timestamptz NOT NULL,
    last_login          timestamptz
);

-- Sessions of people who are logged in. One that is deleted ends at every hub
-- when it is next looked up. user_id is null for people whom an identity
-- provider vouches for.
CREATE TABLE login_sessions (
    id               text        PRIMARY KEY,
    hash             bytea       NOT NULL UNIQUE,
    user_id          text        REFERENCES users (id) ON DELETE CASCADE,
    provider         text        NOT NULL,
    subject          text        NOT NULL,
    name             text        NOT NULL,
    groups           text[]      NOT NULL DEFAULT '{}',
    browser          boolean     NOT NULL,
    created_at       timestamptz NOT NULL,
    authenticated_at timestamptz NOT NULL,
    seen_at          timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL
);
CREATE INDEX login_sessions_user ON login_sessions (user_id);
CREATE INDEX login_sessions_expires ON login_sessions (expires_at);

-- Failed logins in a fixed window: of a user, of a bucket of names that nobody
-- has, of an address.
CREATE TABLE login_attempts (
    key    text        PRIMARY KEY,
    count  integer     NOT NULL,
    until  timestamptz NOT NULL
);
CREATE INDEX login_attempts_until ON login_attempts (until);

-- The one-time code of the first administrator, until it is used.
CREATE TABLE first_login (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    hash       bytea       NOT NULL,
    sealed     bytea       NOT NULL,
    expires_at timestamptz NOT NULL
);

-- The user who issued a token; it works while he may log in.
ALTER TABLE api_tokens ADD COLUMN owner text REFERENCES users (id) ON DELETE CASCADE;
