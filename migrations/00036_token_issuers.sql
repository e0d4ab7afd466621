-- +goose Up

-- Who issued an API token at an identity provider, and is named so by it. Groups are
-- those of the issuer's newest login. A token goes with its provider.
ALTER TABLE api_tokens
    ADD COLUMN provider text REFERENCES identity_providers (name) ON DELETE CASCADE,
    ADD COLUMN subject  text,
    ADD COLUMN issuer   text,
    ADD COLUMN groups   text[] NOT NULL DEFAULT '{}',
    ADD CHECK ((provider IS NULL) = (subject IS NULL) AND (provider IS NULL) = (issuer IS NULL)),
    ADD CHECK (provider IS NULL OR owner IS NULL);
CREATE INDEX api_tokens_provider ON api_tokens (provider, subject) WHERE provider IS NOT NULL;
