package health

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// custom are the kinds of other groups than Kubernetes' own.
var custom = index(certManager, flux, crossplane, argo, clusterAPI, observability, mesh, knative, autoscaling, secrets,
	gateways, kafka, databases, storage, pipelines, policies, platform, cloud)

// groups are rules for all kinds of some groups that are not listed above: those
// of which there are thousands, and those that users make themselves. A name
// that begins with a dot stands for the groups that end in it.
var groups = []struct {
	group string
	check func(kind string) check
}{
	{".crossplane.io", crossplaneGroup},
	{".upbound.io", crossplaneGroup},
	{".cluster.x-k8s.io", clusterAPIGroup},
	{".istio.io", istioGroup},
	{".cnrm.cloud.google.com", configConnectorGroup},
	{"core.cnrm.cloud.google.com", configConnectorGroup},
	{".services.k8s.aws", awsGroup},
	{".azure.com", azureGroup},
	{"ceph.rook.io", rookGroup},
	{"constraints.gatekeeper.sh", gatekeeperGroup},
	{"operator.victoriametrics.com", victoriaMetricsGroup},
	{"gateway.solo.io", glooGroup},
	{"gloo.solo.io", glooGroup},
	{"microgateway.airlock.com", conditionReadyGroup},
	{"grafana-org-operator.kubitus-project.gitlab.io", conditionReadyGroup},
}

func index(tables ...map[string]family) map[model.GroupKind]check {
	out := map[model.GroupKind]check{}
	for _, t := range tables {
		for group, kinds := range t {
			for kind, c := range kinds {
				gk := model.GroupKind{Group: group, Kind: kind}
				if out[gk] != nil {
					panic("two rules for " + gk.String())
				}
				out[gk] = c
			}
		}
	}
	return out
}

// checkOf is the check of a kind, nil when there is none of its own.
func checkOf(gk model.GroupKind) check {
	if c := checks[gk]; c != nil {
		return c
	}
	if c := custom[gk]; c != nil {
		return c
	}
	if inert[gk] {
		return exists
	}
	for _, g := range groups {
		if g.group == gk.Group || g.group[0] == '.' && strings.HasSuffix(gk.Group, g.group) {
			return g.check(gk.Kind)
		}
	}
	return nil
}
