package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

const (
	agentUserAgent = "hawser-agent"
	agentNamespace = "hawser-system"
)

// requestKind counts an agent's API requests.
type requestKind struct {
	// Watch counts watches and the lists that begin them.
	Watch     int `json:"watch"`
	Discovery int `json:"discovery"`
	// Journal counts requests for Secrets in the agent's own namespace.
	Journal int            `json:"journal"`
	Lease   int            `json:"lease"`
	Rest    int            `json:"rest"`
	ByVerb  map[string]int `json:"byVerb"` // "patch configmaps": 500
}

// counted is what the goal of requests is about.
func (r requestKind) counted() int { return r.Journal + r.Lease + r.Rest }

func (r requestKind) String() string {
	var verbs []string
	for _, v := range slices.Sorted(mapsKeys(r.ByVerb)) {
		verbs = append(verbs, fmt.Sprintf("%s %d", v, r.ByVerb[v]))
	}
	return fmt.Sprintf("%d watches and lists, %d discovery, %d journal, %d lease, %d others (%s)",
		r.Watch, r.Discovery, r.Journal, r.Lease, r.Rest, strings.Join(verbs, ", "))
}

func (r *requestKind) take(e testbed.AuditEvent) {
	if !strings.HasPrefix(e.UserAgent, agentUserAgent) {
		return
	}
	if r.ByVerb == nil {
		r.ByVerb = map[string]int{}
	}
	what := e.Resource
	if e.Subresource != "" {
		what += "/" + e.Subresource
	}
	if what == "" {
		what, _, _ = strings.Cut(e.RequestURI, "?")
	}
	r.ByVerb[e.Verb+" "+what]++
	own := e.Namespace == agentNamespace
	switch {
	case e.Verb == "watch" || e.Verb == "list":
		r.Watch++
	case e.Resource == "":
		r.Discovery++
	case own && e.Resource == "secrets":
		r.Journal++
	case own && e.Resource == "leases":
		r.Lease++
	default:
		r.Rest++
	}
}

// requestsUntilNow reads the audit log up to a request of its own.
func requestsUntilNow(ctx context.Context, cp *testbed.ControlPlane, reader *testbed.AuditReader) (r requestKind, err error) {
	client, err := dynamicClient(cp)
	if err != nil {
		return r, err
	}
	barrier := fmt.Sprintf("barrier-%p", reader)
	_, err = client.Resource(configMapsGVR).Namespace("default").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + barrier})
	if err != nil {
		return r, err
	}
	_, err = reader.Await(ctx, func(e testbed.AuditEvent) bool {
		r.take(e)
		return strings.Contains(e.RequestURI, barrier)
	})
	return r, err
}
