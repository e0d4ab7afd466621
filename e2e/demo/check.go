package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hawser-dev/hawser/e2e/rig"
)

// outage is how long the hub is away in the check of it.
const outage = 20 * time.Second

// result is the line that --check prints. Times are seconds.
type result struct {
	OK     bool              `json:"ok"`
	Setup  float64           `json:"setup_s"`
	First  float64           `json:"first_sync_s"`
	Times  map[string]any    `json:"times_s"`
	Errors map[string]string `json:"errors,omitempty"`
}

// check walks through the changes and faults. A check that fails does not stop
// the ones after it.
func (d *demo) check(ctx context.Context, p *progress) result {
	res := result{OK: true, Setup: seconds(d.all), First: seconds(d.firstSync), Times: map[string]any{}, Errors: map[string]string{}}
	checks := []struct {
		name, title string
		run         func(context.Context) (time.Duration, error)
	}{
		{"commit", "a commit changes an object", d.checkCommit},
		{"drift", "drift by a direct API call is reverted", d.checkDrift},
		{"prune", "an object removed in Git is pruned", d.checkPrune},
		{"hub_away", fmt.Sprintf("hub killed for %v: drift is repaired before it is back", outage), d.checkHubAway},
		{"agent_restart", "agent killed and restarted while the hub is down repairs drift", d.checkAgentRestart},
		{"cascade", "an application is deleted with its objects", d.checkCascade},
	}
	for _, c := range checks {
		p.step("%s", c.title)
		cctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		took, err := c.run(cctx)
		cancel()
		if err != nil {
			res.OK = false
			res.Errors[c.name] = err.Error()
			p.failed("%s: %v", c.title, err)
			continue
		}
		res.Times[c.name] = seconds(took)
		p.done("%s: %.3f s", c.title, took.Seconds())
	}
	return res
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// checkCommit measures from the commit to the changed object in the cluster,
// and then asks the hub whether it knows.
func (d *demo) checkCommit(ctx context.Context) (time.Duration, error) {
	config, err := d.eu.Object(rig.ConfigMaps, "shop", "storefront")
	if err != nil {
		return 0, err
	}
	file := "storefront/eu/storefront.yaml"
	changed := bytes.Replace(sampleFiles()[file], []byte("Welcome aboard"), []byte("Ahoy"), 1)
	begin := time.Now()
	sha, err := d.repo.Commit(ctx, "Greet like sailors", map[string][]byte{file: changed})
	if err != nil {
		return 0, err
	}
	if err := d.Push(ctx, d.repo.URL(), "main", sha); err != nil {
		return 0, err
	}
	err = config.Await(ctx, "the greeting is the new one", func(o *unstructured.Unstructured) bool {
		return rig.Field(o, "data", "greeting") == "Ahoy"
	})
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	_, err = d.CLI(ctx, "app", "wait", "storefront-eu", "--revision", sha, "--timeout", "60s")
	return took, err
}

// checkDrift changes and deletes objects behind Hawser's back.
func (d *demo) checkDrift(ctx context.Context) (time.Duration, error) {
	if _, err := d.scaleAndAwait(ctx, d.us); err != nil {
		return 0, err
	}
	return d.deleteAndAwait(ctx, d.us, "shop", "banner")
}

// scaleAndAwait scales a Deployment by hand and waits until it is as in Git.
func (d *demo) scaleAndAwait(ctx context.Context, c *rig.Cluster) (time.Duration, error) {
	deployment, err := c.Object(rig.Deployments, "shop", "storefront")
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := deployment.Patch(ctx, map[string]any{"spec": map[string]any{"replicas": 7}}); err != nil {
		return 0, err
	}
	err = deployment.Await(ctx, "the Deployment has 2 replicas again", func(o *unstructured.Unstructured) bool {
		return rig.Field(o, "spec", "replicas") == "2"
	})
	return time.Since(begin), err
}

func (d *demo) deleteAndAwait(ctx context.Context, c *rig.Cluster, namespace, name string) (time.Duration, error) {
	config, err := c.Object(rig.ConfigMaps, namespace, name)
	if err != nil {
		return 0, err
	}
	old, err := config.Get(ctx)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := config.Delete(ctx); err != nil {
		return 0, err
	}
	err = config.Await(ctx, "the deleted ConfigMap is back", func(o *unstructured.Unstructured) bool {
		return o != nil && o.GetUID() != old.GetUID()
	})
	return time.Since(begin), err
}

func (d *demo) checkPrune(ctx context.Context) (time.Duration, error) {
	banner, err := d.eu.Object(rig.ConfigMaps, "shop", "banner")
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	sha, err := d.repo.Commit(ctx, "No banner in Europe", map[string][]byte{"storefront/eu/banner.yaml": nil})
	if err != nil {
		return 0, err
	}
	if err := d.Push(ctx, d.repo.URL(), "main", sha); err != nil {
		return 0, err
	}
	err = banner.Await(ctx, "the banner is gone", func(o *unstructured.Unstructured) bool { return o == nil })
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	// The same file in the other region is another application's and stays.
	other, err := d.us.Object(rig.ConfigMaps, "shop", "banner")
	if err != nil {
		return 0, err
	}
	if _, err := other.Get(ctx); err != nil {
		return 0, fmt.Errorf("the banner of the other region: %w", err)
	}
	return took, nil
}

func (d *demo) checkHubAway(ctx context.Context) (time.Duration, error) {
	back := time.Now().Add(outage)
	d.Hub.Kill()
	took, err := d.scaleAndAwait(ctx, d.eu)
	if err == nil && !time.Now().Before(back) {
		err = fmt.Errorf("the repair took %v, longer than the hub was away", took)
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(time.Until(back)): // the outage has a stated length
	}
	if startErr := d.Hub.Start(ctx); startErr != nil {
		return 0, startErr
	}
	if err != nil {
		return 0, err
	}
	return took, d.everythingWell(ctx)
}

func (d *demo) checkAgentRestart(ctx context.Context) (time.Duration, error) {
	d.Hub.Kill()
	d.edge.KillAgent()
	sensor, err := d.edge.Object(rig.ConfigMaps, "edge", "sensor")
	if err != nil {
		return 0, err
	}
	if err := sensor.Patch(ctx, map[string]any{"data": map[string]any{"interval": "1h"}}); err != nil {
		return 0, err
	}
	begin := time.Now()
	err = d.edge.RestartAgent()
	if err == nil {
		err = sensor.Await(ctx, "the interval is 10s again", func(o *unstructured.Unstructured) bool {
			return rig.Field(o, "data", "interval") == "10s"
		})
	}
	took := time.Since(begin)
	if startErr := d.Hub.Start(ctx); startErr != nil {
		return 0, startErr
	}
	if err != nil {
		return 0, err
	}
	return took, d.everythingWell(ctx)
}

// everythingWell asks the hub, after it is back, whether all is as desired.
func (d *demo) everythingWell(ctx context.Context) error {
	_, err := d.CLI(ctx, append([]string{"app", "wait", "--timeout", "90s"}, applications...)...)
	return err
}

func (d *demo) checkCascade(ctx context.Context) (time.Duration, error) {
	deployment, err := d.edge.Object(rig.Deployments, "edge", "uplink")
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if _, err := d.CLI(ctx, "app", "delete", "edge", "--cascade", "--yes"); err != nil {
		return 0, err
	}
	err = deployment.Await(ctx, "the Deployment is gone", func(o *unstructured.Unstructured) bool { return o == nil })
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	if _, err := d.CLI(ctx, "app", "get", "edge"); err == nil {
		return 0, fmt.Errorf("the hub still shows the deleted application")
	}
	// The others are untouched.
	_, err = d.CLI(ctx, "app", "wait", "storefront-eu", "storefront-us", "--timeout", "30s")
	return took, err
}
