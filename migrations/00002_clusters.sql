-- +goose Up

CREATE TABLE clusters (
    id               text        PRIMARY KEY,
    name             text        NOT NULL UNIQUE,
    labels           jsonb       NOT NULL DEFAULT '{}',
    project          text        NOT NULL DEFAULT '',
    aliases          text[]      NOT NULL DEFAULT '{}',
    revoked          boolean     NOT NULL DEFAULT false,
    created_at       timestamptz NOT NULL,
    enrolled_at      timestamptz,
    cert_not_after   timestamptz,
    -- what its agent says of it
    agent_version    text        NOT NULL DEFAULT '',
    kube_version     text        NOT NULL DEFAULT '',
    platform         text        NOT NULL DEFAULT '',
    nodes            integer     NOT NULL DEFAULT 0,
    namespaces       integer     NOT NULL DEFAULT 0,
    conditions       text[]      NOT NULL DEFAULT '{}',
    api_resources    text[]      NOT NULL DEFAULT '{}',
    namespaced_kinds text[]      NOT NULL DEFAULT '{}',
    observed_at      timestamptz,
    -- applications that the agent holds and the hub does not know
    unknown_apps     json        NOT NULL DEFAULT '[]'
);
CREATE INDEX clusters_aliases ON clusters USING gin (aliases);

CREATE TABLE enrolment_tokens (
    id         text        PRIMARY KEY,
    hash       bytea       NOT NULL UNIQUE,
    cluster    text        NOT NULL,
    labels     jsonb       NOT NULL DEFAULT '{}',
    project    text        NOT NULL DEFAULT '',
    created_by text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    used_from  text        NOT NULL DEFAULT ''
);

CREATE TABLE certificates (
    serial     text        PRIMARY KEY,
    cluster_id text        NOT NULL REFERENCES clusters (id),
    not_before timestamptz NOT NULL,
    not_after  timestamptz NOT NULL,
    revoked    boolean     NOT NULL DEFAULT false
);
CREATE INDEX certificates_cluster ON certificates (cluster_id);

-- One row per cluster that ever had a session: the lease of the newest one.
-- Whoever writes on behalf of a session names its epoch in the WHERE clause.
CREATE TABLE sessions (
    cluster_id  text        PRIMARY KEY REFERENCES clusters (id),
    incarnation bigint      NOT NULL,
    number      bigint      NOT NULL,
    instance    text        NOT NULL DEFAULT '',
    opened_at   timestamptz NOT NULL,
    closed_at   timestamptz,
    last_seen   timestamptz NOT NULL,
    -- every report up to report_seq still held at confirmed_at
    report_seq   bigint     NOT NULL DEFAULT 0,
    confirmed_at timestamptz
) WITH (fillfactor = 50);
