// Package worker runs work that must not share a process with the hub: parsing
// what strangers wrote. A Pool keeps child processes (the hub binary itself with
// a hidden subcommand) that talk framed protobuf on standard input and output.
//
// A process does one job at a time. It gets an environment that the pool chose
// and nothing else, a limit on its data segment (Linux), and is killed when a
// job passes its deadline or its caller goes away. After a number of jobs, or
// when it has grown too large, it is replaced. A process that dies takes only
// its own job with it; the last lines of its standard error are in the cause of
// the error, for the log, and not in the message.
//
// The package knows nothing of Git or rendering: hub/source and hub/render
// define their messages (proto/hawser/worker/v1) and their two ends. It holds
// no queue besides callers that wait for a process.
package worker
