// Package telemetry sets up logging for the programs: one slog.Logger, JSON or
// text, made in main and passed down; there is no global one. What is logged
// is the callers' concern; nothing here knows secrets.
package telemetry
