-- +goose Up

-- What lists filter by, beside the document: a document can hold texts that the
-- database cannot look into, such as a NUL.
ALTER TABLE apps ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';

-- +goose StatementBegin
DO $$
DECLARE
    a record;
BEGIN
    FOR a IN SELECT uid, document FROM apps LOOP
        BEGIN
            UPDATE apps SET labels = coalesce((a.document #> '{metadata,labels}')::jsonb, '{}') WHERE uid = a.uid;
        EXCEPTION WHEN OTHERS THEN
            -- such a document gets its labels when it is written again
        END;
    END LOOP;
    UPDATE apps SET labels = '{}' WHERE jsonb_typeof(labels) <> 'object';
END
$$;
-- +goose StatementEnd
