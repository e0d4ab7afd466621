-- +goose Up

-- Who changed a project last; when that was is updated_at.
ALTER TABLE projects ADD COLUMN changed_by text NOT NULL DEFAULT '';
