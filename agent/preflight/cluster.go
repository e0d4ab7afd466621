package preflight

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Oldest is the oldest Kubernetes that an agent is made for. The charts say the same
// in kubeVersion.
const Oldest = "1.28.0"

const codeUnsupported = "kubernetes_unsupported"

func (o Options) kubernetes(ctx context.Context) model.PreflightCheck {
	v, err := o.Cluster.Version(ctx)
	if err != nil {
		return o.failed(checkKubernetes, err)
	}
	return o.judgeVersion(v)
}

// judgeVersion is the decision about a version. Suffixes, as of k3s and of clouds, do
// not count.
func (o Options) judgeVersion(v string) model.PreflightCheck {
	got, err := version.ParseGeneric(v)
	if err != nil {
		return warned(o.failed(checkKubernetes, fault.New(fault.Upstream, codeUnsupported, "the API server calls its version %q; that is none", v).
			WithFix("see what answers at the API server's address; Kubernetes %s or newer is needed", oldest())))
	}
	if got.LessThan(version.MustParseGeneric(Oldest)) {
		return o.failed(checkKubernetes, fault.New(fault.Precondition, codeUnsupported, "this cluster is Kubernetes %s; %s or newer is needed", v, oldest()).
			WithFix("upgrade the cluster; an agent may seem to work in an older one, and nobody has tried"))
	}
	return good(checkKubernetes, "Kubernetes %s; %s or newer is needed", v, oldest())
}

func oldest() string { return strings.TrimSuffix(Oldest, ".0") }

// state asks whether the agent could keep its state.
func (o Options) state(ctx context.Context) model.PreflightCheck {
	err := o.Cluster.TryState(ctx, o.Namespace)
	switch {
	case err == nil:
		return good(checkState, "Secrets can be stored in the namespace %s", o.Namespace)
	case fault.Is(err, fault.NotFound):
		may, e := o.Cluster.May(ctx, Access{Verb: "create", Resource: "namespaces"})
		if e == nil && may {
			return good(checkState, "the namespace %s does not exist yet, and may be made", o.Namespace)
		}
		return o.failed(checkState, fault.New(fault.Precondition, "journal_unwritable", "the namespace %s does not exist, and the agent's account may not make it", o.Namespace).
			WithFix("kubectl create namespace %s", o.Namespace))
	}
	return o.failed(checkState, err)
}
