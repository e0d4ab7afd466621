-- +goose Up

-- What an agent measured last between a heartbeat and its answer, in microseconds, and
-- how far its clock is ahead of the hub's, in milliseconds; NULL as long as none said.
ALTER TABLE sessions
    ADD COLUMN round_trip_us  bigint,
    ADD COLUMN clock_ahead_ms bigint;

-- When a cluster's agent came and went, and why. Of each cluster the newest are kept.
CREATE TABLE connection_log (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id text        NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    at         timestamptz NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('connected', 'lost')),
    code       text        NOT NULL DEFAULT '',
    message    text        NOT NULL DEFAULT ''
);
CREATE INDEX connection_log_cluster ON connection_log (cluster_id, id);
