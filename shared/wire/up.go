package wire

import (
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// This file holds what travels from an agent to the hub.

// HelloToProto translates a hello.
func HelloToProto(h model.Hello) (*agentv1.Hello, error) {
	p := &agentv1.Hello{
		ClusterId:       string(h.Cluster),
		AgentVersion:    h.AgentVersion,
		ProtocolMin:     h.ProtocolMin,
		ProtocolMax:     h.ProtocolMax,
		Capabilities:    h.Capabilities,
		KubeVersion:     h.KubeVersion,
		KubeUid:         h.KubeUID,
		LastEpoch:       EpochToProto(h.LastEpoch),
		MaxOperationSeq: h.MaxOpSeq,
		Instance:        h.Instance,
		SettingsDigest:  string(h.Settings),
	}
	for _, k := range h.Known {
		p.Known = append(p.Known, &agentv1.KnownApplication{
			AppUid: string(k.UID), Name: k.Name, Project: k.Project, Generation: int64(k.Generation),
			ContentDigest: string(k.Content), Withdrawing: k.Withdrawing, HoldDeletes: k.HoldDeletes,
		})
	}
	for _, u := range h.Operations {
		op, err := OperationUpdateToProto(u)
		if err != nil {
			return nil, err
		}
		p.Operations = append(p.Operations, op)
	}
	return p, nil
}

// Hello translates a hello. An application may be named once only.
func Hello(p *agentv1.Hello) (model.Hello, error) {
	if p == nil {
		return model.Hello{}, invalid("hello is missing")
	}
	if p.ClusterId == "" {
		return model.Hello{}, invalid("hello lacks its cluster id")
	}
	if p.ProtocolMin == 0 || p.ProtocolMax < p.ProtocolMin || p.MaxOperationSeq < 0 {
		return model.Hello{}, invalid("hello has no valid protocol range or operation number")
	}
	if len(p.Known) > maxKnown || len(p.Operations) > maxKnown {
		return model.Hello{}, fault.New(fault.TooLarge, "wire_too_large", "hello names %d applications and %d operations; %d are allowed", len(p.Known), len(p.Operations), maxKnown)
	}
	if err := words("hello", p.ClusterId, p.AgentVersion, p.KubeVersion, p.KubeUid, p.Instance); err != nil {
		return model.Hello{}, err
	}
	if err := words("hello.capabilities", p.Capabilities...); err != nil {
		return model.Hello{}, err
	}
	h := model.Hello{
		Cluster:      model.ClusterID(p.ClusterId),
		AgentVersion: p.AgentVersion,
		ProtocolMin:  p.ProtocolMin,
		ProtocolMax:  p.ProtocolMax,
		Capabilities: p.Capabilities,
		KubeVersion:  p.KubeVersion,
		KubeUID:      p.KubeUid,
		MaxOpSeq:     p.MaxOperationSeq,
		Instance:     p.Instance,
		Settings:     model.Digest(p.SettingsDigest),
	}
	if p.SettingsDigest != "" && !validDigest(p.SettingsDigest) {
		return model.Hello{}, invalid("hello names settings with a digest that is none")
	}
	var err error
	if h.LastEpoch, err = Epoch(p.LastEpoch); err != nil {
		return model.Hello{}, err
	}
	seen := make(map[string]bool, len(p.Known))
	for _, k := range p.Known {
		if k == nil || k.AppUid == "" || k.Generation < 0 {
			return model.Hello{}, invalid("hello names an application without id, or with a negative generation")
		}
		if seen[k.AppUid] {
			return model.Hello{}, invalid("hello names application %s twice", k.AppUid)
		}
		seen[k.AppUid] = true
		if k.ContentDigest != "" && !validDigest(k.ContentDigest) {
			return model.Hello{}, invalid("hello names application %s with a digest that is none", k.AppUid)
		}
		h.Known = append(h.Known, model.KnownApp{
			UID: model.AppUID(k.AppUid), Name: k.Name, Project: k.Project, Generation: model.Generation(k.Generation),
			Content: model.Digest(k.ContentDigest), Withdrawing: k.Withdrawing, HoldDeletes: k.HoldDeletes,
		})
	}
	for _, u := range p.Operations {
		op, err := OperationUpdate(u)
		if err != nil {
			return model.Hello{}, err
		}
		h.Operations = append(h.Operations, op)
	}
	return h, nil
}

// OperationUpdateToProto translates an update.
func OperationUpdateToProto(u model.OperationUpdate) (*agentv1.OperationUpdate, error) {
	p := &agentv1.OperationUpdate{
		Id: string(u.ID), Seq: u.Seq, AppUid: string(u.App), Kind: string(u.Kind), Phase: string(u.Phase),
		Message: u.Message, StartedAt: timePtrToProto(u.StartedAt), FinishedAt: timePtrToProto(u.FinishedAt),
	}
	if u.Result != nil {
		b, err := encodeJSON(u.Result)
		if err != nil {
			return nil, err
		}
		p.ResultJson = b
	}
	return p, nil
}

// OperationUpdate translates an update. Only phases that an agent can know are
// accepted: Running and the ends.
func OperationUpdate(p *agentv1.OperationUpdate) (model.OperationUpdate, error) {
	if p == nil {
		return model.OperationUpdate{}, invalid("operation update is missing")
	}
	u := model.OperationUpdate{
		ID: model.OperationID(p.Id), Seq: p.Seq, App: model.AppUID(p.AppUid), Kind: model.OperationKind(p.Kind),
		Phase: model.OperationPhase(p.Phase), Message: cut(p.Message),
	}
	if err := words("operation update", p.Id, p.AppUid); err != nil {
		return model.OperationUpdate{}, err
	}
	if u.ID == "" || u.App == "" || u.Seq < 0 || !knownKind(u.Kind) {
		return model.OperationUpdate{}, invalid("operation update lacks its id, application or kind")
	}
	if u.Phase != model.PhaseRunning && !u.Phase.Terminal() {
		return model.OperationUpdate{}, invalid("operation update of %s has the phase %q", u.ID, u.Phase)
	}
	var err error
	if u.StartedAt, err = timePtrFromProto(p.StartedAt, "operation.started_at"); err != nil {
		return model.OperationUpdate{}, err
	}
	if u.FinishedAt, err = timePtrFromProto(p.FinishedAt, "operation.finished_at"); err != nil {
		return model.OperationUpdate{}, err
	}
	if len(p.ResultJson) > 0 {
		u.Result = &model.OperationResult{}
		if err := decodeJSON(p.ResultJson, "operation.result", u.Result); err != nil {
			return model.OperationUpdate{}, err
		}
	}
	return u, nil
}

// AppReportToProto translates a report.
func AppReportToProto(r model.AppReport) (*agentv1.AppReport, error) {
	status, err := encodeJSON(r.Status)
	if err != nil {
		return nil, err
	}
	p := &agentv1.AppReport{
		AppUid: string(r.App), Seq: r.Seq, Generation: int64(r.Generation), ObservedAt: timeToProto(r.ObservedAt), StatusJson: status,
		Traceparent: r.TraceParent,
	}
	if r.Tree != nil {
		if p.TreeJson, err = encodeJSON(r.Tree); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// AppReport translates a report.
func AppReport(p *agentv1.AppReport) (model.AppReport, error) {
	if p == nil {
		return model.AppReport{}, invalid("report is missing")
	}
	if p.AppUid == "" || p.Seq == 0 || p.Generation < 0 || p.ObservedAt == nil {
		return model.AppReport{}, invalid("report lacks its application, number or time")
	}
	if err := words("report", p.AppUid, p.Traceparent); err != nil {
		return model.AppReport{}, err
	}
	r := model.AppReport{App: model.AppUID(p.AppUid), Seq: p.Seq, Generation: model.Generation(p.Generation), TraceParent: p.Traceparent}
	var err error
	if r.ObservedAt, err = timeFromProto(p.ObservedAt, "report.observed_at"); err != nil {
		return model.AppReport{}, err
	}
	if err := decodeJSON(p.StatusJson, "report.status", &r.Status); err != nil {
		return model.AppReport{}, err
	}
	if len(p.TreeJson) > 0 {
		r.Tree = &model.ResourceTree{}
		if err := decodeJSON(p.TreeJson, "report.tree", r.Tree); err != nil {
			return model.AppReport{}, err
		}
	}
	return r, nil
}

// ClusterReportToProto translates a cluster report.
func ClusterReportToProto(r model.ClusterReport) *agentv1.ClusterReport {
	return &agentv1.ClusterReport{
		KubeVersion: r.KubeVersion, Platform: r.Platform, Nodes: int32(r.Nodes), Namespaces: int32(r.Namespaces),
		ApiResources: r.APIResources, NamespacedKinds: r.NamespacedKinds, Conditions: r.Conditions,
		ObservedAt: timeToProto(r.ObservedAt), SettingsVersion: r.SettingsVersion, SettingsDigest: string(r.SettingsDigest),
	}
}

// maxConditions of a cluster are shown.
const maxConditions = 100

// Ack translates an acknowledgement of a desired state.
func Ack(p *agentv1.Ack) (app model.AppUID, generation model.Generation, code, message string, err error) {
	if p.GetAppUid() == "" || p.GetGeneration() <= 0 {
		return "", 0, "", "", invalid("acknowledgement lacks its application or generation")
	}
	if err := words("acknowledgement", p.AppUid, p.ErrorCode); err != nil {
		return "", 0, "", "", err
	}
	return model.AppUID(p.AppUid), model.Generation(p.Generation), p.ErrorCode, cut(p.Error), nil
}

// ClusterReport translates a cluster report.
func ClusterReport(p *agentv1.ClusterReport) (model.ClusterReport, error) {
	if p == nil {
		return model.ClusterReport{}, invalid("cluster report is missing")
	}
	if p.Nodes < 0 || p.Namespaces < 0 || p.SettingsVersion < 0 || p.ObservedAt == nil {
		return model.ClusterReport{}, invalid("cluster report has a negative count or no time")
	}
	if p.SettingsDigest != "" && !validDigest(p.SettingsDigest) {
		return model.ClusterReport{}, invalid("cluster report names settings with a digest that is none")
	}
	for what, list := range map[string][]string{
		"cluster report": {p.KubeVersion, p.Platform}, "cluster.api_resources": p.ApiResources, "cluster.namespaced_kinds": p.NamespacedKinds,
	} {
		if err := words(what, list...); err != nil {
			return model.ClusterReport{}, err
		}
	}
	conditions := p.Conditions
	if len(conditions) > maxConditions {
		conditions = conditions[:maxConditions]
	}
	for i := range conditions {
		conditions[i] = cut(conditions[i])
	}
	at, err := timeFromProto(p.ObservedAt, "cluster.observed_at")
	if err != nil {
		return model.ClusterReport{}, err
	}
	return model.ClusterReport{
		KubeVersion: p.KubeVersion, Platform: p.Platform, Nodes: int(p.Nodes), Namespaces: int(p.Namespaces),
		APIResources: p.ApiResources, NamespacedKinds: p.NamespacedKinds, Conditions: conditions, ObservedAt: at,
		SettingsVersion: p.SettingsVersion, SettingsDigest: model.Digest(p.SettingsDigest),
	}, nil
}
