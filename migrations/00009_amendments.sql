-- +goose Up

-- What was decided about an operation after it was asked for:
-- model.Amendment, a list.
ALTER TABLE operations ADD COLUMN amendments json;
