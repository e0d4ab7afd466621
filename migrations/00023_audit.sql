-- +goose Up

-- What people and programs did, and what came of it. Rows are only ever added:
-- each holds the hash of the one before it, and is signed with a key that is
-- not in the database in the clear. The columns after the signature are made by
-- the database of the record itself, so that they cannot say something else.
-- A record belongs to the month in which it was made, or to the one of the record
-- before it if that is later: a clock that is set back does not reorder the chain.
CREATE TABLE audit (
    part      date        NOT NULL,
    seq       bigint      NOT NULL,
    at        timestamptz NOT NULL,
    record    text        NOT NULL,
    hash      bytea       NOT NULL,
    signature bytea       NOT NULL,
    kind      text GENERATED ALWAYS AS (record::jsonb ->> 'kind') STORED,
    actor     text GENERATED ALWAYS AS (record::jsonb ->> 'actor') STORED,
    action    text GENERATED ALWAYS AS (record::jsonb ->> 'action') STORED,
    resource  text GENERATED ALWAYS AS (record::jsonb ->> 'resource') STORED,
    project   text GENERATED ALWAYS AS (record::jsonb ->> 'project') STORED,
    cluster   text GENERATED ALWAYS AS (record::jsonb ->> 'cluster') STORED,
    name      text GENERATED ALWAYS AS (record::jsonb ->> 'name') STORED,
    outcome   text GENERATED ALWAYS AS (record::jsonb ->> 'outcome') STORED,
    request   text GENERATED ALWAYS AS (record::jsonb ->> 'request') STORED,
    operation text GENERATED ALWAYS AS (record::jsonb ->> 'operation') STORED,
    PRIMARY KEY (seq, part)
) PARTITION BY RANGE (part);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_name ON audit (name, seq);
CREATE INDEX audit_request ON audit (request) WHERE request IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit records are not changed' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_not_truncated BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
-- Not even the owner, unless he first gives it to himself.
REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM PUBLIC, CURRENT_USER;

-- Makes the partition of a month. It runs as the owner of the table, so that the
-- hub need not be that.
-- +goose StatementBegin
CREATE FUNCTION audit_partition(day date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    month date := date_trunc('month', day)::date;
    part  text := 'audit_' || to_char(day, 'YYYY_MM');
BEGIN
    IF month > (clock_timestamp() AT TIME ZONE 'UTC')::date + 31 THEN
        RAISE EXCEPTION 'the month % has not come', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(7318442011907514);
    IF to_regclass(part) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF audit FOR VALUES FROM (%L) TO (%L)', part, month, (month + interval '1 month')::date);
    EXECUTE format('CREATE TRIGGER audit_not_truncated BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()', part);
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %I FROM PUBLIC, CURRENT_USER', part);
END $$;
-- +goose StatementEnd

-- Drops the partition of the oldest month. The hub says how long records are kept,
-- and no hub may say less than 90 days by the clock of the database.
-- +goose StatementBegin
CREATE FUNCTION audit_drop(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF month + interval '1 month' > (clock_timestamp() AT TIME ZONE 'UTC') - interval '90 days' THEN
        RAISE EXCEPTION 'audit records are kept for at least 90 days' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT 1 FROM audit a WHERE a.part < month) THEN
        RAISE EXCEPTION 'older audit records go first' USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('DROP TABLE %I', 'audit_' || to_char(month, 'YYYY_MM'));
END $$;
-- +goose StatementEnd

-- Who calls these functions has no say in which tables they mean.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_partition(date) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION audit_drop(date) SET search_path = %I, pg_temp', current_schema());
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION audit_partition(date), audit_drop(date) FROM PUBLIC;

-- Commands that were let in and have no record yet. What stays here is of a hub
-- that was killed between a command and its record.
CREATE TABLE audit_pending (
    id       text        PRIMARY KEY,
    record   text        NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX audit_pending_begun ON audit_pending (begun_at);

-- Whether the end of an operation has its record. Those that ended before there
-- were records have none.
ALTER TABLE operations ADD COLUMN audited boolean NOT NULL DEFAULT true;
ALTER TABLE operations ALTER COLUMN audited SET DEFAULT false;
UPDATE operations SET audited = false WHERE open;
CREATE INDEX operations_unaudited ON operations (seq) WHERE NOT audited AND NOT open;
