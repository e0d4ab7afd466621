package hostile

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hawser-dev/hawser/hub/gateway"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// hangsUp fails the test unless the hub closes the connection in time.
func hangsUp(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the hub still has the connection after %s", what, patience)
	}
}

func quick(o *gateway.Options, m *gateway.MuxOptions) {
	m.HandshakeTimeout, m.FirstCall = 300*time.Millisecond, 300*time.Millisecond
	o.FirstCall, o.HelloTimeout, o.SendTimeout = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
}

// Whoever makes the hub wait is cut off: before the handshake, in it, after it,
// before the hello, and when it does not read.
func TestE09_WhoeverMakesTheHubWaitIsCutOff(t *testing.T) {
	w := newWorld(t, quick)
	a, cluster := w.join("eu")
	ctx := within(t)
	var wg sync.WaitGroup
	try := func(what string, f func() (net.Conn, error)) {
		wg.Go(func() {
			conn, err := f()
			if err != nil {
				t.Errorf("%s: %v", what, err)
				return
			}
			defer conn.Close()
			hangsUp(t, what, conn)
		})
	}
	hello := ClientHello(model.AgentServerName)
	try("nothing", func() (net.Conn, error) { return a.Connect(ctx) })
	try("half a client hello", func() (net.Conn, error) {
		conn, err := a.Connect(ctx)
		if err == nil {
			_, err = conn.Write(hello[:len(hello)/2])
		}
		return conn, err
	})
	try("a client hello byte by byte", func() (net.Conn, error) {
		conn, err := a.Connect(ctx)
		if err == nil {
			go func() {
				for i := range hello {
					if _, err := conn.Write(hello[i : i+1]); err != nil {
						return
					}
					select {
					case <-ctx.Done():
						return
					case <-time.After(50 * time.Millisecond):
					}
				}
			}()
		}
		return conn, err
	})
	try("a client hello alone", func() (net.Conn, error) {
		conn, err := a.Connect(ctx)
		if err == nil {
			_, err = conn.Write(hello)
		}
		return conn, err
	})
	try("TLS alone", func() (net.Conn, error) { return a.Handshake(ctx, model.AgentServerName) })
	try("TLS alone, to enrol", func() (net.Conn, error) { return w.stranger().Handshake(ctx, model.EnrolServerName) })
	try("HTTP/2 alone", func() (net.Conn, error) {
		h, err := a.HTTP2(ctx, model.AgentServerName)
		if err != nil {
			return nil, err
		}
		return h.Conn, nil
	})
	try("a call without a hello", func() (net.Conn, error) {
		h, err := a.HTTP2(ctx, model.AgentServerName)
		if err != nil {
			return nil, err
		}
		_, err = h.Call(agentv1.Control_Session_FullMethodName)
		return h.Conn, err
	})
	try("half a hello", func() (net.Conn, error) {
		h, err := a.HTTP2(ctx, model.AgentServerName)
		if err != nil {
			return nil, err
		}
		stream, err := h.Call(agentv1.Control_Session_FullMethodName)
		if err == nil {
			err = h.WriteData(stream, false, []byte{0, 0, 0, 1, 0, 10})
		}
		return h.Conn, err
	})
	try("a tunnel that is not opened", func() (net.Conn, error) {
		h, err := a.HTTP2(ctx, model.AgentServerName)
		if err != nil {
			return nil, err
		}
		_, err = h.Call(agentv1.Access_Tunnel_FullMethodName)
		return h.Conn, err
	})
	wg.Wait()
	if len(w.gateway.Connected()) != 0 {
		t.Error("somebody has a session")
	}
	for reason, least := range map[string]int{"tls_handshake_timeout": 4, "hello_timeout": 5} {
		if n := w.refused.of(reason); n < least {
			t.Errorf("%d refusals are counted as %s, at least %d were", n, reason, least)
		}
	}
	if !w.logs.line("connection refused", "code=hello_timeout", "remote=127.0.0.1") {
		t.Error("the log does not say so")
	}

	// One that has a window of nothing, and is sent something, is cut off too.
	h, err := a.HTTP2(ctx, model.AgentServerName, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	must(t, err)
	defer h.Conn.Close()
	stream, err := h.Call(agentv1.Control_Session_FullMethodName)
	must(t, err)
	must(t, h.Message(stream, Encode(Hello(cluster))))
	await(t, "the session", func() bool { return len(w.gateway.Connected()) == 1 })
	for range 40_000 { // more than gRPC keeps for a writer
		w.gateway.Refresh(cluster, "11111111-1111-1111-1111-111111111111", model.AppUID(time.Now().String()))
	}
	w.gateway.Refresh(cluster, "x")
	hangsUp(t, "a hello and no reads", h.Conn)
	await(t, "the count", func() bool { return w.refused.of("session_stuck") > 0 })
}

// Ten thousand connections that say nothing, from one address, keep out neither
// an agent from elsewhere nor one from there, and the hub holds few of them.
func TestE09_AFloodOfIdleConnectionsKeepsNobodyOut(t *testing.T) {
	flood := 10_000
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur < uint64(flood)+2000 {
		files.Cur = files.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files) // what there is, is used
		flood = min(flood, int(min(files.Cur, 1<<20))-2000)
	}
	const most, ofOne = 512, 128
	var peak int
	var mu sync.Mutex
	w := newWorld(t, func(_ *gateway.Options, m *gateway.MuxOptions) {
		m.MaxPending, m.PerAddress, m.Grace = most, ofOne, 200*time.Millisecond
	})
	type member struct {
		agent   *Agent
		cluster model.ClusterID
	}
	honest := map[string]member{}
	for name, from := range map[string]net.Addr{"from elsewhere": &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, "from the same address": nil} {
		a, cluster := w.join(name[5:9])
		a.From = from
		honest[name] = member{a, cluster}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var conns []net.Conn
	var wg sync.WaitGroup
	slots := make(chan struct{}, 256)
	attacker := &Agent{Address: w.address}
	started := make(chan struct{})
	wg.Go(func() {
		for i := range flood {
			if i == flood/4 {
				close(started)
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				soon, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
				defer cancel()
				conn, err := attacker.Connect(soon)
				if err != nil {
					return // the kernel's queue is full for him
				}
				mu.Lock()
				conns = append(conns, conn)
				peak = max(peak, w.strangers())
				mu.Unlock()
			})
		}
	})
	<-started
	for name, a := range honest {
		began := time.Now()
		for { // as the agent's link does
			stream, err := agentv1.NewControlClient(call(t, a.agent, model.AgentServerName)).Session(within(t))
			if err == nil {
				err = stream.Send(Hello(a.cluster))
			}
			if err == nil {
				_, err = stream.Recv()
			}
			if err == nil {
				break
			}
			if time.Since(began) > 5*time.Second {
				break
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("an agent %s got in after %s", name, took)
		}
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(conns) < flood/2 {
		t.Errorf("%d of %d connections were made; this shows little", len(conns), flood)
	}
	if peak > most+1 {
		t.Errorf("the hub held %d strangers, %d are allowed", peak, most)
	}
	// The others still wait in the kernel.
	if n := w.refused.of("connections_crowded"); n < flood/10 {
		t.Errorf("%d of %d had to go", n, len(conns))
	}
	for _, c := range conns {
		c.Close()
	}
}

// A handshake that the hub can go on with is never turned away, however many
// wait that it cannot go on with.
func TestE09_NobodyWhoWaitsForTheHubHasToGo(t *testing.T) {
	w := newWorld(t, func(_ *gateway.Options, m *gateway.MuxOptions) {
		m.MaxPending, m.PerAddress, m.Grace = 8, 4, 20*time.Millisecond
	})
	a, cluster := w.join("eu")
	for range 64 {
		conn, err := a.Connect(t.Context())
		must(t, err)
		defer conn.Close()
	}
	for range 20 {
		conn, err := a.Handshake(within(t), model.AgentServerName)
		must(t, err)
		conn.Close()
	}
	s := open(t, call(t, a, model.AgentServerName), cluster)
	for range 64 {
		conn, err := a.Connect(t.Context())
		must(t, err)
		defer conn.Close()
	}
	w.lives(s)
}
