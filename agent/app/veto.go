package app

import (
	"context"
	"sync"

	"github.com/hawser-dev/hawser/agent/configmap"
	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/veto"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// startVeto reads the cluster's own policy before anything can be written: an
// agent that does not know what is forbidden waits.
func (a *agent) startVeto(ctx context.Context) error {
	a.veto = veto.NewKeeper(veto.Options{Namespace: a.cfg.Namespace, Counts: &vetoCounts{secrets: a.client}, Log: a.log, Changed: a.clusterNews})
	a.vetoMap = a.watchConfigMap(veto.ConfigMapName, a.veto.Set, a.veto.Failed)
	return a.readConfigMap(ctx, a.vetoMap)
}

// watchConfigMap makes the watch of a ConfigMap of the agent's own namespace.
func (a *agent) watchConfigMap(name string, seen func(map[string]string, bool), failed func(error)) *configmap.Watch {
	return &configmap.Watch{Client: a.http, Base: a.base, Namespace: a.cfg.Namespace, Name: name,
		UserAgent: "hawser-agent/" + telemetry.Version, Log: a.log, Seen: seen, Failed: failed}
}

// readConfigMap reads it for the first time. A server that refuses has answered:
// what that means is its reader's to decide.
func (a *agent) readConfigMap(ctx context.Context, w *configmap.Watch) error {
	err := a.persist(ctx, "read ConfigMap "+w.Name, w.Read)
	if fault.Is(err, fault.Denied) {
		return nil
	}
	return err
}

// clusterNews has the cluster described anew soon; it never blocks.
func (a *agent) clusterNews() {
	select {
	case a.kinds <- struct{}{}:
	default:
	}
}

const (
	vetoCountsSecret = "hawser-veto-counts"
	vetoCountsField  = "deletes"
)

// vetoCounts keeps the number of deletes in a Secret. It implements
// veto.CountStore.
type vetoCounts struct {
	secrets secrets

	mu      sync.Mutex
	version string // of the Secret as it was read or written last; "": there is none
}

func (v *vetoCounts) LoadCounts(ctx context.Context) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.secrets.Get(ctx, vetoCountsSecret)
	if fault.Is(err, fault.NotFound) {
		v.version = ""
		return nil, nil
	}
	v.version = s.ResourceVersion
	return s.Data[vetoCountsField], err
}

func (v *vetoCounts) SaveCounts(ctx context.Context, b []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := journal.Secret{Name: vetoCountsSecret, ResourceVersion: v.version, Data: map[string][]byte{vetoCountsField: b}}
	write := v.secrets.Update
	if v.version == "" {
		write = v.secrets.Create
	}
	stored, err := write(ctx, s)
	if err == nil {
		v.version = stored.ResourceVersion
	}
	return err
}
