package gateway

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hawser-dev/hawser/hub/fleet"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// maxPreflightVersion bounds what an agent calls its release before it is anybody.
const maxPreflightVersion = 64

// Preflight implements the Enrolment service.
func (e *enrolment) Preflight(ctx context.Context, req *agentv1.PreflightRequest) (*agentv1.PreflightResponse, error) {
	if err := e.preflight(ctx, req); err != nil {
		e.g.logRefusal(ctx, "preflight refused", err)
		return nil, fault.GRPC(err)
	}
	return &agentv1.PreflightResponse{HubTime: timestamppb.New(e.g.opts.Now())}, nil
}

// preflight keeps what an agent found, when it has a token. The texts are a
// stranger's until then, and nobody's word after.
func (e *enrolment) preflight(ctx context.Context, req *agentv1.PreflightRequest) error {
	g := e.g
	who, err := enrolCaller(ctx)
	if err != nil {
		return err
	}
	who.guest.work(true)
	defer who.guest.next(g.opts.FirstCall)
	if req.GetToken() == "" {
		return nil // it asks for the time
	}
	release, err := g.enrolSlot(ctx)
	if err != nil {
		return err
	}
	defer release()
	hash, err := EnrolmentTokenHash(req.GetToken())
	if err != nil {
		return err
	}
	checks, err := wire.Preflight(req.GetChecks())
	if err != nil {
		return err
	}
	for i := range checks {
		checks[i].Message = manifest.GuardText(model.ObjectKey{}, checks[i].Message)
		checks[i].Fix = manifest.GuardText(model.ObjectKey{}, checks[i].Fix)
	}
	version := req.GetAgentVersion()
	if len(version) > maxPreflightVersion {
		version = ""
	}
	return g.opts.Store.NotePreflight(ctx, hash, req.GetClusterName(), fleet.EnrolmentPreflight{From: who.remote(), AgentVersion: version, Checks: checks})
}
