-- +goose Up

-- What people should know about the last good render: model.Condition, a list.
ALTER TABLE app_sources ADD COLUMN warnings json;
