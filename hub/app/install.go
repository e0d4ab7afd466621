package app

import (
	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/hub/installation"
)

// installAgent says how an agent is installed that is to connect to this hub.
func (h *hub) installAgent(in api.AgentInstallation) (helm, manifest string, err error) {
	a := installation.Agent{
		Hub: h.cfg.Advertise, CAHash: h.ca.Hash(), Token: in.Token, Cluster: in.Cluster,
		Profile: in.Profile, Namespaces: in.Namespaces, Chart: h.cfg.AgentChart, Registry: h.cfg.AgentRegistry,
	}
	if err := a.Check(); err != nil {
		return "", "", err
	}
	manifest, err = a.Manifest()
	return a.Helm(), manifest, err
}
