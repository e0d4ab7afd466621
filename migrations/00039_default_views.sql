-- +goose Up

-- The view that a list opens with: one at most of each person, of each project, and of
-- the installation, whose views have the owner "everyone".
ALTER TABLE saved_views ADD COLUMN is_default boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX saved_views_default ON saved_views (owner, coalesce(project, ''), things) WHERE is_default;
