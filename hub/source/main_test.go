package source

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// TestMain lets the test binary be the Git worker. Its second argument may be
// the address of a name server to ask in place of the machine's.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker-git" {
		if len(os.Args) > 2 {
			net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				d := net.Dialer{Timeout: 5 * time.Second}
				return d.DialContext(ctx, "udp", os.Args[2])
			}}
		}
		if err := WorkerMain(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// quiet is the log of servers whose handshakes tests break.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// always are options with one credential for every repository.
func always(c fleet.Credential) Options {
	return Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return &c, nil }}
}

// trusting is a credential that trusts the authority of a server, and nothing
// else.
func trusting(pair keyPair) fleet.Credential { return fleet.Credential{CABundle: pair.authority} }

// countBodies adds up what a server answers.
func countBodies(h http.Handler, sent *int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&counted{w, sent}, r)
	})
}

type counted struct {
	http.ResponseWriter
	sent *int64
}

func (c *counted) Write(b []byte) (int, error) {
	*c.sent += int64(len(b))
	return c.ResponseWriter.Write(b)
}
