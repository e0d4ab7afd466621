package access

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// defaultContainer is kubectl's annotation.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// pod is a Pod, as far as logs and commands need it.
type pod struct {
	Metadata struct {
		UID         string            `json:"uid"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		InitContainers      []container `json:"initContainers"`
		Containers          []container `json:"containers"`
		EphemeralContainers []container `json:"ephemeralContainers"`
	} `json:"spec"`
	Status struct {
		Phase                      string            `json:"phase"`
		InitContainerStatuses      []containerStatus `json:"initContainerStatuses"`
		ContainerStatuses          []containerStatus `json:"containerStatuses"`
		EphemeralContainerStatuses []containerStatus `json:"ephemeralContainerStatuses"`
	} `json:"status"`
}

type container struct {
	Name string `json:"name"`
}

type containerStatus struct {
	Name        string         `json:"name"`
	ContainerID string         `json:"containerID"`
	State       containerState `json:"state"`
	LastState   containerState `json:"lastState"`
}

type containerState struct {
	Waiting *struct {
		Reason string `json:"reason"`
	} `json:"waiting"`
	Running *struct {
		StartedAt string `json:"startedAt"`
	} `json:"running"`
	Terminated *struct {
		ContainerID string `json:"containerID"`
		StartedAt   string `json:"startedAt"`
	} `json:"terminated"`
}

// names are the containers of the pod, in the order in which they start.
func (p *pod) names() []string {
	var out []string
	for _, list := range [][]container{p.Spec.InitContainers, p.Spec.Containers, p.Spec.EphemeralContainers} {
		for _, c := range list {
			out = append(out, c.Name)
		}
	}
	return out
}

// usual is the container that is meant when none is named: the annotated one,
// else the first.
func (p *pod) usual() string {
	if name := p.Metadata.Annotations[defaultContainer]; name != "" && slices.Contains(p.names(), name) {
		return name
	}
	if len(p.Spec.Containers) > 0 {
		return p.Spec.Containers[0].Name
	}
	return ""
}

// over reports whether no container of the pod will run again.
func (p *pod) over() bool { return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" }

func (p *pod) status(name string) containerStatus {
	for _, list := range [][]containerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses} {
		for _, c := range list {
			if c.Name == name {
				return c
			}
		}
	}
	return containerStatus{}
}

// life names the life of a container whose log a kubelet gives: the one that
// runs, or the last when it waits to be started again (validateContainerLogStatus
// in Kubernetes' pkg/kubelet/kubelet_pods.go). "" when it never ran.
func (c containerStatus) life() string {
	switch {
	case c.State.Running != nil:
		return c.ContainerID + "@" + c.State.Running.StartedAt
	case c.State.Terminated != nil && c.State.Terminated.ContainerID != "" || c.LastState.Terminated == nil && c.State.Terminated != nil:
		return c.State.Terminated.ContainerID + "@" + c.State.Terminated.StartedAt
	case c.LastState.Terminated != nil:
		return c.LastState.Terminated.ContainerID + "@" + c.LastState.Terminated.StartedAt
	}
	return ""
}

func isPod(r reached) bool { return r.Key.Group == "" && r.Key.Kind == "Pod" }

// readPod asks for a pod as it is now. The pod is the one that was observed, or
// the answer is that it is gone.
func (s *Server) readPod(ctx context.Context, r reached) (*pod, error) {
	raw, err := s.get(ctx, pathOf(r.kind, versionOf(r), r.Key), nil)
	if err != nil {
		return nil, err
	}
	var p pod
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fault.Wrap(err, fault.Upstream, "cluster_failed", "the cluster's answer about %s could not be read", r.Key)
	}
	if p.Metadata.UID != r.UID {
		return nil, errGone(r.Key)
	}
	return &p, nil
}

// podsOf are the pods among the selected objects and what they own.
func podsOf(objects []reached, selector model.ObjectSelector) ([]reached, error) {
	chosen := pick(objects, selector)
	if len(chosen) == 0 {
		return nil, nothingMatches(objects, selector)
	}
	below := map[string]bool{}
	for _, r := range chosen {
		below[r.UID] = true
	}
	var out []reached
	// Owners come before what they own.
	for _, r := range objects {
		for _, o := range r.Owners {
			below[r.UID] = below[r.UID] || below[o.UID]
		}
		if below[r.UID] && isPod(r) {
			out = append(out, r)
		}
	}
	return out, nil
}

func containerUnknown(name string, known []string) error {
	return fault.New(fault.NotFound, "container_not_found", "there is no container %s", cut(name, 63)).
		WithField("container").WithFound(cut(name, 63), strings.Join(known, ", "))
}
