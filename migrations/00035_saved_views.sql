-- +goose Up

-- What people keep of lists: a filter, an order, columns. A view is somebody's own or
-- of a project, which all see who see the project.
CREATE TABLE saved_views (
    id         text        PRIMARY KEY,
    things     text        NOT NULL,
    name       text        NOT NULL,
    owner      text        NOT NULL DEFAULT '',
    project    text        REFERENCES projects (name) ON DELETE CASCADE,
    search     jsonb       NOT NULL,
    changed_by text        NOT NULL,
    changed_at timestamptz NOT NULL,
    CHECK ((owner = '') <> (project IS NULL))
);
CREATE UNIQUE INDEX saved_views_own ON saved_views (owner, things, name) WHERE project IS NULL;
CREATE UNIQUE INDEX saved_views_project ON saved_views (project, things, name) WHERE project IS NOT NULL;
