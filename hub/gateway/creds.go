package gateway

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/hawser-dev/hawser/hub/gateway/ca"
	"github.com/hawser-dev/hawser/shared/fault"
)

// caller is who is at the other end of a connection: what its certificate
// said when it connected. It is the only source of identity.
type caller struct {
	credentials.CommonAuthInfo
	serverName string
	identity   ca.Identity
	expired    bool
	refusal    error // why the certificate speaks for nobody
	conn       net.Conn
	guest      *guest // until it has said who it is
}

// AuthType implements credentials.AuthInfo.
func (*caller) AuthType() string { return "hawser" }

func (c *caller) remote() string { return c.conn.RemoteAddr().String() }

// handedOver is the transport security of connections whose handshake the Mux
// has completed.
type handedOver struct{ authority *ca.Authority }

// ServerHandshake implements credentials.TransportCredentials.
func (h handedOver) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, ok := raw.(*tls.Conn)
	if !ok {
		return nil, nil, fault.New(fault.Internal, "not_tls", "the connection has no TLS")
	}
	name, chain := chainOf(conn)
	c := &caller{
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		serverName:     name,
		conn:           conn,
		guest:          guestOf(conn),
	}
	c.identity, c.expired, c.refusal = h.authority.VerifyClient(chain)
	return conn, c, nil
}

// ClientHandshake implements credentials.TransportCredentials; it is never
// called on a server.
func (handedOver) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, fault.New(fault.Internal, "not_a_client", "server credentials cannot dial")
}

// Info implements credentials.TransportCredentials.
func (handedOver) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (h handedOver) Clone() credentials.TransportCredentials { return h }

// OverrideServerName implements credentials.TransportCredentials.
func (handedOver) OverrideServerName(string) error { return nil }

func callerOf(ctx context.Context) (*caller, error) {
	p, ok := peer.FromContext(ctx)
	if ok {
		if c, ok := p.AuthInfo.(*caller); ok {
			return c, nil
		}
	}
	return nil, fault.New(fault.Unauthorized, "certificate_missing", "the connection has no TLS identity")
}
