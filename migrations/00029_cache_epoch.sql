-- +goose Up

-- A word that changes every second while hubs share a cache, and at once when a
-- token or session is taken back: what was put into the cache under an older one is
-- not looked for any more.
CREATE TABLE cache_epoch (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    uuid        NOT NULL,
    at       timestamptz NOT NULL
);
