-- +goose Up

-- Where a session was last used from, and by what.
ALTER TABLE login_sessions ADD COLUMN address text NOT NULL DEFAULT '';
ALTER TABLE login_sessions ADD COLUMN client text NOT NULL DEFAULT '';

-- A code that an operator had made stays although there are administrators.
ALTER TABLE first_login ADD COLUMN on_purpose boolean NOT NULL DEFAULT false;
