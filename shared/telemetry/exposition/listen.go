package exposition

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Handler answers scrapes of a registry. A family that cannot be collected is
// left out and counted; the others are answered.
func Handler(r *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: 4, Timeout: 30 * time.Second, EnableOpenMetrics: true, Registry: r,
	})
}

// Server is a plain HTTP listener for the cluster's own monitoring: metrics or
// probes, nothing else. It is off unless it has an address.
type Server struct {
	// Flag is what the address is called, for errors: "--metrics-listen".
	Flag    string
	Address string
	Handler http.Handler
	Log     *slog.Logger

	ln net.Listener
}

// Start listens; it does nothing without an address.
func (s *Server) Start(context.Context) error {
	if s.Address == "" {
		return nil
	}
	ln, err := net.Listen("tcp", s.Address)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "listen_failed", "%s cannot listen on %s", s.Flag, s.Address).
			WithField(s.Flag).WithFix("choose another address with %s", s.Flag)
	}
	s.ln = ln
	s.Log.Info("listening", "for", s.Flag, "address", ln.Addr().String())
	return nil
}

// Addr is where it listens, nil when it does not.
func (s *Server) Addr() net.Addr {
	if s.ln == nil {
		return nil
	}
	return s.ln.Addr()
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if s.ln == nil {
		<-ctx.Done()
		return nil
	}
	server := &http.Server{
		Handler: s.Handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(s.ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
