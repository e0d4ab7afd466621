-- +goose Up

-- Versions of what several people write, so that one does not write over what
-- another wrote meanwhile. What is observed of a row does not change its version.
ALTER TABLE repositories ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE repository_templates ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE clusters ADD COLUMN version bigint NOT NULL DEFAULT 1; -- of labels and aliases
