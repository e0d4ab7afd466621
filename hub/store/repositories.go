package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// repositoryPlace binds a sealed credential to its row and to the URL that it
// is sent to, so that neither can be exchanged in the database.
func repositoryPlace(id, match string) string {
	return "repositories/credential/" + id + "/" + match
}

// UpsertRepository stores a repository under its URL (two spellings of one URL
// are one repository) or, when an ID is given, under that ID, whose URL stays. A
// nil Credential keeps the stored one; an empty one removes it. Type and name of
// the credential do not count: those of the repository do. Conflict
// (repository_exists) when the URL is not that of the ID, and
// (repository_name_taken); NotFound (repository_unknown) for an ID that there is
// not. With a Version it is written over that one: Conflict (version_conflict)
// when there is another, or none.
func (s *Store) UpsertRepository(ctx context.Context, r fleet.Repository) (model.Repository, error) {
	match := text(fleet.RepositoryIdentity(r.URL))
	if r.Type == "" {
		r.Type = fleet.Git
	}
	var id string
	err := s.tx(ctx, "store the repository", func(tx pgx.Tx) error {
		var taken string
		var version int64
		err := tx.QueryRow(ctx, q("RepositoryIDByURL"), match).Scan(&taken, &version)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		switch {
		case r.ID == "" && taken != "":
			id = taken
		case r.ID == "":
			id = uuid.NewString()
		case taken == r.ID:
			id = r.ID
		default:
			if known, err := s.repositories(ctx, tx, r.ID, ""); err != nil {
				return err
			} else if len(known) == 0 {
				return repositoryUnknown(r.ID)
			}
			return fault.New(fault.Conflict, "repository_exists", "a repository keeps its URL").WithField("url").
				WithFix("remove it and add one with the new URL")
		}
		if r.Version != 0 && r.Version != version {
			return changedMeanwhile("the repository " + fleet.MaskURLs(r.URL))
		}
		if r.Name != "" {
			var other string
			err := tx.QueryRow(ctx, q("RepositoryURLByName"), text(r.Name), id).Scan(&other)
			if err == nil {
				return fault.New(fault.Conflict, "repository_name_taken", "the name %q is that of the repository %s", r.Name, other).
					WithField("name").WithFix("choose another name")
			}
			if !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
		}
		sealed, holds, err := s.sealed(ctx, r.Credential, repositoryPlace(id, match))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, q("UpsertRepository"), id, text(r.URL), match, r.Type, text(r.Name), text(r.Project),
			holds, sealed, s.now(), r.Credential != nil)
		return err
	})
	if err != nil {
		return model.Repository{}, err
	}
	return s.repository(ctx, id)
}

// sealed is a credential as it is stored, nil when it holds nothing, and what
// may be seen of it.
func (s *Store) sealed(ctx context.Context, c *fleet.Credential, place string) (sealed, holds []byte, err error) {
	if holds, err = document(c.Info()); err != nil || c == nil {
		return nil, holds, err
	}
	plain := *c
	plain.Type, plain.Name, plain.Project = "", "", ""
	if plain == (fleet.Credential{}) {
		return nil, holds, nil
	}
	b, err := json.Marshal(plain)
	if err != nil {
		return nil, nil, err
	}
	sealed, err = s.seal(ctx, b, place)
	return sealed, holds, err
}

// open is the reverse of sealed; nil for nothing.
func (s *Store) open(ctx context.Context, sealed []byte, places ...string) (*fleet.Credential, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	plain, err := s.unseal(ctx, sealed, places...)
	if err != nil {
		return nil, err
	}
	c := new(fleet.Credential)
	if err := json.Unmarshal(plain, c); err != nil {
		// The cause may quote what was decoded.
		return nil, fault.New(fault.Internal, "vault_value_damaged", "a stored credential cannot be read")
	}
	return c, nil
}

// openRepository opens the credential of a repository.
func (s *Store) openRepository(ctx context.Context, id, match string, sealed []byte) (*fleet.Credential, error) {
	return s.open(ctx, sealed, repositoryPlaces(id, match)...)
}

func repositoryUnknown(id string) error {
	return fleet.RepositoryUnknown(id)
}

// Repositories lists all by URL, without credentials.
func (s *Store) Repositories(ctx context.Context) ([]model.Repository, error) {
	out, err := s.repositories(ctx, s.pool, "", "")
	if err != nil {
		return nil, wrap(err, "list repositories")
	}
	return out, s.inherited(ctx, out)
}

// repository reads one without its credential.
func (s *Store) repository(ctx context.Context, id string) (model.Repository, error) {
	if id == "" {
		return model.Repository{}, repositoryUnknown(id)
	}
	found, err := s.repositories(ctx, s.pool, id, "")
	if err != nil {
		return model.Repository{}, wrap(err, "read the repository")
	}
	if len(found) == 0 {
		return model.Repository{}, repositoryUnknown(id)
	}
	return found[0], s.inherited(ctx, found)
}

// Repository reads one with its own credential, which is nil when it has none.
// NotFound (repository_unknown).
func (s *Store) Repository(ctx context.Context, id string) (fleet.Repository, error) {
	r, err := s.repository(ctx, id)
	if err != nil {
		return fleet.Repository{}, err
	}
	var match string
	var sealed []byte
	err = s.pool.QueryRow(ctx, q("RepositoryCredential"), text(id)).Scan(&match, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.Repository{}, repositoryUnknown(id)
	}
	if err != nil {
		return fleet.Repository{}, wrap(err, "read the repository")
	}
	c, err := s.openRepository(ctx, id, match, sealed)
	return fleet.Repository{Repository: r, Credential: c}, err
}

