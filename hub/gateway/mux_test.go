package gateway

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// stall sends the client's hello and then nothing.
type stall struct {
	net.Conn
	writes int
}

func (s *stall) Write(b []byte) (int, error) {
	if s.writes++; s.writes > 1 {
		select {} // this goroutine ends with the test's process
	}
	return s.Conn.Write(b)
}

func TestSlowStrangersDoNotKeepAgentsOut(t *testing.T) {
	p := serve(t, Options{})
	cert, _ := p.certificate(t, "a")
	for i := range 200 { // more than handshakes may run at once
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if i%2 == 0 {
			go tls.Client(&stall{Conn: conn}, &tls.Config{ServerName: model.AgentServerName, InsecureSkipVerify: true}).Handshake()
		}
	}
	start := time.Now()
	open(t, p.dial(t, model.AgentServerName, cert), "a")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the session took %s", took)
	}
}

// An agent that has enrolled hangs up; its place is for others then, and nobody says
// in the log that it was shown out.
func TestWhoeverHangsUpHasLeft(t *testing.T) {
	p := serve(t, Options{FirstCall: time.Hour})
	cc := p.dial(t, model.EnrolServerName)
	if _, err := agentv1.NewEnrolmentClient(cc).Enrol(t.Context(), &agentv1.EnrolRequest{}); err == nil {
		t.Fatal("it enrolled without a token")
	}
	if n := p.mux.Strangers(); n != 1 {
		t.Fatalf("%d strangers after the call", n)
	}
	if err := cc.Close(); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(5 * time.Second); p.mux.Strangers() > 0; time.Sleep(time.Millisecond) { // nothing tells
		if time.Now().After(limit) {
			t.Fatal("it is waited for although it has hung up")
		}
	}
}

func TestAPortForAgentsServesNoOtherName(t *testing.T) {
	p := serve(t, Options{})
	for _, name := range []string{"hub.example", "", "agent.hawser.internal.example"} {
		conn, err := tls.Dial("tcp", p.addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
			t.Errorf("%q was served", name)
		}
	}
	conn, err := tls.Dial("tcp", p.addr, &tls.Config{ServerName: model.AgentServerName, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err == nil {
		conn.Close()
		t.Error("an agent was served with TLS 1.2")
	}
	plain, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	io.WriteString(plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	plain.SetReadDeadline(time.Now().Add(10 * time.Second))
	if answer, _ := io.ReadAll(plain); strings.Contains(string(answer), "200") {
		t.Errorf("plain HTTP was answered with %q", answer)
	}
}
