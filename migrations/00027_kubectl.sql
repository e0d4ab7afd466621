-- +goose Up

-- Whether kubectl may go through the hub to the cluster: nobody is let in who was
-- not asked for.
ALTER TABLE clusters ADD COLUMN kubectl boolean NOT NULL DEFAULT false;
