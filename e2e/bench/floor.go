package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

const floorWorkers = 16

// floorResult is one run of raw server-side apply.
type floorResult struct {
	applied, available time.Duration
	requests           int
	apiServerCPU       float64
}

type patch struct {
	path string
	body []byte
}

// floor applies the workload to a fresh control plane as fast as it goes and
// waits until every Deployment is available.
func floor(ctx context.Context, cp *testbed.ControlPlane, w workload) (res floorResult, err error) {
	first, rest, err := w.patches()
	if err != nil {
		return res, err
	}
	client, err := rawClient(cp.RESTConfig())
	if err != nil {
		return res, err
	}
	deployments, err := watchAll(ctx, cp, deploymentsGVR)
	if err != nil {
		return res, err
	}
	defer deployments.Stop()
	cpu, err := apiServerCPU(cp)
	if err != nil {
		return res, err
	}
	begin := time.Now()
	for _, batch := range [][]patch{first, rest} {
		if err := applyAll(ctx, client, batch); err != nil {
			return res, err
		}
	}
	res.applied, res.requests = time.Since(begin), len(first)+len(rest)
	if err := deployments.until(ctx, w.n, available); err != nil {
		return res, err
	}
	res.available = time.Since(begin)
	after, err := apiServerCPU(cp)
	res.apiServerCPU = after - cpu
	return res, err
}

// patches are the namespaces, and all objects.
func (w workload) patches() (first, rest []patch, err error) {
	resources := map[string]string{
		"deployment.yaml": "/apis/apps/v1/namespaces/%s/deployments/%s", "service.yaml": "/api/v1/namespaces/%s/services/%s",
		"serviceaccount.yaml": "/api/v1/namespaces/%s/serviceaccounts/%s", "config.yaml": "/api/v1/namespaces/%s/configmaps/%s",
	}
	for i := range min(namespaces, w.n) {
		body, err := json.Marshal(object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": namespace(i)}})
		if err != nil {
			return nil, nil, err
		}
		first = append(first, patch{"/api/v1/namespaces/" + namespace(i), body})
	}
	for i := range w.n {
		for file, o := range w.objects(i, "0") {
			meta := o["metadata"].(object)
			meta["namespace"] = namespace(i)
			body, err := json.Marshal(o)
			if err != nil {
				return nil, nil, err
			}
			rest = append(rest, patch{fmt.Sprintf(resources[file], namespace(i), meta["name"]), body})
		}
	}
	return first, rest, nil
}

func applyAll(ctx context.Context, client rest.Interface, patches []patch) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(floorWorkers)
	for _, p := range patches {
		g.Go(func() error {
			return client.Patch(types.ApplyPatchType).AbsPath(p.path).
				Param("fieldManager", "floor").Param("force", "true").Body(p.body).Do(ctx).Error()
		})
	}
	return g.Wait()
}

// rawClient sends bytes and looks at the status of the answers only.
func rawClient(config *rest.Config) (rest.Interface, error) {
	config.QPS = -1
	config.UserAgent = "floor"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	return rest.UnversionedRESTClientFor(config)
}

func apiServerCPU(cp *testbed.ControlPlane) (float64, error) {
	usage, err := cp.Usage()
	return usage[testbed.ProcAPIServer].CPUSeconds, err
}
