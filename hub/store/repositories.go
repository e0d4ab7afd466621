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

func credentialPlace(id string) string { return "repositories/credential/" + id }

// UpsertRepository stores a repository under its URL (two spellings of one URL
// are one repository) or, when an ID is given, under that ID. A nil Credential
// keeps the stored one; an empty one removes it. Conflict (repository_exists)
// when the URL belongs to another ID; NotFound (repository_unknown) for an ID
// that there is not.
func (s *Store) UpsertRepository(ctx context.Context, r fleet.Repository) (model.Repository, error) {
	match := matchURL(r.URL)
	var id string
	err := s.tx(ctx, "store the repository", func(tx pgx.Tx) error {
		var taken string
		err := tx.QueryRow(ctx, q("RepositoryIDByURL"), match).Scan(&taken)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		switch {
		case r.ID == "" && taken != "":
			id = taken
		case r.ID == "":
			id = uuid.NewString()
		case taken != "" && taken != r.ID:
			return fault.New(fault.Conflict, "repository_exists", "a repository with this URL exists").WithField("url")
		default:
			id = r.ID
			if known, err := s.repositories(ctx, tx, id); err != nil {
				return err
			} else if len(known) == 0 {
				return repositoryUnknown(id)
			}
		}
		var (
			sealed               []byte
			username             string
			hasPassword, hasSSH  bool
			replacesCredential   = r.Credential != nil
			holdsSomethingSecret = replacesCredential && *r.Credential != fleet.Credential{}
		)
		if holdsSomethingSecret {
			plain, err := json.Marshal(r.Credential)
			if err != nil {
				return err
			}
			if sealed, err = s.box.Seal(plain, credentialPlace(id)); err != nil {
				return err
			}
			username, hasPassword, hasSSH = r.Credential.Username, r.Credential.Password != "", r.Credential.SSHKey != ""
		}
		_, err = tx.Exec(ctx, q("UpsertRepository"), id, text(r.URL), match, r.Project, text(username), hasPassword, hasSSH, sealed, s.now(), replacesCredential)
		return err
	})
	if err != nil {
		return model.Repository{}, err
	}
	found, err := s.repositories(ctx, s.pool, id)
	if err != nil {
		return model.Repository{}, wrap(err, "read the repository")
	}
	if len(found) == 0 {
		return model.Repository{}, repositoryUnknown(id)
	}
	return found[0], nil
}

func repositoryUnknown(id string) error {
	return notFound("repository_unknown", "there is no repository %q", id)
}

// Repositories lists all by URL, without credentials.
func (s *Store) Repositories(ctx context.Context) ([]model.Repository, error) {
	out, err := s.repositories(ctx, s.pool, "")
	return out, wrap(err, "list repositories")
}

func (s *Store) repositories(ctx context.Context, db querier, id string) ([]model.Repository, error) {
	rows, err := db.Query(ctx, q("Repositories"), text(id))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r model.Repository, err error) {
		err = row.Scan(&r.ID, &r.URL, &r.Project, &r.Username, &r.HasPassword, &r.HasSSHKey, &r.LastCheck, &r.State, &r.Error, &r.ErrorCode, &r.Since)
		r.LastCheck, r.Since = utc(r.LastCheck), utc(r.Since)
		return r, err
	})
}

// DeleteRepository removes a repository and its credential. NotFound
// (repository_unknown).
func (s *Store) DeleteRepository(ctx context.Context, id string) error {
	tag, err := s.pool.Exec(ctx, q("DeleteRepository"), text(id))
	if err == nil && tag.RowsAffected() == 0 {
		return repositoryUnknown(id)
	}
	return wrap(err, "delete the repository")
}

// CredentialFor finds the credential of the repository whose URL is the longest
// prefix of url, by whole path segments. nil when there is none.
func (s *Store) CredentialFor(ctx context.Context, url string) (*fleet.Credential, error) {
	var id string
	var sealed []byte
	err := s.pool.QueryRow(ctx, q("CredentialFor"), urlPrefixes(matchURL(url))).Scan(&id, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err, "find a credential")
	}
	plain, err := s.box.Open(sealed, credentialPlace(id))
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

// RecordRepositoryState notes how a repository answered; nil err is well. A URL
// that is not registered has no row, and nothing happens.
func (s *Store) RecordRepositoryState(ctx context.Context, url string, at time.Time, err *model.Condition) error {
	state, message, code := "ok", "", ""
	if err != nil {
		state, message, code = "error", err.Message, err.Code
	}
	_, dbErr := s.pool.Exec(ctx, q("RecordRepositoryState"), matchURL(url), at, state, text(message), text(code))
	return wrap(dbErr, "store the repository's state")
}

// matchURL is a repository URL as it is compared: scheme and host in lower
// case, no default port, no trailing slash or ".git"; the short SSH form
// (git@host:path) as ssh://git@host/path.
func matchURL(raw string) string {
	s := text(strings.TrimSpace(raw))
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		host, path, short := strings.Cut(s, ":")
		if !short || strings.ContainsAny(host, "/\\") {
			return trimGit(s)
		}
		scheme, rest = "ssh", host+"/"+strings.TrimLeft(path, "/")
	}
	scheme = strings.ToLower(scheme)
	authority, path, hasPath := strings.Cut(rest, "/")
	user, host := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, host = authority[:i+1], authority[i+1:]
	}
	host = strings.ToLower(host)
	for sch, port := range map[string]string{"https": ":443", "http": ":80", "ssh": ":22", "git": ":9418"} {
		if scheme == sch {
			host = strings.TrimSuffix(host, port)
		}
	}
	out := scheme + "://" + user + host
	if hasPath {
		out += "/" + path
	}
	return trimGit(out)
}

func trimGit(s string) string {
	s = strings.TrimRight(s, "/")
	s = strings.TrimSuffix(s, ".git")
	return strings.TrimRight(s, "/")
}

// urlPrefixes lists a compared URL and everything above it, by whole path
// segments, down to scheme and host. For one with a user the same without it
// follows.
func urlPrefixes(match string) []string {
	var out []string
	add := func(u string) {
		scheme, rest, ok := strings.Cut(u, "://")
		if !ok {
			out = append(out, u)
			return
		}
		for {
			// A prefix was stored without ".git" at its end too.
			out = append(out, scheme+"://"+trimGit(rest))
			i := strings.LastIndexByte(rest, '/')
			if i <= 0 {
				return
			}
			rest = rest[:i]
		}
	}
	add(match)
	if scheme, rest, ok := strings.Cut(match, "://"); ok {
		authority, path, _ := strings.Cut(rest, "/")
		if i := strings.LastIndexByte(authority, '@'); i >= 0 {
			add(scheme + "://" + authority[i+1:] + "/" + path)
		}
	}
	return out
}
