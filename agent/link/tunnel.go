package link

import (
	"context"
	"crypto/x509"
	"net"

	"google.golang.org/grpc"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
)

// Tunnel opens the access tunnel that the hub asked for, on a connection of its
// own and with the cluster's certificate. It blocks for the dial and a TLS
// handshake. The connection is closed with the conn that it returns; ctx may
// end before that.
func (l *Link) Tunnel(ctx context.Context, id string) (net.Conn, error) {
	who := l.identity.Load()
	if who == nil {
		return nil, fault.New(fault.Precondition, "identity_not_found", "this agent has not enrolled yet")
	}
	cc, err := l.rpc(ctx, model.AgentServerName, trust{ca: who.ca}, &who.pair)
	if err != nil {
		return nil, err
	}
	stream, err := agentv1.NewAccessClient(cc).Tunnel(context.WithoutCancel(ctx), grpc.CallContentSubtype(tunnel.ContentSubtype))
	if err == nil {
		err = tunnel.SendOpen(stream, id)
	}
	if err != nil {
		cc.Close()
		return nil, fault.FromGRPC(err)
	}
	return tunnel.NewConn(stream, stream.CloseSend, func() { cc.Close() }), nil
}

// Hub is the CA of the hub that the cluster is enrolled at, and who it is there;
// nil and "" before it is.
func (l *Link) Hub() (ca *x509.Certificate, cluster model.ClusterID) {
	who := l.identity.Load()
	if who == nil {
		return nil, ""
	}
	return who.ca, who.Cluster
}
