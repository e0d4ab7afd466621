package telemetry

// Version of all programs of one build; the Makefile sets it when linking.
var Version = "devel"