// RepositoryByName finds the repository that the dependencies of charts mean by
// a name. NotFound (repository_unknown).
func (s *Store) RepositoryByName(ctx context.Context, name string) (model.Repository, error) {
	if name == "" {
		return model.Repository{}, repositoryUnknown(name)
	}
	found, err := s.repositories(ctx, s.pool, "", name)
	if err != nil {
		return model.Repository{}, wrap(err, "find the repository")
	}
	if len(found) == 0 {
		return model.Repository{}, repositoryUnknown(name)
	}
	return found[0], nil
}

func (s *Store) repositories(ctx context.Context, db querier, id, name string) ([]model.Repository, error) {
	rows, err := db.Query(ctx, q("Repositories"), text(id), text(name))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r model.Repository, err error) {
		var holds []byte
		err = row.Scan(&r.ID, &r.URL, &r.Type, &r.Name, &r.Project, &holds, &r.LastCheck, &r.State, &r.Error, &r.ErrorCode, &r.Since, &r.Version)
		if err != nil {
			return r, err
		}
		r.LastCheck, r.Since = utc(r.LastCheck), utc(r.Since)
		return r, decode(holds, &r.Holds)
	})
}

// inherited notes which templates open repositories that have nothing of their
// own to say who calls.
func (s *Store) inherited(ctx context.Context, repos []model.Repository) error {
	templates, err := s.RepositoryTemplates(ctx)
	if err != nil || len(templates) == 0 {
		return err
	}
	byMatch := map[[2]string]string{} // URL as it is compared, project
	for _, t := range templates {
		byMatch[[2]string{fleet.RepositoryIdentity(t.URL), t.Project}] = t.URL
	}
	for i := range repos {
		if authenticates(repos[i].Holds) {
			continue
		}
		for _, prefix := range fleet.RepositoryPrefixes(repos[i].URL) {
			url, ok := byMatch[[2]string{prefix, repos[i].Project}]
			if !ok {
				url, ok = byMatch[[2]string{prefix, ""}]
			}
			if ok {
				repos[i].InheritedFrom = url
				break
			}
		}
	}
	return nil
}

// authenticates is fleet.Credential.HasAuth of what may be seen of one.
func authenticates(holds model.CredentialInfo) bool {
	for _, k := range holds.Kinds {
		switch k {
		case model.HoldsUsername, model.HoldsPassword, model.HoldsBearer, model.HoldsSSHKey, model.HoldsClientCert, model.HoldsGitHubApp:
			return true
		}
	}
	return false
}

// DeleteRepository removes a repository and its credential. NotFound
// (repository_unknown).
func (s *Store) DeleteRepository(ctx context.Context, id string, expected int64) error {
	tag, err := s.pool.Exec(ctx, q("DeleteRepository"), text(id), expected)
	if err == nil && tag.RowsAffected() == 0 {
		if _, err := s.Repository(ctx, id); err != nil {
			return err
		}
		return changedMeanwhile("the repository")
	}
	return wrap(err, "delete the repository")
}

// CredentialFor is what opens a repository: its own credential, completed with
// the template of the longest prefix where it does not say who calls. A URL
// that is not registered has templates that belong to no project. nil when there
// is nothing to say about the URL.
func (s *Store) CredentialFor(ctx context.Context, url string) (*fleet.Credential, error) {
	var id, match, project, typ, name, registered string
	var sealed []byte
	prefixes := texts(fleet.RepositoryPrefixes(url))
	err := s.pool.QueryRow(ctx, q("RepositoryFor"), prefixes[0], prefixes).Scan(&id, &registered, &match, &typ, &name, &project, &sealed)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, wrap(err, "find a credential")
	}
	var own *fleet.Credential
	if id != "" {
		if own, err = s.openRepository(ctx, id, match, sealed); err != nil {
			return nil, err
		}
		if own == nil && (typ != fleet.Git || name != "" || project != "") {
			own = &fleet.Credential{}
		}
		if own != nil {
			own.Type, own.Name, own.Project = typ, name, project
		}
	}
	if own.HasAuth() {
		return own, nil
	}
	template, _, err := s.TemplateFor(ctx, url, project)
	if err != nil {
		return nil, err
	}
	return own.Inherit(template), nil
}

// RepositoryProject is the project whose applications alone may use a
// repository, "" when it is any or the URL is not registered.
func (s *Store) RepositoryProject(ctx context.Context, url string) (string, error) {
	var project string
	prefixes := texts(fleet.RepositoryPrefixes(url))
	lower := make([]string, len(prefixes))
	for i, p := range prefixes {
		lower[i] = strings.ToLower(p)
	}
	err := s.pool.QueryRow(ctx, q("ReservedRepository"), prefixes[0], lower).Scan(&project)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return project, wrap(err, "find the repository")
}

// RecordRepositoryState notes how a repository answered; nil err is well. A URL
// that is not registered has no row, and nothing happens.
func (s *Store) RecordRepositoryState(ctx context.Context, url string, at time.Time, err *model.Condition) error {
	state, message, code := "ok", "", ""
	if err != nil {
		state, message, code = "error", fleet.MaskURLs(err.Message), err.Code
	}
	_, dbErr := s.pool.Exec(ctx, q("RecordRepositoryState"), text(fleet.RepositoryIdentity(url)), at, state, text(message), text(code))
	return wrap(dbErr, "store the repository's state")
}
