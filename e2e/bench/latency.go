package main

import (
	"context"
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const repeats = 50

// latency measures one application, the first of the workload, 50 times: a
// commit with its webhook, then drift. Each drift has another content, because one
// that comes back within a minute is repaired later and later, by design.
func (f *fleet) latency(ctx context.Context, commits, drifts func(time.Duration)) error {
	config, err := watchSome(ctx, f.cluster.ControlPlane, configMapsGVR, namespace(0), configName(0))
	if err != nil {
		return err
	}
	defer config.Stop()
	client, err := dynamicClient(f.cluster.ControlPlane)
	if err != nil {
		return err
	}
	configs := client.Resource(configMapsGVR).Namespace(namespace(0))
	for range repeats {
		once, cancel := context.WithTimeout(ctx, time.Minute)
		err := func() error {
			revision, begin, err := f.commit(once, 0)
			if err != nil {
				return err
			}
			if err := f.Push(once, f.repo.URL(), branch, f.head); err != nil {
				return err
			}
			if err := config.until(once, 1, revisionIs(revision)); err != nil {
				return err
			}
			commits(time.Since(begin))
			if err := f.awaitOne(once, appName(0)); err != nil {
				return err
			}
			drifted := "drifted-" + revision
			drift, err := json.Marshal(object{"data": object{"revision": drifted}})
			if err != nil {
				return err
			}
			begin = time.Now()
			if _, err := configs.Patch(once, configName(0), types.MergePatchType, drift, metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
				return err
			}
			if err := config.until(once, 1, revisionIs(drifted)); err != nil {
				return err
			}
			if err := config.until(once, 1, revisionIs(revision)); err != nil {
				return err
			}
			drifts(time.Since(begin))
			return f.awaitOne(once, appName(0))
		}()
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitOne waits until one application is Synced to the last commit and Healthy
// at the hub, and the hub's other applications are left aside.
func (f *fleet) awaitOne(ctx context.Context, name string) error {
	_, err := f.CLI(ctx, "app", "wait", name, "--revision", f.head, "--timeout", "60s")
	return err
}
