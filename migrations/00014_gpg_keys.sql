-- +goose Up

-- Public GnuPG keys that projects may trust for signed commits and tags.
CREATE TABLE gpg_keys (
    fingerprint text PRIMARY KEY,
    key_id      text NOT NULL UNIQUE,
    document    jsonb NOT NULL,
    added_by    text NOT NULL DEFAULT '',
    added_at    timestamptz NOT NULL
);
