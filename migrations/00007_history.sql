-- +goose Up

-- What was deployed, and rollbacks.

-- Desired states as they were issued, as long as a deployment of them may still
-- be reported. Who and why are set where it is the hub that knows.
CREATE TABLE issued (
    app_uid      text   NOT NULL REFERENCES apps (uid),
    generation   bigint NOT NULL CHECK (generation > 0),
    bundle       text   NOT NULL REFERENCES bundles (digest),
    bundle_bytes bigint NOT NULL,
    revision     json   NOT NULL,
    sources      json,
    initiated_by text   NOT NULL DEFAULT '',
    reason       text   NOT NULL DEFAULT '',
    operation_id text   NOT NULL DEFAULT '',
    rollback     json,
    PRIMARY KEY (app_uid, generation)
);
CREATE INDEX issued_bundle ON issued (bundle);

CREATE TABLE deployments (
    app_uid      text        NOT NULL REFERENCES apps (uid),
    id           bigint      NOT NULL CHECK (id > 0),
    generation   bigint      NOT NULL CHECK (generation > 0),
    -- NULL: the hub does not hold the manifests
    bundle       text        REFERENCES bundles (digest),
    bundle_bytes bigint      NOT NULL DEFAULT 0,
    revision     json        NOT NULL,
    sources      json,
    initiated_by text        NOT NULL DEFAULT '',
    reason       text        NOT NULL DEFAULT '',
    operation_id text        NOT NULL DEFAULT '',
    rollback     json,
    started_at   timestamptz NOT NULL,
    deployed_at  timestamptz NOT NULL,
    PRIMARY KEY (app_uid, id)
);
CREATE INDEX deployments_bundle ON deployments (bundle);

-- How far the history was taken from the agent, and the highest number given.
ALTER TABLE apps
    ADD COLUMN history_id         bigint NOT NULL DEFAULT 0,
    ADD COLUMN history_generation bigint NOT NULL DEFAULT 0,
    ADD COLUMN history_at         timestamptz;

-- fleet.Pin: the rollback that is in force.
CREATE TABLE pins (
    app_uid  text PRIMARY KEY REFERENCES apps (uid),
    bundle   text NOT NULL REFERENCES bundles (digest),
    document json NOT NULL
);
CREATE INDEX pins_bundle ON pins (bundle);

-- What the last good render was of: fleet.SourceAt, a list.
ALTER TABLE app_sources ADD COLUMN sources json;

-- The desired state that an operation is about; 0 for whichever is the newest.
ALTER TABLE operations ADD COLUMN generation bigint NOT NULL DEFAULT 0;
ALTER TABLE withdrawals ADD COLUMN approve_deletions boolean NOT NULL DEFAULT false;

INSERT INTO issued (app_uid, generation, bundle, bundle_bytes, revision)
SELECT app_uid, generation, bundle, bundle_bytes, revision FROM desired;
