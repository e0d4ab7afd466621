-- +goose Up

-- The public keys of agents, by the SHA-256 of their SubjectPublicKeyInfo. A key
-- belongs to one cluster for good; keys of certificates from before are entered
-- when their agents connect.
CREATE TABLE agent_keys (
    fingerprint text        PRIMARY KEY,
    cluster_id  text        NOT NULL REFERENCES clusters (id),
    since       timestamptz NOT NULL
);
CREATE INDEX agent_keys_cluster ON agent_keys (cluster_id);

ALTER TABLE certificates ADD COLUMN fingerprint text NOT NULL DEFAULT '';

ALTER TABLE clusters
    -- the uid of the namespace kube-system, as the first agent after the enrolment said
    ADD COLUMN kube_uid         text          NOT NULL DEFAULT '',
    -- another one, that an agent with the cluster's certificate came from
    ADD COLUMN kube_uid_offered text          NOT NULL DEFAULT '',
    -- when two agents with one certificate were noticed, and since when neither is trusted
    ADD COLUMN doubles          timestamptz[] NOT NULL DEFAULT '{}',
    ADD COLUMN quarantined_at   timestamptz;
