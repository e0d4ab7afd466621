package delivery

import (
	"context"
	"time"

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
	// ProjectObjects is how many objects were accepted of each application, by
	// project.
	ProjectObjects(ctx context.Context) (map[string]map[model.AppUID]int, error)
	// Bundle is NotFound (bundle_not_found) when the digest is not stored.
	Bundle(ctx context.Context, digest model.Digest) ([]byte, error)
	PutBundles(ctx context.Context, bundles []fleet.Bundle) error
	WriteDesired(ctx context.Context, changes []fleet.DesiredChange) ([]model.Desired, error)
	RecordSourceStates(ctx context.Context, states []fleet.SourceState) error
}

// Watcher keeps repositories under watch. SetTargets replaces the whole set and
// does not block on the network; heads come back through
// Delivery.RepositoryResolved.
type Watcher interface {
	SetTargets(targets []fleet.Target)
}

// Head is what a target resolves to at the moment.
type Head struct {
	// Commit is a commit of Git, or what stands for a version of a chart or an
	// artifact: equal heads are equal content.
	Commit string
	// Tag is the annotated tag that a target of Git names, empty for none.
	Tag string
	// Err is set when this target could not be resolved; Commit is then empty
	// and whatever was resolved before stays in force.
	Err error
}

// At is a source at what it was resolved to.
type At struct {
	Source model.Source
	Commit string
}

// RenderRequest asks for the objects of one source of one application.
type RenderRequest struct {
	App     model.AppUID
	AppName string
	Project string
	At
	// Refs are the sources of the application that have a ref, by that name.
	Refs      map[string]At
	Namespace string
	// Permit asks the project whether something may be fetched from a
	// repository beside the application's own; remote says that it is a remote
	// base or file and not a chart that a chart depends on. The errors are for
	// the user.
	Permit func(repoURL string, remote bool) error
	// KubeVersion and APIs ("apps/v1/Deployment") of the destination, empty as
	// long as its agent has not reported.
	KubeVersion string
	APIs        []string
	// GeneratePaths limit which changes of the repository matter; see
	// model.AnnotationGeneratePaths.
	GeneratePaths []string
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
	// Warnings are for people; the render is good all the same.
	Warnings []model.Condition
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

// Observer counts. Its methods must not block.
type Observer interface {
	// Delivered: an application has a new generation because of what its
	// repository said at the time seen, zero when it has it for another reason.
	Delivered(app model.AppUID, generation model.Generation, seen time.Time)
}

// Publisher tells listeners that applications changed.
type Publisher interface {
	PublishApplications(apps []model.AppUID)
}
