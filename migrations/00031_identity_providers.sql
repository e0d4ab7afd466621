-- +goose Up

-- OpenID Connect providers. The secret of the client is sealed.
CREATE TABLE identity_providers (
    name       text        PRIMARY KEY,
    document   jsonb       NOT NULL,
    sealed     bytea,
    version    bigint      NOT NULL,
    changed_by text        NOT NULL,
    changed_at timestamptz NOT NULL
);
-- Numbers of versions are not used again when a provider is deleted and made anew.
CREATE SEQUENCE identity_provider_versions;

-- Logins that have begun and not ended, by the hash of the secret that ends each.
CREATE TABLE external_logins (
    hash       bytea       PRIMARY KEY,
    kind       text        NOT NULL,
    provider   text        NOT NULL REFERENCES identity_providers (name) ON DELETE CASCADE,
    sealed     bytea       NOT NULL,
    due        timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX external_logins_expires ON external_logins (expires_at);
CREATE INDEX login_sessions_provider ON login_sessions (provider);

CREATE TRIGGER vault_check BEFORE INSERT OR UPDATE OF sealed ON identity_providers FOR EACH ROW EXECUTE FUNCTION vault_check_sealed();
CREATE TRIGGER vault_check BEFORE INSERT OR UPDATE OF sealed ON external_logins FOR EACH ROW EXECUTE FUNCTION vault_check_sealed();
