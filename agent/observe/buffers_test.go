package observe

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// TestReceiveBuffersAreBounded: a server that sends faster than we read must wait.
func TestReceiveBuffersAreBounded(t *testing.T) {
	var sent, proto atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto.Store(int64(r.ProtoMajor))
		chunk := make([]byte, 16<<10)
		for sent.Load() < 16<<20 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			sent.Add(int64(len(chunk)))
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if !x509.NewCertPool().AppendCertsFromPEM(ca) {
		t.Fatal("no certificate")
	}
	cfg := &rest.Config{Host: srv.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca, ServerName: "example.com"}}
	o := New(Options{Config: cfg})
	body, _, err := o.open(t.Context(), "/", nil, acceptFull)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if proto.Load() != 2 {
		t.Fatalf("HTTP/%d", proto.Load())
	}
	// Until it has been waiting for a while.
	for before := int64(-1); before != sent.Load(); time.Sleep(300 * time.Millisecond) {
		before = sent.Load()
	}
	if n := sent.Load(); n > 4*receiveBuffer {
		t.Errorf("the server could send %d bytes", n)
	}
	if n, err := io.Copy(io.Discard, body); err != nil || n != 16<<20 {
		t.Errorf("read %d bytes, %v", n, err)
	}
}
