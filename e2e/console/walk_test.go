package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/audit"
)

// TestWalk goes the whole way through the console with keys alone, over a real
// cluster and a real Git server: enrol, project, application, commit, drift,
// rollback, logs, a shell, the deletion of an object, parameters.
func TestWalk(t *testing.T) {
	r, p := start(t)
	ctx := t.Context()
	kubelet, err := testbed.StartKubelet(testbed.KubeletOptions{Exec: shell})
	must(t, err)
	t.Cleanup(kubelet.Close)
	repo, err := r.Git.CreateRepo(ctx, "shop")
	must(t, err)
	_, err = repo.Commit(ctx, "The shop", deployment("registry.example/shop:1"))
	must(t, err)
	eu, err := r.AddClusterWith(ctx, testbed.Options{Name: "eu", Kubelet: kubelet})
	must(t, err)
	steps(t, r, p, "walk", Hands{
		"repository": func(context.Context, json.RawMessage) (any, error) { return repo.URL(), nil },
		// Does what the command that was copied says, on the machine of the cluster.
		"enrol": func(ctx context.Context, arg json.RawMessage) (any, error) {
			token, err := tokenOf(arg, r.Hub.Addr, r.Hub.CAHash, eu.Name)
			if err != nil {
				return nil, err
			}
			return nil, eu.StartAgent(ctx, token, "--cluster-name", eu.Name, "--allow-exec")
		},
		"commit": func(ctx context.Context, arg json.RawMessage) (any, error) {
			var c struct{ Message, Image string }
			if err := json.Unmarshal(arg, &c); err != nil {
				return nil, err
			}
			sha, err := repo.Commit(ctx, c.Message, deployment(c.Image))
			if err != nil {
				return nil, err
			}
			return sha, r.Push(ctx, repo.URL(), testbed.DefaultBranch, sha)
		},
		"drift": func(ctx context.Context, _ json.RawMessage) (any, error) {
			o, err := eu.Object(rig.Deployments, "shop", "web")
			if err != nil {
				return nil, err
			}
			return nil, o.Patch(ctx, map[string]any{"spec": map[string]any{"replicas": 2}})
		},
		// A pod of the shop that runs says a line.
		"say": func(ctx context.Context, arg json.RawMessage) (any, error) {
			var line string
			if err := json.Unmarshal(arg, &line); err != nil {
				return nil, err
			}
			pod, err := runningPod(ctx, eu)
			if err == nil {
				kubelet.Say("shop", pod, "web", line)
			}
			return pod, err
		},
	})
	audited(t, r)
}

// audited looks for what the steps did: shells with their beginnings and how they
// ended, and the deletion of an object with what became of it in the cluster.
func audited(t *testing.T, r *rig.Rig) {
	t.Helper()
	api, err := r.API()
	must(t, err)
	for query, want := range map[string]int{
		"kind=begun&action=execResource":        3,
		"kind=command&action=execResource":      3,
		"kind=command&action=deleteResource":    1,
		"kind=effect&action=operationSucceeded": 2, // the rollback, and the deletion
	} {
		deadline := time.Now().Add(30 * time.Second)
		for {
			var got struct{ Items []audit.Record }
			must(t, api.Do(t.Context(), "GET", "/audit?name=shop&"+query, nil, &got))
			if len(got.Items) >= want {
				for _, a := range got.Items {
					if a.Actor != person || a.Project != "team" || a.Kind == audit.Command && a.Outcome != audit.Done {
						t.Errorf("%s: %+v", query, a)
					}
				}
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s: %d records, want %d", query, len(got.Items), want)
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// shell is what the containers of the shop have for one: it says the terminal's size
// first, then what is typed, and ends with "exit". The titles and links that it writes
// are those of a program that means no good.
func shell(ctx context.Context, e testbed.Exec) (int, error) {
	if len(e.Command) == 0 || e.Command[0] != "sh" {
		return testbed.KubeletCommands(ctx, e)
	}
	select {
	case size := <-e.Size:
		fmt.Fprintf(e.Stdout, "\x1b]0;owned\x07\x1b[1mwelcome\x1b[0m %s\r\n", size)
	case <-ctx.Done():
		return 130, nil
	}
	lines := bufio.NewReader(e.Stdin)
	for {
		line, err := lines.ReadString('\r')
		if err != nil {
			return 130, nil // the client has gone
		}
		if line = strings.TrimSpace(line); line == "exit" {
			return 7, nil
		}
		fmt.Fprintf(e.Stdout, "you said <b>%s</b>\r\n", line)
	}
}

func deployment(image string) map[string][]byte {
	return map[string][]byte{"deploy/web.yaml": fmt.Appendf(nil, `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: %q}]}
`, image)}
}

// tokenOf is the token in the command of the console, which must name this hub and
// this cluster and do nothing else.
func tokenOf(arg json.RawMessage, hub, hash, cluster string) (string, error) {
	var command string
	if err := json.Unmarshal(arg, &command); err != nil {
		return "", err
	}
	want := regexp.MustCompile(`^helm upgrade --install hawser-agent oci://\S+ --version \S+ \\
  --namespace hawser-system --create-namespace \\
  --set hub.address=` + regexp.QuoteMeta(hub) + ` \\
  --set hub.caHash=` + regexp.QuoteMeta(hash) + ` \\
  --set clusterName=` + regexp.QuoteMeta(cluster) + ` \\
  --set token.value=(\S+)$`)
	m := want.FindStringSubmatch(strings.TrimSpace(command))
	if m == nil {
		return "", fmt.Errorf("%q is not %s", command, want)
	}
	return m[1], nil
}

// runningPod waits for a pod of the shop.
func runningPod(ctx context.Context, c *rig.Cluster) (string, error) {
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		return "", err
	}
	// Without a version a watch begins with what there is.
	w, err := client.CoreV1().Pods("shop").Watch(ctx, metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		return "", err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		pod, ok := e.Object.(*corev1.Pod)
		if ok && e.Type != watch.Deleted && pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning {
			return pod.Name, nil
		}
	}
	return "", fmt.Errorf("no pod of the shop runs: %w", context.Cause(ctx))
}
