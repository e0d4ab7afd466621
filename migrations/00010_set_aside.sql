-- +goose Up

-- Commits that rollbacks have set aside, and that are not deployed again by
-- themselves although the pins are released: fleet.SetAside, newest first.
ALTER TABLE apps ADD COLUMN set_aside jsonb NOT NULL DEFAULT '[]';

-- Who ended a rollback, and why, until the desired state is written that
-- comes of it.
ALTER TABLE apps
    ADD COLUMN unpinned_by  text NOT NULL DEFAULT '',
    ADD COLUMN unpin_reason text NOT NULL DEFAULT '';
