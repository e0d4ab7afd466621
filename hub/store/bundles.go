package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

func bundlePlace(d model.Digest) string { return "bundles/sealed/" + string(d) }

// bundleBatchBytes bounds the size of one statement of PutBundles.
const bundleBatchBytes = 16 << 20

// PutBundles stores bundles, sealed; those that are there stay. Bundles are put
// before the desired states that name them.
func (s *Store) PutBundles(ctx context.Context, bundles []fleet.Bundle) error {
	return s.sealing(func() error { return s.putBundles(ctx, bundles) })
}

func (s *Store) putBundles(ctx context.Context, bundles []fleet.Bundle) error {
	byDigest := make(map[model.Digest]fleet.Bundle, len(bundles))
	for _, b := range bundles {
		byDigest[b.Digest] = b
	}
	unique := make([]fleet.Bundle, 0, len(byDigest))
	for _, b := range byDigest {
		unique = append(unique, b)
	}
	slices.SortFunc(unique, func(a, b fleet.Bundle) int { return strings.Compare(string(a.Digest), string(b.Digest)) })

	var (
		digests []string
		sealed  [][]byte
		objects []int32
		size    int
	)
	flush := func() error {
		if len(digests) == 0 {
			return nil
		}
		_, err := s.pool.Exec(ctx, q("PutBundles"), digests, sealed, objects, s.now())
		digests, sealed, objects, size = nil, nil, nil, 0
		return wrap(err, "store bundles")
	}
	for _, b := range unique {
		box, err := s.seal(ctx, b.Encoded, bundlePlace(b.Digest))
		if err != nil {
			return err
		}
		digests, sealed, objects = append(digests, string(b.Digest)), append(sealed, box), append(objects, clampInt32(b.Objects))
		if size += len(box); size > bundleBatchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// Bundle reads an encoded bundle. NotFound (bundle_not_found).
func (s *Store) Bundle(ctx context.Context, digest model.Digest) ([]byte, error) {
	return s.bundle(ctx, digest, s.pool.QueryRow(ctx, q("Bundle"), text(string(digest))))
}

// BundleFor is Bundle for a cluster's agent: NotFound too when no desired state
// of that cluster names the digest.
func (s *Store) BundleFor(ctx context.Context, cluster model.ClusterID, digest model.Digest) ([]byte, error) {
	return s.bundle(ctx, digest, s.pool.QueryRow(ctx, q("BundleFor"), cluster, text(string(digest))))
}

func (s *Store) bundle(ctx context.Context, digest model.Digest, row pgx.Row) ([]byte, error) {
	var sealed []byte
	err := row.Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("bundle_not_found", "there is no bundle %s", digest)
	}
	if err != nil {
		return nil, wrap(err, "read the bundle")
	}
	return s.unseal(ctx, sealed, bundlePlace(digest))
}

// CollectBundles removes bundles that nothing names and no render gave since
// olderThan, and says how many.
func (s *Store) CollectBundles(ctx context.Context, olderThan time.Time) (int, error) {
	tag, err := s.pool.Exec(ctx, q("CollectBundles"), olderThan)
	if sqlState(err) == codeForeignKey {
		return 0, nil // one came into use in between; the next run will do
	}
	return int(tag.RowsAffected()), wrap(err, "collect bundles")
}
