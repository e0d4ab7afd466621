package fleetsim

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-dev/hawser/shared/model"
)

// services are what runs in the clusters: the first ones in each.
var services = []string{"checkout", "payments", "catalog", "search", "ledger", "gateway", "mailer", "reports", "identity", "pricing"}

// MostServices is how many applications a cluster can have.
var MostServices = len(services)

// Namespace of the objects of a service.
func Namespace(service int) string { return services[service] }

// Files are what a repository has at a revision: a directory for each service, which
// all clusters share, so that one commit reaches an application in each.
func Files(revision string, count int) map[string][]byte {
	files := map[string][]byte{}
	for s := range count {
		files[services[s]+"/app.yaml"] = manifests(s)
		files[services[s]+"/config.yaml"] = config(s, revision)
	}
	return files
}

// Change is the commit that gives a service another revision.
func Change(revision string, service int) map[string][]byte {
	return map[string][]byte{services[service] + "/config.yaml": config(service, revision)}
}

func config(s int, revision string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: ConfigMap
metadata: {name: %[1]s}
data: {revision: %[2]q}
`, services[s], revision)
}

func manifests(s int) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {selector: {app: %[1]s}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, labels: {app: %[1]s}}
spec:
  replicas: 3
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      serviceAccountName: %[1]s
      containers:
      - name: main
        image: registry.example.com/%[1]s:1.4.2
        ports: [{name: http, containerPort: 8080}]
        resources: {requests: {cpu: 10m, memory: 16Mi}}
`, services[s])
}

// DeploymentKey and ConfigMapKey are objects of a service.
func DeploymentKey(service int) model.ObjectKey {
	return model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: services[service], Name: services[service]}
}

// ConfigMapKey is the object that Change changes.
func ConfigMapKey(service int) model.ObjectKey {
	return model.ObjectKey{Kind: "ConfigMap", Namespace: services[service], Name: services[service]}
}

// AppName is the name of a service's application in the cluster of an agent.
func (a *Agent) AppName(service int) string { return services[service] + "-" + a.name }

// Deploy creates an application for each of the first services in each cluster, from
// a repository with Files that the hub knows.
func (f *Fleet) Deploy(ctx context.Context, repoURL string, count int) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, a := range f.Agents {
		for s := range count {
			g.Go(func() error {
				if err := f.o.API.Do(gctx, "POST", "/applications", f.application(a, s, repoURL), nil); err != nil {
					return fmt.Errorf("application %s: %w", a.AppName(s), err)
				}
				return nil
			})
		}
	}
	return g.Wait()
}

func (f *Fleet) application(a *Agent, s int, repoURL string) model.Application {
	app := model.Application{APIVersion: "argoproj.io/v1alpha1", Kind: "Application"}
	app.Metadata.Name = a.AppName(s)
	app.Metadata.Labels = map[string]string{"service": services[s]}
	app.Spec.Project = "default"
	app.Spec.Source = &model.Source{RepoURL: repoURL, Path: services[s], TargetRevision: "main"}
	app.Spec.Destination = model.Destination{Name: a.name, Namespace: services[s]}
	app.Spec.SyncPolicy = &model.SyncPolicy{Automated: &model.AutomatedSync{Prune: true, SelfHeal: true}, SyncOptions: []string{"CreateNamespace=true"}}
	return app
}
