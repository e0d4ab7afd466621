package hostile

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Agent is somebody at the agents' port who does as he likes.
type Agent struct {
	Address string
	// From is the address to connect from; nil: any.
	From net.Addr
	// Roots are the CAs that he trusts; nil: he does not look.
	Roots *x509.CertPool
	// Certificate that he presents; nil: none.
	Certificate *tls.Certificate
	// Sessions keeps TLS sessions to resume; nil: none are.
	Sessions tls.ClientSessionCache
}

// Connect opens a TCP connection and says nothing.
func (a *Agent) Connect(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{LocalAddr: a.From}
	return d.DialContext(ctx, "tcp", a.Address)
}

// TLS is what he does the handshake with.
func (a *Agent) TLS(serverName string) *tls.Config {
	c := &tls.Config{ServerName: serverName, RootCAs: a.Roots, InsecureSkipVerify: a.Roots == nil, NextProtos: []string{"h2"}, ClientSessionCache: a.Sessions}
	if a.Certificate != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return a.Certificate, nil }
	}
	return c
}

// Handshake connects with TLS under a server name.
func (a *Agent) Handshake(ctx context.Context, serverName string) (*tls.Conn, error) {
	raw, err := a.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, a.TLS(serverName))
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// GRPC is a client that keeps to the rules of gRPC, and to no others. The caller
// closes it.
func (a *Agent) GRPC(serverName string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	opts = append(opts,
		grpc.WithTransportCredentials(credentials.NewTLS(a.TLS(serverName))),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return a.Connect(ctx) }))
	return grpc.NewClient("passthrough:///"+a.Address, opts...)
}

// H2 is HTTP/2 by hand, on a connection under the agents' server name.
type H2 struct {
	*http2.Framer
	Conn   net.Conn
	next   uint32
	header bytes.Buffer
	coder  *hpack.Encoder
}

// HTTP2 connects and sends the preface and empty settings.
func (a *Agent) HTTP2(ctx context.Context, serverName string, settings ...http2.Setting) (*H2, error) {
	conn, err := a.Handshake(ctx, serverName)
	if err != nil {
		return nil, err
	}
	h := &H2{Framer: http2.NewFramer(conn, conn), Conn: conn, next: 1}
	h.coder = hpack.NewEncoder(&h.header)
	h.AllowIllegalWrites = true
	h.ReadMetaHeaders = hpack.NewDecoder(64<<10, nil)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		conn.Close()
		return nil, err
	}
	if err := h.WriteSettings(settings...); err != nil {
		conn.Close()
		return nil, err
	}
	return h, nil
}

// Call sends the headers of a gRPC call and answers its stream.
func (h *H2) Call(path string, more ...hpack.HeaderField) (uint32, error) {
	h.header.Reset()
	fields := append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: path}, {Name: ":authority", Value: model.AgentServerName},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}, more...)
	for _, f := range fields {
		if err := h.coder.WriteField(f); err != nil {
			return 0, err
		}
	}
	stream := h.next
	h.next += 2
	return stream, h.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: h.header.Bytes(), EndHeaders: true})
}

// Message sends bytes as one message of a call.
func (h *H2) Message(stream uint32, message []byte) error {
	b := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	b = append(b, message...)
	for len(b) > 0 {
		n := min(len(b), 16<<10)
		if err := h.WriteData(stream, false, b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// Status reads until a stream has ended, and answers its grpc-status and message.
// Settings and pings are answered, and windows are not widened.
func (h *H2) Status(stream uint32) (status, message string, err error) {
	for {
		f, err := h.ReadFrame()
		if err != nil {
			return "", "", err
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = h.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = h.WritePing(true, f.Data)
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream && f.StreamEnded() {
				for _, field := range f.Fields {
					switch field.Name {
					case "grpc-status":
						status = field.Value
					case "grpc-message":
						message = field.Value
					}
				}
				if status == "" {
					status = "http " + f.PseudoValue("status")
				}
				return status, message, nil
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return "", "", fmt.Errorf("the stream was reset: %s", f.ErrCode)
			}
		case *http2.GoAwayFrame:
			return "", "", fmt.Errorf("go away: %s", f.ErrCode)
		}
		if err != nil {
			return "", "", err
		}
	}
}

// Key makes an honest key.
func Key() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// CSR makes a certificate request with a key; change may ask for more.
func CSR(key crypto.Signer, change func(*x509.CertificateRequest)) ([]byte, error) {
	r := &x509.CertificateRequest{}
	if change != nil {
		change(r)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, r, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// Pair joins an issued certificate with its key.
func Pair(certificate []byte, key crypto.Signer) (*tls.Certificate, error) {
	block, _ := pem.Decode(certificate)
	if block == nil {
		return nil, fmt.Errorf("no PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key, Leaf: leaf}, nil
}

// Hello is an honest first message of a cluster's agent.
func Hello(cluster model.ClusterID) *agentv1.AgentMessage {
	return &agentv1.AgentMessage{Message: &agentv1.AgentMessage_Hello{Hello: &agentv1.Hello{
		ClusterId: string(cluster), ProtocolMin: wire.ProtocolMin, ProtocolMax: wire.ProtocolMax, Instance: "hostile"}}}
}

// Encode is the wire form of a message; it must be valid.
func Encode(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// Yamux types and flags, from its spec.md.
const (
	YamuxData, YamuxWindow, YamuxPing, YamuxGoAway byte = 0, 1, 2, 3

	YamuxSyn, YamuxAck, YamuxFin, YamuxRst uint16 = 1, 2, 4, 8
)

// YamuxFrame is a frame, whatever it says of itself.
func YamuxFrame(kind byte, flags uint16, stream, length uint32, body []byte) []byte {
	b := make([]byte, 12, 12+len(body))
	b[1] = kind
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint32(b[4:], stream)
	binary.BigEndian.PutUint32(b[8:], length)
	return append(b, body...)
}

// ClientHello is the first record of a handshake under a server name, as bytes.
func ClientHello(serverName string) []byte {
	near, far := net.Pipe()
	defer far.Close()
	first := make(chan []byte, 1)
	go func() {
		b := make([]byte, 4<<10)
		n, _ := far.Read(b)
		first <- b[:n]
		far.Close()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = tls.Client(near, &tls.Config{ServerName: serverName, InsecureSkipVerify: true, NextProtos: []string{"h2"}}).HandshakeContext(ctx) // it fails: nobody answers
	return <-first
}
