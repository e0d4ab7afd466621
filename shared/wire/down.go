package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// This file holds what travels from the hub to an agent.

func durationToProto(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func duration(p *durationpb.Duration, what string) (time.Duration, error) {
	if p == nil {
		return 0, nil
	}
	if p.CheckValid() != nil || p.AsDuration() < 0 {
		return 0, invalid("%s is not a duration", what)
	}
	return p.AsDuration(), nil
}

// WelcomeToProto translates a welcome.
func WelcomeToProto(w model.Welcome) *agentv1.Welcome {
	return &agentv1.Welcome{
		Epoch:                EpochToProto(w.Epoch),
		IncarnationSignature: w.IncarnationSignature,
		HubId:                w.HubID,
		HubVersion:           w.HubVersion,
		Heartbeat:            durationToProto(w.Heartbeat),
		ReconnectSpread:      durationToProto(w.ReconnectSpread),
		ReconnectCap:         durationToProto(w.ReconnectCap),
		Protocol:             w.Protocol,
	}
}

// Welcome translates a welcome; it must have an epoch, a hub id and a
// signature.
func Welcome(p *agentv1.Welcome) (model.Welcome, error) {
	if p == nil {
		return model.Welcome{}, invalid("welcome is missing")
	}
	w := model.Welcome{IncarnationSignature: p.IncarnationSignature, HubID: p.HubId, HubVersion: p.HubVersion, Protocol: p.Protocol}
	var err error
	if w.Epoch, err = Epoch(p.Epoch); err != nil {
		return model.Welcome{}, err
	}
	if w.Epoch.IsZero() || w.HubID == "" || len(w.IncarnationSignature) == 0 {
		return model.Welcome{}, invalid("welcome lacks its epoch, hub id or signature")
	}
	if w.Heartbeat, err = duration(p.Heartbeat, "welcome.heartbeat"); err != nil {
		return model.Welcome{}, err
	}
	if w.ReconnectSpread, err = duration(p.ReconnectSpread, "welcome.reconnect_spread"); err != nil {
		return model.Welcome{}, err
	}
	if w.ReconnectCap, err = duration(p.ReconnectCap, "welcome.reconnect_cap"); err != nil {
		return model.Welcome{}, err
	}
	return w, nil
}

// DesiredToProto translates a desired state; inline is its encoded bundle, or
// nil when the agent is to fetch it.
func DesiredToProto(d model.Desired, inline []byte) (*agentv1.Desired, error) {
	spec, err := encodeJSON(d.Spec)
	if err != nil {
		return nil, err
	}
	project, err := encodeJSON(d.ProjectSpec)
	if err != nil {
		return nil, err
	}
	return &agentv1.Desired{
		AppUid:       string(d.App),
		Name:         d.Name,
		Project:      d.Project,
		Generation:   int64(d.Generation),
		BundleDigest: string(d.Bundle),
		BundleBytes:  d.BundleBytes,
		InlineBundle: inline,
		Revision:     revisionToProto(d.Revision),
		SpecJson:     spec,
		ProjectJson:  project,
		HoldDeletes:  d.HoldDeletes,
		Traceparent:  d.TraceParent,
		Observe:      d.Observe,
	}, nil
}

// Desired translates a desired state and its inline bundle, if it has one.
func Desired(p *agentv1.Desired) (d model.Desired, inline []byte, err error) {
	if p == nil {
		return model.Desired{}, nil, invalid("desired is missing")
	}
	if p.AppUid == "" || p.Name == "" || p.Generation <= 0 || p.BundleBytes < 0 {
		return model.Desired{}, nil, invalid("desired lacks its application, name or generation")
	}
	if !validDigest(p.BundleDigest) {
		return model.Desired{}, nil, invalid("desired of %s names no bundle digest", p.Name)
	}
	d = model.Desired{
		App:         model.AppUID(p.AppUid),
		Name:        p.Name,
		Project:     p.Project,
		Generation:  model.Generation(p.Generation),
		Bundle:      model.Digest(p.BundleDigest),
		BundleBytes: p.BundleBytes,
		HoldDeletes: p.HoldDeletes,
		TraceParent: p.Traceparent,
		Observe:     p.Observe,
	}
	if d.Revision, err = revision(p.Revision); err != nil {
		return model.Desired{}, nil, err
	}
	if err := decodeJSON(p.SpecJson, "desired.spec", &d.Spec); err != nil {
		return model.Desired{}, nil, err
	}
	if err := decodeJSON(p.ProjectJson, "desired.project", &d.ProjectSpec); err != nil {
		return model.Desired{}, nil, err
	}
	return d, p.InlineBundle, nil
}

func validDigest(s string) bool {
	const prefix = "sha256:"
	if len(s) != len(prefix)+64 || s[:len(prefix)] != prefix {
		return false
	}
	for _, c := range []byte(s[len(prefix):]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

var modeToProto = map[model.WithdrawMode]agentv1.Withdraw_Mode{
	model.WithdrawOrphan:            agentv1.Withdraw_MODE_ORPHAN,
	model.WithdrawCascade:           agentv1.Withdraw_MODE_CASCADE,
	model.WithdrawCascadeBackground: agentv1.Withdraw_MODE_CASCADE_BACKGROUND,
}

// WithdrawToProto translates a withdrawal; an unknown mode is an error, never
// a default.
func WithdrawToProto(w model.Withdraw) (*agentv1.Withdraw, error) {
	mode, ok := modeToProto[w.Mode]
	if !ok {
		return nil, invalid("withdrawal of %s has the unknown mode %q", w.Name, w.Mode)
	}
	return &agentv1.Withdraw{
		AppUid:           string(w.App),
		Name:             w.Name,
		Generation:       int64(w.Generation),
		Mode:             mode,
		OperationId:      string(w.Operation),
		OperationSeq:     w.OperationSeq,
		ApproveDeletions: w.ApproveDeletions,
	}, nil
}

// Withdraw translates a withdrawal.
func Withdraw(p *agentv1.Withdraw) (model.Withdraw, error) {
	if p == nil {
		return model.Withdraw{}, invalid("withdraw is missing")
	}
	if p.AppUid == "" || p.Generation <= 0 || p.OperationId == "" {
		return model.Withdraw{}, invalid("withdraw lacks its application, generation or operation")
	}
	for mode, m := range modeToProto {
		if m == p.Mode {
			return model.Withdraw{
				App: model.AppUID(p.AppUid), Name: p.Name, Generation: model.Generation(p.Generation),
				Mode: mode, Operation: model.OperationID(p.OperationId), OperationSeq: p.OperationSeq,
				ApproveDeletions: p.ApproveDeletions,
			}, nil
		}
	}
	return model.Withdraw{}, invalid("withdraw has an unknown mode")
}

// CommandToProto translates a command.
func CommandToProto(c model.Command) (*agentv1.Operation, error) {
	spec, err := encodeJSON(c.Spec)
	if err != nil {
		return nil, err
	}
	return &agentv1.Operation{
		Id: string(c.ID), Seq: c.Seq, AppUid: string(c.App), Kind: string(c.Kind), SpecJson: spec,
		Generation: int64(c.Generation), InitiatedBy: c.InitiatedBy, Terminate: c.Terminate,
	}, nil
}

// Command translates a command.
func Command(p *agentv1.Operation) (model.Command, error) {
	if p == nil {
		return model.Command{}, invalid("operation is missing")
	}
	if p.Id == "" || p.AppUid == "" || p.Seq <= 0 || p.Generation < 0 {
		return model.Command{}, invalid("operation lacks its id, application or sequence number")
	}
	c := model.Command{
		ID: model.OperationID(p.Id), Seq: p.Seq, App: model.AppUID(p.AppUid), Kind: model.OperationKind(p.Kind),
		Generation: model.Generation(p.Generation), InitiatedBy: p.InitiatedBy, Terminate: p.Terminate,
	}
	if !knownKind(c.Kind) {
		return model.Command{}, invalid("operation %s has the unknown kind %q", c.ID, c.Kind)
	}
	if err := decodeJSON(p.SpecJson, "operation.spec", &c.Spec); err != nil {
		return model.Command{}, err
	}
	return c, nil
}

func knownKind(k model.OperationKind) bool {
	return k == model.OperationSync || k == model.OperationDelete || k == model.OperationAction
}

// OperationIDs translates ids, none of which may be empty.
func OperationIDs(ids []string) ([]model.OperationID, error) {
	out := make([]model.OperationID, len(ids))
	for i, id := range ids {
		if id == "" {
			return nil, invalid("an operation id is empty")
		}
		out[i] = model.OperationID(id)
	}
	return out, nil
}

// AppUIDs translates application ids, none of which may be empty.
func AppUIDs(ids []string) ([]model.AppUID, error) {
	out := make([]model.AppUID, len(ids))
	for i, id := range ids {
		if id == "" {
			return nil, invalid("an application id is empty")
		}
		out[i] = model.AppUID(id)
	}
	return out, nil
}

// SettingsToProto translates settings.
func SettingsToProto(s model.Settings) *agentv1.Settings {
	return &agentv1.Settings{Version: s.Version, Digest: string(s.Customizations.Digest()), CustomizationsJson: s.Customizations.JSON()}
}

// Settings translates settings; what their digest does not match was damaged
// and is not taken.
func Settings(p *agentv1.Settings) (model.Settings, error) {
	if p == nil || p.Version < 0 {
		return model.Settings{}, invalid("settings are missing or have a negative version")
	}
	if len(p.CustomizationsJson) > model.MaxCustomizationsBytes {
		return model.Settings{}, invalid("settings have %d bytes of customizations; at most %d are taken", len(p.CustomizationsJson), model.MaxCustomizationsBytes)
	}
	s := model.Settings{Version: p.Version}
	if err := decodeJSON(p.CustomizationsJson, "settings.customizations", &s.Customizations); err != nil {
		return model.Settings{}, err
	}
	if got := s.Customizations.Digest(); string(got) != p.Digest {
		return model.Settings{}, invalid("settings of version %d have the digest %s, not %s", s.Version, got, p.Digest)
	}
	return s, nil
}

// OpenTunnelToProto translates the wish for an access tunnel.
func OpenTunnelToProto(id string) *agentv1.OpenTunnel { return &agentv1.OpenTunnel{Id: id} }

// OpenTunnel answers the id that the tunnel is to name; it must have one.
func OpenTunnel(p *agentv1.OpenTunnel) (string, error) {
	if p.GetId() == "" {
		return "", invalid("open_tunnel lacks its id")
	}
	return p.Id, nil
}

// Strings turns named strings into plain ones.
func Strings[S ~string](in []S) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// GoAway is the hub's reason to end a session, or not to open one, and when to
// come back: not before RetryAfter, and then after a random part of Spread.
type GoAway struct {
	Code       string
	Message    string
	RetryAfter time.Duration
	Spread     time.Duration
}

// GoAwayToProto translates a parting.
func GoAwayToProto(g GoAway) *agentv1.GoAway {
	return &agentv1.GoAway{Code: g.Code, Message: g.Message, RetryAfter: durationToProto(g.RetryAfter), Spread: durationToProto(g.Spread)}
}

// ParseGoAway translates a parting.
func ParseGoAway(p *agentv1.GoAway) (GoAway, error) {
	if p == nil {
		return GoAway{}, invalid("go_away is missing")
	}
	g := GoAway{Code: p.Code, Message: p.Message}
	var err error
	if g.RetryAfter, err = duration(p.RetryAfter, "go_away.retry_after"); err != nil {
		return GoAway{}, err
	}
	g.Spread, err = duration(p.Spread, "go_away.spread")
	return g, err
}
