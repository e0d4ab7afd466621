package gateway

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway/ca"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// enrolment is the gRPC service behind the enrolment server name.
type enrolment struct {
	agentv1.UnimplementedEnrolmentServer
	g *Gateway
}

func enrolCaller(ctx context.Context) (*caller, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	if c.serverName != model.EnrolServerName {
		return nil, fault.New(fault.Denied, "wrong_server_name", "enrolment is served under %s", model.EnrolServerName)
	}
	return c, nil
}

// slot bounds the work that strangers can cause at once.
func (g *Gateway) enrolSlot(ctx context.Context) (release func(), err error) {
	select {
	case g.enrols <- struct{}{}:
		return func() { <-g.enrols }, nil
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "hub_busy", "the hub is busy with other enrolments")
	}
}

// Enrol implements the Enrolment service.
func (e *enrolment) Enrol(ctx context.Context, req *agentv1.EnrolRequest) (*agentv1.EnrolResponse, error) {
	resp, err := e.enrol(ctx, req)
	if err != nil {
		e.g.logRefusal(ctx, "enrolment refused", err)
		return nil, fault.GRPC(err)
	}
	return resp, nil
}

func (e *enrolment) enrol(ctx context.Context, req *agentv1.EnrolRequest) (*agentv1.EnrolResponse, error) {
	g := e.g
	who, err := enrolCaller(ctx)
	if err != nil {
		return nil, err
	}
	who.guest.work(true)
	defer who.guest.next(g.opts.FirstCall)
	release, err := g.enrolSlot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	skew := ""
	if at := req.GetAgentTime(); at != nil && at.CheckValid() == nil {
		skew = skewText(g.opts.Now(), at.AsTime())
	}
	hash, err := EnrolmentTokenHash(req.GetToken())
	if err != nil {
		return nil, err
	}
	// The request is judged before the token is spent on it.
	if _, err := ca.CheckCSR(req.GetCsrPem()); err != nil {
		return nil, err
	}
	var issued ca.ClientCertificate
	cluster, err := g.opts.Store.Enrol(ctx, hash, req.GetClusterName(), who.remote(), func(id model.ClusterID) (fleet.Certificate, error) {
		var err error
		issued, err = g.opts.Authority.IssueClient(id, req.GetCsrPem())
		return recordOf(issued), err
	})
	if err != nil {
		if skew != "" && fault.Is(err, fault.Unauthorized) {
			f := *fault.As(err)
			f.Message += "; " + skew
			return nil, &f
		}
		return nil, err
	}
	g.opts.Audit.Add(fleet.AuditEntry{Begun: fleet.CertificateRecord(issued.Serial), Record: audit.Record{
		Kind: audit.Command, Action: "enrolCluster", Verb: "create", Resource: "clusters", Name: cluster.Name, Cluster: cluster.Name, Outcome: audit.Done,
		Actor: "agent of " + cluster.Name, ActorID: string(cluster.ID), From: who.remote(), Reason: "certificate " + issued.Serial,
	}})
	// Whoever held the name before is out.
	g.CloseCluster(cluster.ID, "certificate_revoked", "the cluster was enrolled again")
	g.forget(cluster.ID)
	g.log.Info("cluster enrolled", "cluster", string(cluster.ID), "name", cluster.Name, "remote", who.remote(),
		"agent_version", req.GetAgentVersion(), "not_after", issued.NotAfter.Format(time.RFC3339))
	resp := &agentv1.EnrolResponse{
		ClusterId: string(cluster.ID), ClusterName: cluster.Name, CertificatePem: issued.PEM,
		CaPem: g.opts.Authority.PEM(), NotAfter: timestamppb.New(issued.NotAfter),
	}
	if skew != "" {
		resp.Warnings = append(resp.Warnings, skew)
	}
	return resp, nil
}

func recordOf(c ca.ClientCertificate) fleet.Certificate {
	return fleet.Certificate{Serial: c.Serial, Cluster: c.Cluster, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Fingerprint: c.Fingerprint}
}

// skewText names a difference of more than a minute between the clocks.
func skewText(hubNow, agentTime time.Time) string {
	d := hubNow.Sub(agentTime).Round(time.Second)
	switch {
	case d > time.Minute:
		return fmt.Sprintf("the agent's clock is %s behind the hub's", d)
	case d < -time.Minute:
		return fmt.Sprintf("the agent's clock is %s ahead of the hub's", -d)
	}
	return ""
}

// Renew implements the Enrolment service.
func (e *enrolment) Renew(ctx context.Context, req *agentv1.RenewRequest) (*agentv1.RenewResponse, error) {
	resp, err := e.renew(ctx, req)
	if err != nil {
		e.g.logRefusal(ctx, "renewal refused", err)
		return nil, fault.GRPC(err)
	}
	return resp, nil
}

func (e *enrolment) renew(ctx context.Context, req *agentv1.RenewRequest) (*agentv1.RenewResponse, error) {
	g := e.g
	who, err := enrolCaller(ctx)
	if err != nil {
		return nil, err
	}
	if who.refusal != nil {
		return nil, who.refusal
	}
	who.guest.work(true)
	defer who.guest.next(g.opts.FirstCall)
	release, err := g.enrolSlot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := g.checkCertificate(ctx, who); err != nil {
		return nil, err
	}
	issued, err := g.opts.Authority.IssueClient(who.identity.Cluster, req.GetCsrPem())
	if err != nil {
		return nil, err
	}
	if err := g.opts.Store.RecordCertificate(ctx, recordOf(issued)); err != nil {
		return nil, err
	}
	g.opts.Audit.Add(fleet.AuditEntry{Begun: fleet.CertificateRecord(issued.Serial), Record: audit.Record{
		Kind: audit.Command, Action: "renewCertificate", Verb: "update", Resource: "clusters", Name: string(who.identity.Cluster), Outcome: audit.Done,
		Actor: "agent", ActorID: string(who.identity.Cluster), From: who.remote(), Reason: "certificate " + issued.Serial,
	}})
	// The running session goes on under the new certificate's life.
	g.each(who.identity.Cluster, func(s *session) { s.certExpiry.Store(issued.NotAfter.Unix()) })
	g.log.Info("certificate renewed", "cluster", string(who.identity.Cluster), "remote", who.remote(),
		"expired", who.expired, "not_after", issued.NotAfter.Format(time.RFC3339))
	return &agentv1.RenewResponse{CertificatePem: issued.PEM, CaPem: g.opts.Authority.PEM(), NotAfter: timestamppb.New(issued.NotAfter)}, nil
}
