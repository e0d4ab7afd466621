-- +goose Up

-- What a token that is no administrator's may do: a list of
-- {"project": glob, "role": viewer|operator|editor}.
ALTER TABLE api_tokens ADD COLUMN grants jsonb NOT NULL DEFAULT '[]';

-- Operations outlive their application, and whoever saw it may still ask how its
-- deletion ended.
ALTER TABLE operations ADD COLUMN project text NOT NULL DEFAULT '';
UPDATE operations o SET project = a.project FROM apps a WHERE a.uid = o.app_uid;
CREATE INDEX operations_project ON operations (project, seq DESC);
