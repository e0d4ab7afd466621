package sync

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Impersonate is a service account's user by its parts; false for other users.
func Impersonate(user string) (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(user, "system:serviceaccount:")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

var serviceAccounts = live.Kind{GroupKind: model.GroupKind{Kind: "ServiceAccount"}, Version: "v1", Resource: "serviceaccounts", Namespaced: true}

// refusedAs is the refusal of a request that was made as somebody else: who that
// is, and whether it is the agent that may not be him, or he who does not exist.
// Nothing is ever tried again with the agent's own rights.
func (k *Kube) refusedAs(ctx context.Context, c Caller, r request, body []byte, refused error) error {
	f := fault.As(refused)
	if f.Code != "forbidden" {
		return refused // admission, a quota and the like are about the object
	}
	namespace, name, ok := Impersonate(c.User)
	if !ok {
		return refused
	}
	var s status
	_ = json.Unmarshal(body, &s) // a body that is none says nothing
	if strings.Contains(s.Message, "cannot impersonate resource") {
		return fault.Wrap(refused, fault.Denied, "impersonation_forbidden", "%s: the agent may not act as the service account %s/%s, which the project names", r.key, namespace, name).
			WithFix("allow the agent's account the verb impersonate on it, as docs/agent-rbac.yaml shows")
	}
	key := model.ObjectKey{Kind: "ServiceAccount", Namespace: namespace, Name: name}
	_, err := k.do(As(ctx, Own), request{method: http.MethodGet, kind: serviceAccounts, version: "v1", key: key})
	if fault.HasCode(err, "not_found") || fault.HasCode(err, "namespace_missing") {
		return fault.Wrap(refused, fault.Denied, "service_account_missing", "%s: the service account %s/%s, which the project names, does not exist", r.key, namespace, name).
			WithFix("create it and let it write this kind, or name another in destinationServiceAccounts of the project")
	}
	e := *f
	e.Fix = "grant the service account " + namespace + "/" + name + " this kind in this namespace, or take the object out of the application"
	e.Message = strings.Replace(e.Message, "the agent's account may not write it", "the service account "+namespace+"/"+name+" may not do that", 1)
	e.Message = clip(e.Message, maxMessage-len("…"))
	return &e
}
