-- name: SavedViews
SELECT id, things, name, owner, coalesce(project, ''), search, changed_by, changed_at, is_default FROM saved_views
WHERE project IS NOT NULL OR owner = $1 OR owner = 'everyone'
ORDER BY things, name, id;

-- name: SavedView
SELECT id, things, name, owner, coalesce(project, ''), search, changed_by, changed_at, is_default FROM saved_views WHERE id = $1;

-- name: SavedViewNamed
SELECT id FROM saved_views WHERE things = $1 AND name = $2 AND owner = $3 AND coalesce(project, '') = $4;

-- name: CountSavedViews
SELECT count(*) FROM saved_views WHERE owner = $1 AND coalesce(project, '') = $2;

-- name: PutSavedView
INSERT INTO saved_views (id, things, name, owner, project, search, changed_by, changed_at, is_default)
VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET search = excluded.search, changed_by = excluded.changed_by, changed_at = excluded.changed_at, is_default = excluded.is_default;

-- name: NoDefaultView
UPDATE saved_views SET is_default = false WHERE is_default AND things = $1 AND owner = $2 AND coalesce(project, '') = $3;

-- name: DeleteSavedView
DELETE FROM saved_views WHERE id = $1;

-- name: LockSavedViews
LOCK TABLE saved_views IN SHARE ROW EXCLUSIVE MODE;
