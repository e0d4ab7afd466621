package store

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func templatePlace(id, match string) string {
	return "repository_templates/credential/" + id + "/" + match
}

func templateUnknown(id string) error {
	return notFound("repository_template_unknown", "there is no credential template %q", id)
}

// UpsertRepositoryTemplate stores a credential template under its URL and
// project or, when an ID is given, under that ID, whose URL and project stay.
// Invalid (credential_missing) for a template without a credential, Conflict
// (repository_template_exists) when URL and project are not those of the ID,
// NotFound (repository_template_unknown) for an ID that there is not. With a
// Version it is written over that one: Conflict (version_conflict) when there is
// another, or none.
func (s *Store) UpsertRepositoryTemplate(ctx context.Context, t fleet.RepositoryTemplate) (model.RepositoryTemplate, error) {
	match := text(fleet.RepositoryIdentity(t.URL))
	var id string
	err := s.tx(ctx, "store the credential template", func(tx pgx.Tx) error {
		var taken string
		var version int64
		err := tx.QueryRow(ctx, q("RepositoryTemplateID"), match, text(t.Project)).Scan(&taken, &version)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		switch {
		case t.ID == "" && taken != "":
			id = taken
		case t.ID == "":
			id = uuid.NewString()
		case taken == t.ID:
			id = t.ID
		default:
			if known, err := s.templates(ctx, tx, t.ID); err != nil {
				return err
			} else if len(known) == 0 {
				return templateUnknown(t.ID)
			}
			return fault.New(fault.Conflict, "repository_template_exists", "a credential template keeps its URL and project").WithField("url").
				WithFix("remove it and add another one")
		}
		if t.Version != 0 && t.Version != version {
			return changedMeanwhile("the credential template for " + fleet.MaskURLs(t.URL))
		}
		sealed, holds, err := s.sealed(ctx, t.Credential, templatePlace(id, match))
		if err != nil {
			return err
		}
		if sealed == nil {
			return fault.New(fault.Invalid, "credential_missing", "a credential template needs a credential")
		}
		_, err = tx.Exec(ctx, q("UpsertRepositoryTemplate"), id, text(t.URL), match, text(t.Project), holds, sealed, s.now())
		return err
	})
	if err != nil {
		return model.RepositoryTemplate{}, err
	}
	return s.template(ctx, id)
}

// RepositoryTemplates lists all by URL, without credentials.
func (s *Store) RepositoryTemplates(ctx context.Context) ([]model.RepositoryTemplate, error) {
	out, err := s.templates(ctx, s.pool, "")
	return out, wrap(err, "list credential templates")
}

func (s *Store) template(ctx context.Context, id string) (model.RepositoryTemplate, error) {
	if id == "" {
		return model.RepositoryTemplate{}, templateUnknown(id)
	}
	found, err := s.templates(ctx, s.pool, id)
	if err != nil {
		return model.RepositoryTemplate{}, wrap(err, "read the credential template")
	}
	if len(found) == 0 {
		return model.RepositoryTemplate{}, templateUnknown(id)
	}
	return found[0], nil
}

// RepositoryTemplate reads one with its credential. NotFound
// (repository_template_unknown).
func (s *Store) RepositoryTemplate(ctx context.Context, id string) (fleet.RepositoryTemplate, error) {
	t, err := s.template(ctx, id)
	if err != nil {
		return fleet.RepositoryTemplate{}, err
	}
	var match string
	var sealed []byte
	err = s.pool.QueryRow(ctx, q("RepositoryTemplateCredential"), text(id)).Scan(&match, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.RepositoryTemplate{}, templateUnknown(id)
	}
	if err != nil {
		return fleet.RepositoryTemplate{}, wrap(err, "read the credential template")
	}
	c, err := s.open(ctx, sealed, templatePlace(id, match))
	return fleet.RepositoryTemplate{RepositoryTemplate: t, Credential: c}, err
}

func (s *Store) templates(ctx context.Context, db querier, id string) ([]model.RepositoryTemplate, error) {
	rows, err := db.Query(ctx, q("RepositoryTemplates"), text(id))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t model.RepositoryTemplate, err error) {
		var holds []byte
		if err := row.Scan(&t.ID, &t.URL, &t.Project, &holds, &t.CreatedAt, &t.Version); err != nil {
			return t, err
		}
		t.CreatedAt = t.CreatedAt.UTC()
		return t, decode(holds, &t.Holds)
	})
}

// TemplateFor finds the template with the longest prefix of a repository's URL,
// among those of its project and of none; nil and "" when there is none.
func (s *Store) TemplateFor(ctx context.Context, url, project string) (c *fleet.Credential, template string, err error) {
	var id, match string
	var sealed []byte
	err = s.pool.QueryRow(ctx, q("TemplateFor"), texts(fleet.RepositoryPrefixes(url)), text(project)).Scan(&id, &template, &match, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", wrap(err, "find a credential template")
	}
	c, err = s.open(ctx, sealed, templatePlace(id, match))
	return c, template, err
}

// DeleteRepositoryTemplate removes a template and returns its URL. NotFound
// (repository_template_unknown).
func (s *Store) DeleteRepositoryTemplate(ctx context.Context, id string, expected int64) (url string, err error) {
	err = s.pool.QueryRow(ctx, q("DeleteRepositoryTemplate"), text(id), expected).Scan(&url)
	if errors.Is(err, pgx.ErrNoRows) {
		if _, err := s.RepositoryTemplate(ctx, id); err != nil {
			return "", err
		}
		return "", changedMeanwhile("the credential template")
	}
	return url, wrap(err, "delete the credential template")
}
