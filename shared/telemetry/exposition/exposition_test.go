package exposition

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestValuesAreBounded(t *testing.T) {
	b := NewBounded(10)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				b.Value(fmt.Sprint(i))
			}
		})
	}
	wg.Wait()
	kept := 0
	for i := range 1000 {
		switch v := b.Value(fmt.Sprint(i)); v {
		case fmt.Sprint(i):
			kept++
		case Other:
		default:
			t.Fatalf("%d became %q", i, v)
		}
	}
	if kept != 10 {
		t.Errorf("%d values were kept", kept)
	}
	if v := NewBounded(10).Value(strings.Repeat("x", 100)); v != Other {
		t.Errorf("a long one became %q", v)
	}
}

func TestTheListenerIsOffWithoutAnAddress(t *testing.T) {
	s := &Server{Flag: "--metrics-listen", Handler: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)}
	if err := s.Start(t.Context()); err != nil || s.Addr() != nil {
		t.Errorf("%v, %v", s.Addr(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestTheListenerServesUntilItIsStopped(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	s := &Server{Flag: "--metrics-listen", Address: "127.0.0.1:0", Handler: Handler(NewRegistry("hub", "v1"), log), Log: log}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A second one cannot have its place, and is told which flag to change.
	again := &Server{Flag: "--metrics-listen", Address: s.Addr().String(), Log: log}
	if err := again.Start(t.Context()); !fault.HasCode(err, "listen_failed") || fault.As(err).Field != "--metrics-listen" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	resp, err := http.Get("http://" + s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(body), `hawser_build_info{component="hub"`) {
		t.Errorf("%v: %.100s", err, body)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
