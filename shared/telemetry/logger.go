package telemetry

import (
	"io"
	"log/slog"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Options of a logger, as the programs' flags give them.
type Options struct {
	// Level is debug, info (the default), warn or error.
	Level string
	// Format is text (the default) or json.
	Format string
}

// NewLogger makes a logger that writes to w. It returns fault.Invalid for an
// unknown level or format.
func NewLogger(w io.Writer, o Options) (*slog.Logger, error) {
	var level slog.Level
	switch strings.ToLower(o.Level) {
	case "debug":
		level = slog.LevelDebug
	case "", "info":
		level = slog.LevelInfo
	case "warn":
		level = slog.LevelWarn
	case "error":
		level = slog.LevelError
	default:
		return nil, fault.New(fault.Invalid, "log_level_unknown", "the log level %q is unknown", o.Level).
			WithField("log-level").WithFound(o.Level, "debug, info, warn, error")
	}
	opts := &slog.HandlerOptions{Level: level}
	switch strings.ToLower(o.Format) {
	case "", "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fault.New(fault.Invalid, "log_format_unknown", "the log format %q is unknown", o.Format).
		WithField("log-format").WithFound(o.Format, "text, json")
}
