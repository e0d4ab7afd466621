package tunnel

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
)

const piece = 32 << 10

// BenchmarkThroughput moves 32 KiB messages from the agent to the hub: as the
// floor over bare TLS, through a Conn, and through a stream of a session. The
// goal is half of the floor.
func BenchmarkThroughput(b *testing.B) {
	b.Run("tls", func(b *testing.B) {
		client, server := tlsPair(b)
		move(b, client, server)
	})
	b.Run("conn", func(b *testing.B) {
		l, stop := newLine(b)
		defer stop()
		move(b, l.agent, l.hub)
	})
	b.Run("stream", func(b *testing.B) {
		hub, agent, _ := newSessions(b, Options{})
		from, to := streamPair(b, hub, agent)
		b.SetBytes(piece)
		ctx := context.Background()
		m := &agentv1.AccessAnswer{Answer: &agentv1.AccessAnswer_Object{Object: &agentv1.ObjectChunk{Json: make([]byte, piece)}}}
		b.ResetTimer()
		go func() {
			for range b.N {
				if err := to.Send(ctx, m); err != nil {
					b.Error(err)
					return
				}
			}
		}()
		var got agentv1.AccessAnswer
		for range b.N {
			if err := from.Receive(ctx, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRoundTrip is a small question and its answer.
func BenchmarkRoundTrip(b *testing.B) {
	b.Run("tls", func(b *testing.B) {
		client, server := tlsPair(b)
		go io.Copy(server, server)
		buf := make([]byte, 64)
		b.ResetTimer()
		for range b.N {
			if _, err := client.Write(buf); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(client, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("stream", func(b *testing.B) {
		hub, agent, _ := newSessions(b, Options{})
		go echo(agent)
		st, err := hub.Open()
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		m := input(make([]byte, 64))
		var got agentv1.AccessInput
		b.ResetTimer()
		for range b.N {
			if err := st.Send(ctx, m); err != nil {
				b.Fatal(err)
			}
			if err := st.Receive(ctx, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func streamPair(b *testing.B, hub, agent *Session) (at, from *Stream) {
	at, err := hub.Open()
	if err != nil {
		b.Fatal(err)
	}
	if from, err = agent.Accept(); err != nil {
		b.Fatal(err)
	}
	return at, from
}

func move(b *testing.B, from io.Writer, to io.Reader) {
	b.SetBytes(piece)
	buf := make([]byte, piece)
	b.ResetTimer()
	go func() {
		for range b.N {
			if _, err := from.Write(buf); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	if _, err := io.CopyN(io.Discard, to, int64(b.N)*piece); err != nil {
		b.Fatal(err)
	}
}

func tlsPair(b *testing.B) (client, server net.Conn) {
	pair, roots := certificate(b)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	if err != nil {
		b.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			err = c.(*tls.Conn).Handshake()
		}
		if err != nil {
			b.Error(err)
		}
		accepted <- c
	}()
	client, err = tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		b.Fatal(err)
	}
	server = <-accepted
	b.Cleanup(func() {
		client.Close()
		server.Close()
		ln.Close()
	})
	return client, server
}
