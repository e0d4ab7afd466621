package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// kube is a cluster whose account may do everything but what is listed.
type kube struct {
	version string
	lacks   []Access
	state   error
	down    error
	asked   atomic.Int64
}

func (k *kube) Version(context.Context) (string, error) { return k.version, k.down }

func (k *kube) May(_ context.Context, a Access) (bool, error) {
	k.asked.Add(1)
	if a.Verb == "*" {
		return k.lacks == nil, k.down
	}
	return !slices.Contains(k.lacks, a), k.down
}

func (k *kube) TryState(context.Context, string) error { return k.state }

func TestVersionsOfKubernetes(t *testing.T) {
	for version, want := range map[string]model.PreflightOutcome{
		"v1.28.0": model.PreflightOK, "v1.37.2": model.PreflightOK, "v1.28.15+k3s1": model.PreflightOK, "v1.31.2-eks-7f9249a": model.PreflightOK,
		"v1.27.16": model.PreflightFailed, "v1.25.3-gke.800": model.PreflightFailed, "v0.9.0": model.PreflightFailed,
		"": model.PreflightWarning, "latest": model.PreflightWarning,
	} {
		got := Options{}.judgeVersion(version)
		if got.Outcome != want || (want != model.PreflightOK) != (got.Code == "kubernetes_unsupported" && got.Fix != "") || !strings.Contains(got.Message, version) {
			t.Errorf("%q: %+v", version, got)
		}
	}
}

func TestClocks(t *testing.T) {
	for ahead, want := range map[time.Duration]struct {
		outcome model.PreflightOutcome
		says    string
	}{
		time.Second:        {model.PreflightOK, "1s"},
		-time.Minute:       {model.PreflightOK, "1m0s"},
		2 * time.Minute:    {model.PreflightWarning, "2m0s behind"},
		-3 * time.Minute:   {model.PreflightWarning, "3m0s ahead of"},
		10 * time.Minute:   {model.PreflightFailed, "10m0s behind the hub's"},
		-600 * time.Second: {model.PreflightFailed, "10m0s ahead of the hub's"},
	} {
		got := Options{}.judgeClock(ahead)
		if got.Outcome != want.outcome || !strings.Contains(got.Message, want.says) || (want.outcome == model.PreflightOK) == (got.Code == "clock_skewed") {
			t.Errorf("%s: %+v", ahead, got)
		}
	}
}

func TestMissingRightsAreNamed(t *testing.T) {
	rights, err := ParseRights(`[{"namespaces": ["shop", "till"], "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "create", "delete"]}]},
{"rules": [{"apiGroups": [""], "resources": ["pods/log", "namespaces"], "verbs": ["get"]}, {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b"], "verbs": ["list"]}, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]}]`)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(questions(rights)); n != 6+2+2+1 {
		t.Errorf("%d questions", n)
	}
	if n := len(questions(append(rights, rights...))); n != 6+2+2+1 {
		t.Errorf("%d questions, some twice", n)
	}
	k := &kube{lacks: []Access{
		{Verb: "create", Group: "apps", Resource: "deployments", Namespace: "till"}, {Verb: "delete", Group: "apps", Resource: "deployments", Namespace: "till"},
		{Verb: "get", Resource: "pods", Subresource: "log"}, {Verb: "get", Resource: "namespaces"}, {Verb: "list", Resource: "configmaps", Name: "b"}, {Verb: "list", Resource: "secrets"},
	}}
	got := Options{Cluster: k, Rights: rights}.rights(t.Context())
	want := "the agent's account may not create, delete deployments.apps in till; get pods/log in all namespaces; get namespaces; list configmaps b in all namespaces; list secrets in all namespaces"
	if got.Outcome != model.PreflightFailed || got.Code != "agent_rights_missing" || got.Message != want || got.Fix == "" {
		t.Errorf("got %+v\nwant %s", got, want)
	}
	k.lacks = []Access{{Verb: "fly"}}
	if got := (Options{Cluster: k, Rights: rights}).rights(t.Context()); got.Outcome != model.PreflightOK || !strings.Contains(got.Message, "11 rights") {
		t.Errorf("got %+v", got)
	}
	// Who may do everything is asked once.
	all := &kube{}
	if got := (Options{Cluster: all, Rights: rights}).rights(t.Context()); got.Outcome != model.PreflightOK || all.asked.Load() != 1 {
		t.Errorf("asked %d times: %+v", all.asked.Load(), got)
	}
}

func TestManyMissingRightsAreCounted(t *testing.T) {
	var missing []Access
	for i := range 40 {
		missing = append(missing, Access{Verb: "get", Resource: fmt.Sprintf("kind%d", i)})
	}
	if s := sayMissing(missing); !strings.HasSuffix(s, "28 other resources") || len(s) > 700 {
		t.Error(s)
	}
}

func TestRightsThatCannotBeRead(t *testing.T) {
	for _, text := range []string{"{", `[{"ruels": []}]`, `[{"rules": [{"verb": ["get"]}]}]`, `"x"`} {
		if _, err := ParseRights(text); !fault.HasCode(err, "config_invalid") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if r, err := ParseRights(""); err != nil || len(r) != 0 {
		t.Errorf("%v %v", r, err)
	}
}

func TestAClusterThatDoesNotAnswerIsOneFailure(t *testing.T) {
	o := Options{Cluster: &kube{down: fault.New(fault.Unavailable, "cluster_unreachable", "down")}, HubError: fault.New(fault.Invalid, "proxy_invalid", "no URL")}
	checks := Run(t.Context(), o)
	var failed, silent []string
	for _, c := range checks {
		switch c.Outcome {
		case model.PreflightFailed:
			failed = append(failed, c.Check+" "+c.Code)
			if c.Fix == "" {
				silent = append(silent, c.Check)
			}
		case model.PreflightOK:
			t.Errorf("%+v", c)
		}
	}
	if strings.Join(failed, ", ") != "proxy proxy_invalid, token identity_not_found, kubernetes cluster_unreachable" || len(silent) > 0 || !Failed(checks) {
		t.Errorf("failed %q, without advice %q", failed, silent)
	}
	// An old cluster is looked at all the same.
	o.Cluster = &kube{version: "v1.20.1"}
	if got := Run(t.Context(), o); got[len(got)-1].Outcome != model.PreflightOK || got[len(got)-3].Code != "kubernetes_unsupported" {
		t.Errorf("%+v", got[len(got)-3:])
	}
}

func TestAPlaceForTheState(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		lacks   []Access
		outcome model.PreflightOutcome
		code    string
	}{
		"there":                       {nil, nil, model.PreflightOK, ""},
		"no namespace, and it may":    {fault.New(fault.NotFound, "not_found", "none"), nil, model.PreflightOK, ""},
		"no namespace, and it cannot": {fault.New(fault.NotFound, "not_found", "none"), []Access{{Verb: "create", Resource: "namespaces"}}, model.PreflightFailed, "journal_unwritable"},
		"a quota":                     {fault.New(fault.Denied, "journal_unwritable", "exceeded quota").WithFix("raise it"), nil, model.PreflightFailed, "journal_unwritable"},
	} {
		got := Options{Cluster: &kube{state: c.err, lacks: c.lacks}, Namespace: "hawser-system"}.state(t.Context())
		if got.Outcome != c.outcome || got.Code != c.code || (c.code != "") != (got.Fix != "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
