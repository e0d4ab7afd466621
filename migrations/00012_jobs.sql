-- +goose Up

-- Requests that were made under an idempotency key, for a day. The status is 0
-- while one is under way.
CREATE TABLE requests (
    caller     text        NOT NULL,
    key        text        NOT NULL,
    digest     bytea       NOT NULL,
    status     integer     NOT NULL DEFAULT 0,
    answer     bytea,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX requests_created ON requests (created_at);

-- Commands to many applications.
CREATE TABLE jobs (
    id           text        PRIMARY KEY,
    kind         text        NOT NULL,
    spec         jsonb,
    phase        text        NOT NULL DEFAULT 'Running',
    initiated_by text        NOT NULL,
    -- The idempotency key that it was submitted under, with its caller, and what was asked for.
    request      text        UNIQUE,
    digest       bytea,
    token        text        NOT NULL,
    cancelled_by text        NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz
);
CREATE INDEX jobs_running ON jobs (id) WHERE phase = 'Running';
CREATE INDEX jobs_finished ON jobs (finished_at);

CREATE TABLE job_items (
    job         text        NOT NULL REFERENCES jobs ON DELETE CASCADE,
    number      integer     NOT NULL,
    application text        NOT NULL,
    phase       text        NOT NULL DEFAULT 'Pending',
    operation   text        NOT NULL DEFAULT '',
    code        text        NOT NULL DEFAULT '',
    message     text        NOT NULL DEFAULT '',
    finished_at timestamptz,
    PRIMARY KEY (job, number)
);
CREATE INDEX job_items_pending ON job_items (job, number) WHERE phase = 'Pending';
