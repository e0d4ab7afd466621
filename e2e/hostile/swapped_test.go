package hostile

import (
	"context"
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// Two clusters that each have the other's identity, as after a restore of the wrong
// backup: neither agent gets in, by what real API servers say of themselves, until
// somebody allows it; and each name is then the other cluster's.
func TestE03_IdentitiesOfTwoClustersThatAreSwapped(t *testing.T) {
	if testing.Short() {
		t.Skip("needs two control planes, which -short leaves out")
	}
	ctx := longer(t)
	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t), NoGit: true})
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	const home, other = "hawser-system", "hawser-restored"
	names := []string{"eu", "us"}
	admin := map[string]kubernetes.Interface{}
	config := map[string][]byte{}
	agents := map[string]*rig.Agent{}
	agent := func(name, plane, namespace string) *rig.Agent {
		a, err := r.NewAgent(rig.AgentOptions{Cluster: name, Kubeconfig: config[plane], Namespace: namespace})
		must(t, err)
		t.Cleanup(a.Kill)
		return a
	}
	for _, name := range names {
		plane := testbed.NeedControlPlane(t, testbed.Options{Name: name})
		config[name] = plane.Kubeconfig()
		admin[name], err = kubernetes.NewForConfig(plane.RESTConfig())
		must(t, err)
		for _, ns := range []string{home, other} {
			_, err := admin[name].CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
			must(t, err)
		}
		agents[name] = agent(name, name, home)
		must(t, agents[name].Enrol(ctx, name+".log"))
	}
	// The same agents again are the same clusters.
	for _, name := range names {
		agents[name].Stop()
		must(t, agents[name].Start(name+"-again.log"))
	}
	for _, name := range names {
		must(t, agents[name].AwaitConnected(ctx))
		if held, _ := shown(ctx, t, r, name); held != "" {
			t.Errorf("%s came again, and is held as %q", name, held)
		}
		agents[name].Stop()
	}

	identity := func(plane, namespace string) *corev1.Secret {
		s, err := admin[plane].CoreV1().Secrets(namespace).Get(ctx, "hawser-agent-identity", metav1.GetOptions{})
		must(t, err)
		return s
	}
	swapped := map[string]string{"eu": "us", "us": "eu"}
	for name, plane := range swapped {
		from := identity(name, home)
		_, err := admin[plane].CoreV1().Secrets(other).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: from.Name}, Type: from.Type, Data: from.Data}, metav1.CreateOptions{})
		must(t, err)
		agents[name] = agent(name, plane, other)
		must(t, agents[name].Start(name+"-swapped.log"))
	}
	for _, name := range names {
		var connected bool
		await(t, name+" to be held", func() bool {
			var held string
			held, connected = shown(ctx, t, r, name)
			return held == "cluster_changed" || connected
		})
		if connected {
			t.Errorf("%s got in from the other cluster", name)
		}
	}
	// The first is allowed, and the second is not by that.
	_, err = r.CLI(ctx, "cluster", "allow", "eu", "--yes")
	must(t, err)
	agents["eu"].Stop() // who was refused tries again after five minutes
	must(t, agents["eu"].Start("eu-allowed.log"))
	must(t, agents["eu"].AwaitConnected(ctx))
	if held, connected := shown(ctx, t, r, "us"); held != "cluster_changed" || connected {
		t.Errorf("us is held as %q, connected %v, after eu was allowed", held, connected)
	}
	// Whoever was eu is not any more.
	agents["eu"].Stop()
	original := agent("eu", "eu", home)
	must(t, original.Start("eu-original.log"))
	await(t, "the original eu to be held", func() bool {
		held, connected := shown(ctx, t, r, "eu")
		return held == "cluster_changed" && !connected
	})
}

// shown is what the command line shows of a cluster.
func shown(ctx context.Context, t *testing.T, r *rig.Rig, name string) (held string, connected bool) {
	t.Helper()
	out, err := r.CLI(ctx, "cluster", "get", name, "-o", "json")
	must(t, err)
	var c struct {
		Held      string
		Connected bool
	}
	must(t, json.Unmarshal(out, &c))
	return c.Held, c.Connected
}
