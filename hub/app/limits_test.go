package app

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// What strangers send to a whole hub over its own port, to cost it time or memory or
// to be read in two ways, is refused soon, and the hub lives.
func TestS10_RequestsThatCostOrMeanTwoThings(t *testing.T) {
	port, err := testbed.ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	k := &killable{t: t, addr: port.Addr(), dir: t.TempDir(), dsn: dbtest.Postgres(t)}
	k.client = http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	t.Cleanup(func() { k.kill() })
	k.start()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 64<<20))
	_ = z.Close()
	const login = "/api/v1/login"
	for name, c := range map[string]struct {
		path, body string
		header     [2]string
		want       []int
	}{
		"headers of 2 MiB":      {login, "{}", [2]string{"X-Large", strings.Repeat("x", 2<<20)}, []int{431}},
		"10,000 parameters":     {login + "?" + strings.Repeat("a=1&", 10000), "{}", [2]string{}, []int{400, 414, 422, 401}},
		"nested 100,000 deep":   {login, `{"username":` + strings.Repeat("[", 100000), [2]string{}, []int{400}},
		"a key twice":           {login, `{"username":"a","username":"b","password":"c"}`, [2]string{}, []int{400}},
		"half of a surrogate":   {login, `{"username":"\ud800","password":"c"}`, [2]string{}, []int{400, 401}},
		"a number of 1e400":     {login, `{"username":1e400,"password":"c"}`, [2]string{}, []int{400, 422}},
		"a text of 10 MB":       {login, `{"username":"` + strings.Repeat("a", 10<<20) + `","password":"c"}`, [2]string{}, []int{413}},
		"a bomb that is zipped": {login, bomb.String(), [2]string{"Content-Encoding", "gzip"}, []int{400, 415}},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+k.addr+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			if c.header[0] != "" {
				req.Header.Set(c.header[0], c.header[1])
			}
			began := time.Now()
			resp := answerTo(t, k.addr, req)
			defer resp.Body.Close()
			said, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
			ok := false
			for _, want := range c.want {
				ok = ok || want == resp.StatusCode
			}
			if !ok || time.Since(began) > 10*time.Second {
				t.Errorf("answered %d after %v, want %v: %s", resp.StatusCode, time.Since(began), c.want, said)
			}
		})
	}
	if resp, err := k.client.Get("https://" + k.addr + "/livez"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the hub does not live: %v", err)
	} else {
		resp.Body.Close()
	}
}

// answerTo sends a request and reads what comes back, also when the hub has answered
// and taken no more before all was sent, which a client of net/http calls an error at
// times.
func answerTo(t *testing.T, addr string, req *http.Request) *http.Response {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-sent
	})
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(sent)
		_ = req.Write(conn) // who is refused need not send the rest
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
