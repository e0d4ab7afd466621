package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"testing"

	"google.golang.org/grpc"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
)

// asked makes the hub want a tunnel of an agent, and opens it: what comes back is
// the connection that yamux runs on.
func (w *world) asked(t *testing.T, a *Agent, s *session) net.Conn {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		st, err := w.gateway.Access(ctx, s.cluster, model.AccessRequest{})
		if err != nil {
			return
		}
		defer st.Close()
		for err == nil {
			_, err = st.Receive(ctx)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	for {
		m, err := s.stream.Recv()
		must(t, err)
		if m.GetOpenTunnel() == nil {
			continue
		}
		cc := call(t, a, model.AgentServerName)
		stream, err := agentv1.NewAccessClient(cc).Tunnel(ctx, grpc.CallContentSubtype(tunnel.ContentSubtype))
		must(t, err)
		must(t, tunnel.SendOpen(stream, m.GetOpenTunnel().Id))
		return tunnel.NewConn(stream, stream.CloseSend, func() { cc.Close() })
	}
}

// Whatever an agent does on its tunnel, the tunnel is closed, its own session and
// its neighbours live, and the hub is as it was.
func TestE10_AbuseOfATunnelEndsThatTunnel(t *testing.T) {
	repeat := func(n int, frame []byte) func(net.Conn) {
		return func(c net.Conn) {
			block := bytes.Repeat(frame, 512)
			for range n/512 + 1 {
				if _, err := c.Write(block); err != nil {
					return
				}
			}
		}
	}
	record := func(kind byte, body []byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(kind)<<24|uint32(len(body))), body...)
	}
	w := newWorld(t, nil)
	full := record(0, make([]byte, 64<<10))
	for name, attack := range map[string]func(net.Conn){
		"a million streams":        repeat(1_000_000, YamuxFrame(YamuxWindow, YamuxSyn, 2, 0, nil)),
		"the same stream twice":    repeat(2, YamuxFrame(YamuxData, YamuxSyn, 1, 0, nil)),
		"pings":                    repeat(1_000_000, YamuxFrame(YamuxPing, YamuxSyn, 0, 1, nil)),
		"pongs":                    repeat(1_000_000, YamuxFrame(YamuxPing, YamuxAck, 0, 1, nil)),
		"go away":                  repeat(1_000_000, YamuxFrame(YamuxGoAway, 0, 0, 0, nil)),
		"windows":                  repeat(1_000_000, YamuxFrame(YamuxWindow, 0, 1, 1, nil)),
		"windows of nobody":        repeat(1_000_000, YamuxFrame(YamuxWindow, 0, 7777, 1<<31, nil)),
		"tiny frames":              repeat(1_000_000, YamuxFrame(YamuxData, 0, 1, 1, []byte{0})),
		"an unknown type":          repeat(1, YamuxFrame(9, 0, 1, 0, nil)),
		"an unknown version":       repeat(1, append([]byte{7}, YamuxFrame(YamuxData, 0, 1, 0, nil)[1:]...)),
		"more than the window":     repeat(1, YamuxFrame(YamuxData, 0, 1, 16<<20, make([]byte, 1<<20))),
		"more than was granted":    repeat(64, YamuxFrame(YamuxData, 0, 1, uint32(len(full)), full)),
		"no yamux":                 repeat(100, []byte("GET / HTTP/1.1\r\n\r\n")),
		"half closed, and reset":   repeat(60_000, append(YamuxFrame(YamuxWindow, YamuxFin, 1, 0, nil), YamuxFrame(YamuxWindow, YamuxRst, 1, 0, nil)...)),
		"a message without an end": repeat(1, YamuxFrame(YamuxData, 0, 1, 4, []byte{0, 0xff, 0xff, 0xff})),
	} {
		t.Run(name, func(t *testing.T) {
			a, cluster := w.join("bad-" + cleaned(name))
			able := func(h *agentv1.Hello) { h.Capabilities = []string{model.CapabilityAccess} }
			s := open(t, call(t, a, model.AgentServerName), cluster, able)
			neighbour, theirs := w.join("good-" + cleaned(name))
			other := open(t, call(t, neighbour, model.AgentServerName), theirs)
			conn := w.asked(t, a, s)
			defer conn.Close()
			runtime.GC()
			var start, now runtime.MemStats
			runtime.ReadMemStats(&start)
			go attack(conn)
			ended := make(chan struct{})
			go func() { defer close(ended); io.Copy(io.Discard, conn) }()
			select {
			case <-ended:
			case <-within(t).Done():
				t.Error("the tunnel lives")
			}
			runtime.GC()
			runtime.ReadMemStats(&now)
			if grown := int64(now.HeapAlloc) - int64(start.HeapAlloc); grown > 32<<20 {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
			w.lives(s)
			w.lives(other)
		})
	}
}
