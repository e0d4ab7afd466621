package testbed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"syscall"
	"testing"
	"time"
)

// echoServer sends back what it gets; conns delivers its connections.
func echoServer(t *testing.T) (addr string, conns <-chan net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	all := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all <- conn
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	return ln.Addr().String(), all
}

func startProxy(t *testing.T, target string) *Proxy {
	t.Helper()
	p, err := StartProxy(target, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, bufio.NewReader(conn)}
}

func (c *client) send(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// receive returns a line, or the error, within a bound.
func (c *client) receive(within time.Duration) (string, error) {
	c.SetReadDeadline(time.Now().Add(within))
	line, err := c.r.ReadString('\n')
	return line, err
}

func (c *client) mustEcho(t *testing.T, line string) {
	t.Helper()
	c.send(t, line)
	if got, err := c.receive(10 * time.Second); err != nil || got != line+"\n" {
		t.Fatalf("echo of %q: %q, %v", line, got, err)
	}
}

const quiet = 200 * time.Millisecond // long enough for a local echo to show up

func (c *client) mustBeSilent(t *testing.T) {
	t.Helper()
	if got, err := c.receive(quiet); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %q, %v; want silence", got, err)
	}
}

func (c *client) mustBeReset(t *testing.T) {
	t.Helper()
	if got, err := c.receive(10 * time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %q, %v; want a reset", got, err)
	}
}

func TestProxyPassesDataAndTheEnd(t *testing.T) {
	addr, _ := echoServer(t)
	p := startProxy(t, addr)
	p.Set(Slow(time.Millisecond, time.Millisecond))
	c := dial(t, p.Addr())
	sent := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
	go func() {
		c.Write(sent)
		c.Conn.(*net.TCPConn).CloseWrite()
	}()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	got, err := io.ReadAll(c.r)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d came back, %v", len(got), len(sent), err)
	}
	eventually(t, 10*time.Second, "the connection is forgotten", func(context.Context) error {
		if n := p.Active(); n != 0 {
			return errors.New("still active")
		}
		return nil
	})
	if p.Accepted() != 1 {
		t.Errorf("accepted %d", p.Accepted())
	}
}

func TestProxyLatency(t *testing.T) {
	addr, _ := echoServer(t)
	p := startProxy(t, addr)
	c := dial(t, p.Addr())
	c.mustEcho(t, "warm")
	p.Set(Slow(60*time.Millisecond, 0))
	began := time.Now()
	c.mustEcho(t, "slow")
	if took := time.Since(began); took < 120*time.Millisecond {
		t.Fatalf("round trip %s with 60 ms in each direction", took)
	}
}

func TestProxyBlackholeHoldsAndDelivers(t *testing.T) {
	addr, _ := echoServer(t)
	p := startProxy(t, addr)
	c := dial(t, p.Addr())
	c.mustEcho(t, "before")
	p.Set(Blackhole)
	c.send(t, "into the hole")
	c.mustBeSilent(t)
	late := dial(t, p.Addr())
	late.send(t, "hello")
	late.mustBeSilent(t)
	p.Set(Well)
	if got, err := c.receive(10 * time.Second); err != nil || got != "into the hole\n" {
		t.Fatalf("after the hole: %q, %v", got, err)
	}
	if got, err := late.receive(10 * time.Second); err != nil || got != "hello\n" {
		t.Fatalf("a connection made meanwhile: %q, %v", got, err)
	}
}

func TestProxyOneWay(t *testing.T) {
	addr, conns := echoServer(t)
	p := startProxy(t, addr)
	c := dial(t, p.Addr())
	c.mustEcho(t, "before")
	far := <-conns
	p.Set(OneWayDown)
	if _, err := io.WriteString(far, "from the target\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.receive(10 * time.Second); err != nil || got != "from the target\n" {
		t.Fatalf("the open direction: %q, %v", got, err)
	}
	c.send(t, "held")
	c.mustBeSilent(t)
	p.Set(OneWayUp) // the target gets it, its echo is held
	c.mustBeSilent(t)
	p.Set(Well)
	if got, err := c.receive(10 * time.Second); err != nil || got != "held\n" {
		t.Fatalf("after it is well: %q, %v", got, err)
	}
}

