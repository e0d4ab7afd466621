package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// A thousand agents come back while strangers take every place that they get, and again
// as soon as they are shown out: each agent's hello is answered in few tries. The strangers are
// patient: nothing but the lobby makes them go.
func TestE09_AFleetGetsPastAFloodOfStrangers(t *testing.T) {
	if testing.Short() {
		t.Skip("is several seconds of work for two cores, which -short leaves out")
	}
	const agents, atOnce, strangers, mostTries = 1000, 64, 600, 5
	var shownOut atomic.Int64
	p := serveAt(t, Options{}, MuxOptions{
		MaxPending: 512, PerAddress: 256, Grace: time.Second, HandshakeTimeout: time.Hour,
		Refused: func(reason string) {
			if reason == refusedCrowded {
				shownOut.Add(1)
			}
		},
	})
	certificates := make([]tls.Certificate, agents)
	for i := range certificates {
		certificates[i], _ = p.certificate(t, model.ClusterID(fmt.Sprint("c", i)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	flood, end := context.WithCancel(ctx)
	var attack sync.WaitGroup
	defer attack.Wait()
	defer end()
	full := make(chan struct{})
	var held atomic.Int64
	for range strangers {
		attack.Go(func() {
			from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}
			for flood.Err() == nil {
				conn, err := from.DialContext(flood, "tcp", p.addr)
				if err != nil {
					continue
				}
				if held.Add(1) == strangers {
					close(full)
				}
				stop := context.AfterFunc(flood, func() { conn.Close() })
				_, _ = conn.Write([]byte{22, 3, 1}) // the beginning of a client's hello
				_, _ = conn.Read(make([]byte, 1))   // until it is shown out
				stop()
				conn.Close()
			}
		})
	}
	select {
	case <-full:
	case <-ctx.Done():
		t.Fatal("there is no flood")
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.authority.Certificate())
	enter := func(i int) error {
		once, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		cc, err := grpc.NewClient("passthrough:///"+p.addr,
			grpc.WithContextDialer(func(ctx context.Context, at string) (net.Conn, error) { return from.DialContext(ctx, "tcp", at) }),
			grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{ServerName: model.AgentServerName, RootCAs: roots, Certificates: certificates[i : i+1]})))
		if err != nil {
			return err
		}
		defer cc.Close()
		stream, err := agentv1.NewControlClient(cc).Session(once, grpc.WaitForReady(false))
		if err != nil {
			return err
		}
		if err := stream.Send(hello(model.ClusterID(fmt.Sprint("c", i)))); err != nil {
			_, err = stream.Recv()
			return err
		}
		_, err = stream.Recv()
		return err
	}
	var tries, most atomic.Int64
	next := make(chan int, agents)
	for i := range agents {
		next <- i
	}
	close(next)
	began := time.Now()
	var fleet sync.WaitGroup
	for range atOnce {
		fleet.Go(func() {
			for i := range next {
				var err error
				for try := int64(1); try <= mostTries; try++ {
					tries.Add(1)
					if err = enter(i); err == nil {
						for old := most.Load(); try > old && !most.CompareAndSwap(old, try); old = most.Load() {
						}
						break
					}
				}
				if err != nil {
					t.Errorf("agent %d is kept out: %v", i, err)
					cancel() // the others are no better off
					return
				}
			}
		})
	}
	fleet.Wait()
	t.Logf("%d agents were in after %s: %d tries, at most %d of one; %d had to go", agents, time.Since(began).Round(time.Millisecond), tries.Load(), most.Load(), shownOut.Load())
	if shownOut.Load() < strangers {
		t.Errorf("%d strangers had to go; that was no flood", shownOut.Load())
	}
}
