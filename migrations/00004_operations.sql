-- +goose Up

-- Rises with each operation; taken under the lock of the application's row, so
-- that the order of the numbers is the order of the commits per application.
CREATE SEQUENCE operation_seq;

-- Operations outlive their application: no foreign key.
CREATE TABLE operations (
    id              text        PRIMARY KEY,
    seq             bigint      NOT NULL UNIQUE,
    app_uid         text        NOT NULL,
    app_name        text        NOT NULL,
    cluster_id      text        NOT NULL,
    kind            text        NOT NULL,
    spec            json        NOT NULL,
    phase           text        NOT NULL,
    message         text        NOT NULL DEFAULT '',
    result          json,
    initiated_by    text        NOT NULL DEFAULT '',
    idempotency_key text        UNIQUE,
    terminating     boolean     NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL,
    started_at      timestamptz,
    finished_at     timestamptz,
    deadline        timestamptz,
    open            boolean     NOT NULL GENERATED ALWAYS AS (phase IN ('Queued', 'Sent', 'Running')) STORED,
    CHECK (phase IN ('Queued', 'Sent', 'Running', 'Succeeded', 'Failed', 'Superseded', 'Expired', 'Terminated'))
);
CREATE INDEX operations_app ON operations (app_uid, seq DESC);
CREATE INDEX operations_cluster ON operations (cluster_id, seq DESC);
CREATE INDEX operations_open ON operations (cluster_id, seq) WHERE open;
CREATE INDEX operations_open_app ON operations (app_uid, seq) WHERE open;

CREATE TABLE withdrawals (
    app_uid       text        PRIMARY KEY REFERENCES apps (uid),
    cluster_id    text        NOT NULL REFERENCES clusters (id),
    name          text        NOT NULL,
    generation    bigint      NOT NULL CHECK (generation > 0),
    mode          text        NOT NULL CHECK (mode IN ('orphan', 'cascade', 'cascade-background')),
    operation_id  text        NOT NULL REFERENCES operations (id),
    operation_seq bigint      NOT NULL,
    created_at    timestamptz NOT NULL
);
CREATE INDEX withdrawals_cluster ON withdrawals (cluster_id);

-- Applications whose deletion was carried out: an agent that still names one is
-- late, not a sign of a restored database.
CREATE TABLE tombstones (
    app_uid      text        PRIMARY KEY,
    cluster_id   text        NOT NULL,
    name         text        NOT NULL,
    generation   bigint      NOT NULL,
    operation_id text        NOT NULL,
    at           timestamptz NOT NULL
);
CREATE INDEX tombstones_cluster ON tombstones (cluster_id);
