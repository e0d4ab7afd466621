// Package worker runs work that must not share a process with the hub: parsing
// what strangers wrote. A Pool keeps child processes (the hub binary itself with
// a hidden subcommand) that talk framed protobuf on standard input and output.
//
// A process does one job at a time. It gets an environment that the pool chose
// and nothing else, and is killed when a job passes its deadline or its share of
// CPU time, or its caller goes away. After a number of jobs, or when it has grown
// too large or too old, it is replaced. A process that dies takes only its own
// job with it; the last lines of its standard error are in the cause of the
// error, for the log, and not in the message.
//
// On Linux the pool bounds each process from outside, by rlimits (data segment,
// size and number of files, no core), and the process, before its first job,
// gives up for good what its Profile does not name (Sandbox): privileges, files
// and signals by Landlock, and system calls by a seccomp filter that lists what
// is allowed. What a kernel does not offer is left out, which Kernel tells; on
// other systems there are the deadline, the environment and the bounded answers.
// Why each of these:
//
//   - the data segment and not the address space, of which Go reserves much more
//     than it uses;
//   - CPU time for each job and not for the life of the process, by a look at
//     /proc;
//   - no limit on the number of processes, which counts the user's other threads
//     and not at all for root: the filter lets the process make threads and
//     nothing else;
//   - an allow list for system calls, so that what a later kernel brings is
//     forbidden. Refused calls are errors and do not kill, so that a library that
//     merely looks whether a file exists goes on.
//
// The package knows nothing of Git or rendering: hub/source and hub/render
// define their messages (proto/hawser/worker/v1) and their two ends. It holds
// no queue besides callers that wait for a process.
package worker
