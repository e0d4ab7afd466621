-- +goose Up

CREATE TABLE projects (
    name       text        PRIMARY KEY,
    document   json        NOT NULL,
    version    bigint      NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- As in Argo CD: the default project allows everything.
INSERT INTO projects (name, document, created_at, updated_at) VALUES ('default', json '{
  "apiVersion": "argoproj.io/v1alpha1",
  "kind": "AppProject",
  "metadata": {"name": "default"},
  "spec": {
    "sourceRepos": ["*"],
    "destinations": [{"server": "*", "name": "*", "namespace": "*"}],
    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]
  }
}', now(), now());

CREATE TABLE repositories (
    id           text        PRIMARY KEY,
    url          text        NOT NULL,
    -- the URL as it is compared: see matchURL in hub/store
    match_url    text        NOT NULL UNIQUE,
    project      text        NOT NULL DEFAULT '',
    username     text        NOT NULL DEFAULT '',
    has_password boolean     NOT NULL DEFAULT false,
    has_ssh_key  boolean     NOT NULL DEFAULT false,
    credential   bytea,
    created_at   timestamptz NOT NULL,
    last_check   timestamptz,
    state        text        NOT NULL DEFAULT 'unknown',
    error        text        NOT NULL DEFAULT '',
    error_code   text        NOT NULL DEFAULT '',
    since        timestamptz
);

CREATE TABLE apps (
    uid             text        PRIMARY KEY,
    name            text        NOT NULL UNIQUE,
    project         text        NOT NULL REFERENCES projects (name),
    cluster_id      text        NOT NULL REFERENCES clusters (id),
    document        json        NOT NULL,
    version         bigint      NOT NULL DEFAULT 1,
    deleting        boolean     NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    -- The highest generation issued by a withdrawal that was given up; those of
    -- the desired state and of an open withdrawal are in their own rows.
    generation_counter bigint   NOT NULL DEFAULT 0,
    -- The highest generation that an agent reported beyond what was issued.
    generation_floor   bigint   NOT NULL DEFAULT 0,
    -- what lists show of the document
    namespace       text        NOT NULL DEFAULT '',
    repo_url        text        NOT NULL DEFAULT '',
    path            text        NOT NULL DEFAULT '',
    target_revision text        NOT NULL DEFAULT '',
    auto_sync       boolean     NOT NULL DEFAULT false
);
CREATE INDEX apps_project ON apps (project);
CREATE INDEX apps_cluster ON apps (cluster_id);

CREATE TABLE bundles (
    digest     text        PRIMARY KEY,
    sealed     bytea       NOT NULL,
    objects    integer     NOT NULL,
    created_at timestamptz NOT NULL,
    -- last time that a render gave it; what is unused is collected
    used_at    timestamptz NOT NULL
);
ALTER TABLE bundles ALTER COLUMN sealed SET STORAGE EXTERNAL; -- sealed bytes do not compress

-- What the hub knows of each application's sources. The last good state stays
-- while error is set.
CREATE TABLE app_sources (
    app_uid    text        PRIMARY KEY REFERENCES apps (uid),
    revision   json        NOT NULL DEFAULT '{}',
    render_key text        NOT NULL DEFAULT '',
    bundle     text        NOT NULL DEFAULT '',
    error      json,
    at         timestamptz NOT NULL
);
CREATE INDEX app_sources_bundle ON app_sources (bundle);

CREATE TABLE desired (
    app_uid          text        PRIMARY KEY REFERENCES apps (uid),
    cluster_id       text        NOT NULL REFERENCES clusters (id),
    generation       bigint      NOT NULL CHECK (generation > 0),
    content          text        NOT NULL,
    bundle           text        NOT NULL REFERENCES bundles (digest),
    bundle_bytes     bigint      NOT NULL,
    revision         json        NOT NULL,
    -- model.Desired; generation and hold_deletes in it do not count
    document         json        NOT NULL,
    updated_at       timestamptz NOT NULL,
    acked_generation bigint      NOT NULL DEFAULT 0,
    acked_at         timestamptz,
    ack_error_code   text        NOT NULL DEFAULT '',
    ack_error        text        NOT NULL DEFAULT ''
);
CREATE INDEX desired_cluster ON desired (cluster_id);
CREATE INDEX desired_bundle ON desired (bundle);

CREATE TABLE observed (
    app_uid        text        PRIMARY KEY REFERENCES apps (uid),
    incarnation    bigint      NOT NULL,
    number         bigint      NOT NULL,
    seq            bigint      NOT NULL,
    generation     bigint      NOT NULL,
    observed_at    timestamptz NOT NULL,
    received_at    timestamptz NOT NULL,
    revision       text        NOT NULL DEFAULT '',
    sync_status    text        NOT NULL,
    sync_reason    text        NOT NULL DEFAULT '',
    health_status  text        NOT NULL,
    health_message text        NOT NULL DEFAULT '',
    health_since   timestamptz,
    conditions     json,
    operation      json
) WITH (fillfactor = 70);

-- The bulky part of an observation, read for one application at a time.
CREATE TABLE observed_detail (
    app_uid text        PRIMARY KEY REFERENCES apps (uid),
    status  json        NOT NULL,
    tree    json,
    tree_at timestamptz
);
