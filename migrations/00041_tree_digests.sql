-- +goose Up

-- The digest of a tree's text, by which hubs find an answer that was made of it. A hub
-- of the release before writes trees without it: so it says something only together
-- with tree_at, which every hub writes with a tree. NULL until the next one.
ALTER TABLE observed_detail ADD COLUMN tree_digest text;
