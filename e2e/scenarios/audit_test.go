package scenarios

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// agentName begins the user agent of every request of an agent.
const agentName = "hawser-agent"

// witness is the API server's own record of who did what.
type witness struct {
	cluster *rig.Cluster
	reader  *testbed.AuditReader
	events  []testbed.AuditEvent // the agents' writes since the mark
}

func newWitness(c *rig.Cluster) (*witness, error) {
	r, err := c.AuditFromNow()
	return &witness{cluster: c, reader: r}, err
}

// upToNow reads everything that happened before the call. A request of its own
// shows up in the log after them.
func (w *witness) upToNow(ctx context.Context) error {
	o, err := outsiderOf(w.cluster)
	if err != nil {
		return err
	}
	name := "barrier-" + uuid.NewString()
	configMaps := o.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("default")
	if _, err := configMaps.List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name, Limit: 1}); err != nil {
		return err
	}
	_, err = w.reader.Await(ctx, func(e testbed.AuditEvent) bool {
		w.take(e)
		return strings.Contains(e.RequestURI, name)
	})
	return err
}

// take keeps the agents' writes. A dry run writes nothing.
func (w *witness) take(e testbed.AuditEvent) {
	if e.Write() && !strings.Contains(e.RequestURI, "dryRun=All") && strings.HasPrefix(e.UserAgent, agentName) {
		w.events = append(w.events, e)
	}
}

// in returns the agents' writes in a namespace, to itself included.
func (w *witness) in(namespace string, match func(testbed.AuditEvent) bool) []testbed.AuditEvent {
	var found []testbed.AuditEvent
	for _, e := range w.events {
		inside := e.Namespace == namespace || e.Resource == "namespaces" && e.Name == namespace
		if inside && match(e) {
			found = append(found, e)
		}
	}
	return found
}

const auditUsage = "audit CLUSTER mark | write VERB RESOURCE [NS/]NAME | nowrite NS | nodelete NS"

func cmdAudit(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg && !strings.HasPrefix(args[1], "no") {
		usage(ts, auditUsage)
	}
	w := of(ts).witness[args[0]]
	if w == nil {
		ts.Fatalf("there is no cluster %s", args[0])
	}
	ctx, cancel := within()
	defer cancel()
	switch {
	case args[1] == "mark" && len(args) == 2:
		ts.Check(w.upToNow(ctx))
		w.events = nil
	case args[1] == "write" && len(args) == 5:
		namespace, name := splitName(args[4])
		ts.Check(w.awaitWrite(ctx, args[2], args[3], namespace, name))
	case args[1] == "nowrite" && len(args) == 3:
		ts.Check(w.upToNow(ctx))
		verdict(ts, neg, none(w.in(args[2], func(testbed.AuditEvent) bool { return true })))
	case args[1] == "nodelete" && len(args) == 3:
		ts.Check(w.upToNow(ctx))
		verdict(ts, neg, none(w.in(args[2], func(e testbed.AuditEvent) bool { return strings.HasPrefix(e.Verb, "delete") })))
	default:
		usage(ts, auditUsage)
	}
}

func none(events []testbed.AuditEvent) error {
	if len(events) == 0 {
		return nil
	}
	return fmt.Errorf("the API server saw %d such request(s), first: %v", len(events), events[0])
}

func (w *witness) awaitWrite(ctx context.Context, verb, resource, namespace, name string) error {
	match := func(e testbed.AuditEvent) bool {
		return !strings.Contains(e.RequestURI, "dryRun=All") && e.Verb == verb && e.Resource == resource && e.Namespace == namespace && e.Name == name &&
			e.Code/100 == 2 && strings.HasPrefix(e.UserAgent, agentName)
	}
	for _, e := range w.events {
		if match(e) {
			return nil
		}
	}
	_, err := w.reader.Await(ctx, func(e testbed.AuditEvent) bool {
		w.take(e)
		return match(e)
	})
	if err != nil {
		return fmt.Errorf("no agent has done %s %s %s/%s: %w", verb, resource, namespace, name, err)
	}
	return nil
}
