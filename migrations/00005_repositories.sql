-- +goose Up

-- Repositories of every type, and credentials for all that begin with a URL.

ALTER TABLE repositories
    ADD COLUMN type text NOT NULL DEFAULT 'git' CHECK (type IN ('git', 'helm', 'oci')),
    -- what "@NAME" in the dependencies of a chart means; '' for none
    ADD COLUMN name text NOT NULL DEFAULT '',
    -- model.CredentialInfo: what people may see of the credential
    ADD COLUMN holds json NOT NULL DEFAULT '{}';

UPDATE repositories SET holds = json_strip_nulls(json_build_object(
    'username', CASE WHEN has_password AND username <> '' THEN username END,
    'kinds', to_json(array_remove(ARRAY[
        CASE WHEN username <> '' AND NOT has_password THEN 'username' END,
        CASE WHEN has_password THEN 'password' END,
        CASE WHEN has_ssh_key THEN 'sshKey' END], NULL))))
WHERE credential IS NOT NULL;

ALTER TABLE repositories DROP COLUMN username, DROP COLUMN has_password, DROP COLUMN has_ssh_key;
CREATE UNIQUE INDEX repositories_name ON repositories (name) WHERE name <> '';
CREATE INDEX repositories_project ON repositories (project) WHERE project <> '';

CREATE TABLE repository_templates (
    id         text        PRIMARY KEY,
    url        text        NOT NULL,
    -- the URL as it is compared: see RepositoryIdentity in hub/fleet
    match_url  text        NOT NULL,
    project    text        NOT NULL DEFAULT '',
    holds      json        NOT NULL DEFAULT '{}',
    credential bytea       NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (match_url, project)
);