func TestProxyCutAndReset(t *testing.T) {
	addr, conns := echoServer(t)
	p := startProxy(t, addr)
	c := dial(t, p.Addr())
	c.mustEcho(t, "before")
	far := <-conns
	p.Reset()
	c.mustBeReset(t)
	if _, err := far.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("the target saw %v, want a reset", err)
	}
	dial(t, p.Addr()).mustEcho(t, "served again")
	p.Set(Cut)
	if conn, err := net.Dial("tcp4", p.Addr()); err == nil {
		n := &client{conn, bufio.NewReader(conn)}
		n.mustBeReset(t)
		conn.Close()
	}
	p.Set(Well)
	dial(t, p.Addr()).mustEcho(t, "after")
}

func TestProxyHalfOpen(t *testing.T) {
	addr, conns := echoServer(t)
	p := startProxy(t, addr)
	c := dial(t, p.Addr())
	c.mustEcho(t, "before")
	far := <-conns
	p.Set(HalfOpen)
	far.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := far.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the target still has its side: %v", err)
	}
	c.send(t, "into the void")
	c.mustBeSilent(t)
	c.send(t, "again")
	p.Set(Well)
	c.mustBeReset(t)
	dial(t, p.Addr()).mustEcho(t, "after")
}

func TestForecastIsSeeded(t *testing.T) {
	draw := func(seed uint64) []Weather { return Forecast(seed, time.Minute, time.Second, Cut, Blackhole, HalfOpen) }
	a := draw(7)
	if !reflect.DeepEqual(a, draw(7)) {
		t.Fatal("one seed gives two forecasts")
	}
	if reflect.DeepEqual(a, draw(8)) {
		t.Fatal("two seeds give one forecast")
	}
	var total time.Duration
	for i, w := range a {
		total += w.For
		if (w.Network == Well) != (i%2 == 1) {
			t.Fatalf("period %d is %v", i, w.Network)
		}
		if w.For < time.Second/2 || w.For > 3*time.Second/2 {
			t.Fatalf("period %d lasts %s", i, w.For)
		}
	}
	if total < time.Minute {
		t.Fatalf("it lasts %s", total)
	}
}

func TestProxyPlaysAForecastAndEndsWell(t *testing.T) {
	addr, _ := echoServer(t)
	p := startProxy(t, addr)
	if err := p.Play(t.Context(), []Weather{{Cut, time.Millisecond}, {Blackhole, time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	dial(t, p.Addr()).mustEcho(t, "after")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Play(ctx, []Weather{{Cut, time.Hour}}); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled play: %v", err)
	}
	dial(t, p.Addr()).mustEcho(t, "after that too")
}

func TestConnectProxy(t *testing.T) {
	target := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "through") }))
	t.Cleanup(target.Close)
	for name, opts := range map[string]ConnectOptions{"open": {}, "with a password": {User: "u", Password: "p@ss"}} {
		t.Run(name, func(t *testing.T) {
			p, err := StartConnectProxy(opts)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			get := func(proxy string) (string, error) {
				u, err := url.Parse(proxy)
				if err != nil {
					t.Fatal(err)
				}
				transport := target.Client().Transport.(*http.Transport).Clone()
				transport.Proxy = http.ProxyURL(u)
				defer transport.CloseIdleConnections()
				resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(target.URL)
				if err != nil {
					return "", err
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				return string(body), err
			}
			if body, err := get(p.URL()); err != nil || body != "through" {
				t.Fatalf("%q, %v", body, err)
			}
			if p.Tunnels() != 1 || p.Targets()[0] != target.Listener.Addr().String() {
				t.Fatalf("tunnels %v", p.Targets())
			}
			body, err := get("http://u:wrong@" + p.Addr())
			if asked := opts.User != ""; asked && (err == nil || p.Denied() != 1 || p.Tunnels() != 1) {
				t.Fatalf("with a wrong password: %q, %v, %d denied, %d tunnels", body, err, p.Denied(), p.Tunnels())
			}
		})
	}
}
