// Command hawser-bench measures speed and memory of the real programs on a real
// control plane, beside the floor of raw server-side apply of the same objects in
// the same run on the same machine, and compares them with their goals.
//
//	hawser-bench -bin bin -out bench/result.json
//	             [-only first,change,latency,idle,memory,decisions,render,monorepo,git-idle]
//	             [-apps 200,500] [-repeat 3]
//
// A table goes to standard output, progress to standard error, JSON to the file.
// The exit status is 1 when something could not be measured; a missed goal is a
// result and not a failure.
//
// # What is measured
//
// The workload is N applications of 4 objects (Deployment with 0 replicas, headless
// Service, ServiceAccount, ConfigMap with 2 KB of text that does not compress to
// nothing) in 20 namespaces, in one Git repository with a directory for each, served
// over HTTP. Every application has automated sync with prune and self-heal and
// CreateNamespace=true. Each sample of first starts from a fresh control plane, whose
// controller-manager is not throttled, and a fresh hub and agent; between the start
// and the clock is a pause of 3 s, for the floor as well.
//
//   - floor: 16 workers send one server-side apply for each namespace and object
//     without a client-side limit. It ends when a watch has seen every Deployment
//     Available.
//
//   - first: from the start of `hawser apply` of all N (one request) until the hub's
//     event stream has shown every application Synced and Healthy by a live
//     observation, which a listing then confirms. The order of floor and first
//     alternates between samples.
//
//   - change: one commit changes the ConfigMap of every application. The clock starts
//     when the branch points at the commit; then the webhook is called. It stops for
//     "cluster" when a watch has seen the last ConfigMap, for "hub" when all are Synced
//     to that commit at the hub.
//
//   - latency: 50 times a commit that changes one ConfigMap (clock as above, stopped by
//     a watch), then a patch of the same ConfigMap by somebody else (clock started
//     before the patch is sent) until the watch shows the value of Git again. One
//     application in the cluster; latency-N is one of N applications in one repository.
//
//   - idle: 60 s, beginning 10 s after everything is settled. One cluster with three
//     applications whose Deployments have pods (the demo has such an agent in each of
//     its three clusters); idle-N with N applications.
//
//   - memory: the largest number of applications in a cluster that holds 10,000
//     ConfigMaps of 2 KB and 2,000 pods in ReplicaSets that nobody manages. Idle is
//     the agent before all of that. Steady is read 30 s after everything is settled, in
//     a process that was killed and started again; peak is that process's until it
//     has healed what drifted meanwhile and the hub shows every application by a later
//     observation. In a run of its own a fine
//     profile of the heap says which packages of the agent hold it; HAWSER_BENCH_KEEP_PROFILE
//     names a file for that profile.
//
//   - decisions: health and comparisons of one object, in the benchmarks of the packages
//     agent/health, agent/lua and agent/diff, run by go test.
//
//   - render: sources of five kinds (see corpus.go) in 1 and 2 worker processes, each
//     render of content that was not seen before, twice as many asked for at a time as
//     there are workers; "each" is the wall time over the number of renders. Floors: the
//     template engine alone in memory, and one process of helm template or kustomize
//     build, built from their Go modules.
//
//   - monorepo: 10,000 directories and 100 MB in which 1,000 applications are: cold clone
//     beside git clone, a poll that finds nothing, a commit to one file until all
//     applications are decided.
//
//   - git-idle: Git requests of 300 applications over 3 repositories in 10 minutes in
//     which nothing happens.
//
// CPU is user and system time from /proc: the hub with its workers, its private
// Postgres separately, the agent. API requests are counted in the audit log by the
// agent's user agent: watches (with the lists that begin them), discovery, journal
// (Secrets in the agent's namespace), lease, and the rest by verb and resource.
//
// # The JSON
//
//	started   time
//	machine   {cpu, cores, memoryBytes, kernel, os, arch}
//	versions  {hawser, kubernetes, go, git, postgres}
//	repeat    samples of first and change
//	metrics   [{name, what, unit, samples, median, p50, p99, min, max,
//	            floor, ratio,          of the medians, where there is a floor
//	            goals: [{of, limit, got, met}],   of is median, p50, p99, max or ratio
//	            met}]                  absent when there is no goal
//	requests  {NAME: {watch, discovery, journal, lease, rest, byVerb: {"patch configmaps": n}}}
//	errors    {NAME: message}          what could not be measured
//
// Times are seconds, memory is MiB. Percentiles are of the nearest rank.
package main
