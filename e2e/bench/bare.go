package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// bareEnv makes this program a server of bare streams instead of a benchmark.
const bareEnv = "HAWSER_BENCH_BARE_STREAMS"

// bareServer is what such a server says of itself.
type bareServer struct {
	Address   string
	PEM, Key  []byte // a certificate that is its own CA, and what clients present as well
	Streams   int
	Live, RSS int64
}

const bareName = "bare.invalid"

// bareStreams measures the floor of an idle agent: a gRPC stream over mutual TLS on
// which nothing is said, with buffers like the hub's. The server is a process of its own.
func (b *bench) bareStreams(ctx context.Context, n int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, self)
	child.Env, child.Stderr = append(os.Environ(), bareEnv+"=1"), os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		return err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	defer child.Wait()
	defer in.Close()
	said := json.NewDecoder(out)
	ask := func() (s bareServer, err error) {
		if _, err := io.WriteString(in, "\n"); err != nil {
			return s, err
		}
		return s, said.Decode(&s)
	}
	before, err := ask()
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(before.PEM, before.Key)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(before.PEM)
	creds := credentials.NewTLS(&tls.Config{ServerName: bareName, RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	conns := make([]*grpc.ClientConn, n)
	defer func() {
		for _, cc := range conns {
			if cc != nil {
				cc.Close()
			}
		}
	}()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(floorWorkers)
	for i := range n {
		g.Go(func() (err error) {
			if conns[i], err = grpc.NewClient(before.Address, grpc.WithTransportCredentials(creds)); err != nil {
				return err
			}
			stream, err := conns[i].NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/bare/Stream")
			if err != nil {
				return err
			}
			_, err = stream.Header()
			return errors.Join(err, gctx.Err())
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	after, err := ask()
	if err != nil {
		return err
	}
	if after.Streams != n {
		return fmt.Errorf("%d of %d bare streams are open", after.Streams, n)
	}
	b.add("fleet/floor-per-stream", "floor: heap and stacks of a server for a bare gRPC stream over mutual TLS", "KiB", round(float64(after.Live-before.Live)/float64(n)/1024))
	b.add("fleet/floor-resident", "its resident memory", "KiB", round(float64(after.RSS-before.RSS)/float64(n)/1024))
	return nil
}

// serveBare holds streams, and says how it is for each line that it reads, until its
// input ends.
func serveBare(in io.Reader, out io.Writer) error {
	s, pair, err := bareIdentity()
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(s.PEM)
	var open atomic.Int64
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS13})),
		grpc.WriteBufferSize(4<<10), grpc.ReadBufferSize(0),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			if err := stream.SendHeader(nil); err != nil {
				return err
			}
			open.Add(1)
			<-stream.Context().Done()
			return nil
		}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Address = "passthrough:///" + ln.Addr().String()
	go server.Serve(ln)
	defer server.Stop()
	lines, say := bufio.NewScanner(in), json.NewEncoder(out)
	for lines.Scan() {
		for range 3 {
			runtime.GC()
		}
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u, err := testbed.ProcessUsage(os.Getpid())
		if err != nil {
			return err
		}
		s.Streams, s.Live, s.RSS = int(open.Load()), int64(m.HeapInuse+m.StackInuse), u.RSS
		if err := say.Encode(s); err != nil {
			return err
		}
	}
	return lines.Err()
}

func bareIdentity() (s bareServer, pair tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return s, pair, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: bareName}, DNSNames: []string{bareName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return s, pair, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return s, pair, err
	}
	s.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.Key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	pair, err = tls.X509KeyPair(s.PEM, s.Key)
	return s, pair, err
}

// beBare is main of a process that serves bare streams; false in any other.
func beBare() bool {
	if os.Getenv(bareEnv) == "" {
		return false
	}
	if err := serveBare(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bare streams:", strings.TrimSpace(err.Error()))
		os.Exit(1)
	}
	return true
}
