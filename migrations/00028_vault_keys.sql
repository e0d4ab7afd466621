-- +goose Up

-- Versions of the key that values are sealed with. A database without rows seals
-- with the first key of the hub's key file. The version is what a sealed value
-- carries in its bytes 2 to 5.
CREATE TABLE vault_keys (
    version    bytea       PRIMARY KEY CHECK (length(version) = 4),
    -- The key, sealed with one of the key file; NULL for one of the file itself,
    -- and for one that is retired.
    wrapped    bytea,
    state      text        NOT NULL CHECK (state IN ('announced', 'sealing', 'opening', 'retired')),
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    sealing_at timestamptz,
    retired_at timestamptz
);
CREATE UNIQUE INDEX vault_keys_one ON vault_keys (state) WHERE state IN ('announced', 'sealing');

-- Which hubs run, and which versions each of them opens.
CREATE TABLE vault_readers (
    instance text        PRIMARY KEY,
    versions bytea[]     NOT NULL,
    seen_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Nothing is stored that is sealed with a retired version: a hub that slept through
-- a rotation is refused rather than believed. Who retires a version holds the lock
-- alone, so that no transaction is under way that has not seen it.
-- +goose StatementBegin
CREATE FUNCTION vault_check(value bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF value IS NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(7318442011907528);
    IF EXISTS (SELECT 1 FROM vault_keys k WHERE k.state = 'retired' AND k.version = substring(value FROM 2 FOR 4)) THEN
        RAISE EXCEPTION 'the key that this value is sealed with is retired' USING ERRCODE = 'HW001';
    END IF;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION vault_check_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM vault_check(NEW.sealed);
    RETURN NEW;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION vault_check_credential() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM vault_check(NEW.credential);
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER vault_check BEFORE INSERT OR UPDATE OF sealed ON secrets FOR EACH ROW EXECUTE FUNCTION vault_check_sealed();
CREATE TRIGGER vault_check BEFORE INSERT OR UPDATE OF sealed ON bundles FOR EACH ROW EXECUTE FUNCTION vault_check_sealed();
CREATE TRIGGER vault_check BEFORE INSERT OR UPDATE OF sealed ON first_login FOR EACH ROW EXECUTE FUNCTION vault_check_sealed();
CREATE TRIGGER vault_check BEFORE INSERT OR UPDATE OF credential ON repositories FOR EACH ROW EXECUTE FUNCTION vault_check_credential();
CREATE TRIGGER vault_check BEFORE INSERT OR UPDATE OF credential ON repository_templates FOR EACH ROW EXECUTE FUNCTION vault_check_credential();

-- The functions look at the tables of their own schema, whoever writes.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION vault_check(bytea) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION vault_check_sealed() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION vault_check_credential() SET search_path = %I, pg_temp', current_schema());
END $$;
-- +goose StatementEnd
