package delivery

import (
	"context"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Store is the part of the database that delivery reads and writes. All methods
// block for a round trip.
type Store interface {
	Applications(ctx context.Context) ([]fleet.App, error)
	Projects(ctx context.Context) ([]model.AppProject, error)
	Clusters(ctx context.Context) ([]model.Cluster, error)
	ClusterAPIs(ctx context.Context, id model.ClusterID) (kubeVersion string, apiResources, namespacedKinds []string, err error)
	PutBundles(ctx context.Context, bundles []fleet.Bundle) error
	WriteDesired(ctx context.Context, changes []fleet.DesiredChange) ([]model.Desired, error)
	RecordSourceStates(ctx context.Context, states []fleet.SourceState) error
}

// Watcher keeps repositories under watch. SetRevisions replaces the whole set
// and does not block on the network; heads come back through
// Delivery.RepositoryResolved.
type Watcher interface {
	SetRevisions(byRepository map[string][]string)
}

// Head is what one revision of a repository resolves to at the moment.
type Head struct {
	Commit string
	// Err is set when this revision could not be resolved; Commit is then
	// empty and whatever was resolved before stays in force.
	Err error
}

// RenderRequest asks for the objects of one source of one application.
type RenderRequest struct {
	App       model.AppUID
	AppName   string
	Project   string
	Source    model.Source
	Commit    string
	Namespace string
	// PreviousKey is the key of the last good render. When nothing that it
	// stands for has changed the answer is Unchanged, without objects.
	PreviousKey string
}

// Rendered is the answer to a RenderRequest.
type Rendered struct {
	Unchanged bool
	Objects   []manifest.Object
	Encoded   []byte // the bundle of exactly these objects
	Digest    model.Digest
	Key       string
	Revision  model.Revision
}

// Renderer renders in worker processes. It blocks until the render is done,
// failed or past its deadline; errors are faults that name file and line.
type Renderer interface {
	Render(ctx context.Context, req RenderRequest) (Rendered, error)
}

// Notifier wakes the session of a cluster; it never blocks and losing a call
// only delays delivery.
type Notifier interface {
	Notify(cluster model.ClusterID, apps []model.AppUID)
}

// Publisher tells listeners that applications changed.
type Publisher interface {
	PublishApplications(apps []model.AppUID)
}
