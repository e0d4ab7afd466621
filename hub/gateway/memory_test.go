package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// idleFleet is what the child process needs to be many agents.
type idleFleet struct {
	Address string
	CA      []byte
	Agents  []idleAgent
}

type idleAgent struct {
	Cluster    string
	Key, Chain []byte
}

const fleetChild = "HAWSER_TEST_IDLE_FLEET"

func TestMain(m *testing.M) {
	if os.Getenv(fleetChild) != "" {
		if err := beIdleFleet(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beIdleFleet opens every session, says so, and holds them until its input
// ends.
func beIdleFleet(in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 1<<20)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	var f idleFleet
	if err := json.Unmarshal(line, &f); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(f.CA)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	slots := make(chan struct{}, 16)
	errs := make(chan error, len(f.Agents))
	var wg sync.WaitGroup
	for _, a := range f.Agents {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := a.hold(ctx, f.Address, roots); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	fmt.Fprintln(out, "ready")
	_, err = io.Copy(io.Discard, lines)
	return err
}

func (a idleAgent) hold(ctx context.Context, addr string, roots *x509.CertPool) error {
	pair, err := tls.X509KeyPair(a.Chain, a.Key)
	if err != nil {
		return err
	}
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		ServerName: model.AgentServerName, RootCAs: roots, Certificates: []tls.Certificate{pair}})))
	if err != nil {
		return err
	}
	stream, err := agentv1.NewControlClient(cc).Session(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(hello(model.ClusterID(a.Cluster))); err != nil {
		return err
	}
	for {
		msg, err := stream.Recv()
		if err != nil {
			return err
		}
		if msg.GetInSync() != nil {
			go func() {
				for err == nil {
					_, err = stream.Recv()
				}
			}()
			return nil
		}
	}
}

// idle opens n sessions from another process and returns what one costs the
// hub: live heap and stacks, and resident memory, in bytes.
func idle(t testing.TB, n int) (live, resident int64, opening time.Duration) {
	t.Helper()
	p := serve(t, Options{Heartbeat: 2 * time.Minute, SessionBurst: 1000})
	f := idleFleet{Address: p.addr, CA: p.authority.PEM()}
	for i := range n {
		name := fmt.Sprintf("cluster-%d", i)
		pair, issued := p.certificate(t, model.ClusterID(name))
		der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		f.Agents = append(f.Agents, idleAgent{Cluster: name, Chain: issued.PEM, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})})
	}
	config, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Agents = nil
	heapBefore, rssBefore := memory()
	start := time.Now()

	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), fleetChild+"=1")
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer in.Close()
	if _, err := in.Write(append(config, '\n')); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the agents did not come up: %q, %v", line, err)
	}
	opening = time.Since(start)
	if got := len(p.gateway.Connected()); got != n {
		t.Fatalf("%d of %d connected", got, n)
	}
	heap, rss := memory()
	runtime.KeepAlive(config)
	return (heap - heapBefore) / int64(n), (rss - rssBefore) / int64(n), opening
}

func memory() (live, resident int64) {
	for range 3 {
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := bytes.Fields(b); len(fields) > 1 {
			pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			resident = pages * int64(os.Getpagesize())
		}
	}
	return int64(m.HeapInuse + m.StackInuse), resident
}

func TestAnIdleAgentIsCheap(t *testing.T) {
	live, resident, _ := idle(t, 200)
	t.Logf("%d KiB of heap and stacks, %d KiB resident for each of 200 idle agents", live>>10, resident>>10)
	// The rest of the hub knows a little of it, too: see make bench-fleet.
	if live > 60<<10 && !raceEnabled {
		t.Errorf("an idle agent costs the hub %d KiB; the goal is 60", live>>10)
	}
}

func BenchmarkIdleAgents(b *testing.B) {
	for b.Loop() {
		live, resident, opening := idle(b, 1000)
		b.ReportMetric(float64(live)/1024, "KiB-live/agent")
		b.ReportMetric(float64(resident)/1024, "KiB-resident/agent")
		b.ReportMetric(1000/opening.Seconds(), "sessions/s")
	}
}
