// Command hawser-bench measures speed and memory of the real programs on a real
// control plane, beside the floor of raw server-side apply of the same objects in
// the same run on the same machine, and compares them with their goals.
//
//	hawser-bench -bin bin -out bench/result.json
//	             [-only first,change,latency,idle,memory,decisions,identity,cache,render,monorepo,git-idle,api]
//	             [-apps 200,500] [-repeat 3]
//	hawser-bench -bin bin -only console -out bench/console.json
//	hawser-bench -bin bin -seed 10000 [-rate 50] [-dev | -screenshots DIR]
//
// -seed measures nothing: it leaves a hub with a fleet of that size running until
// an interrupt, and prints its address, a user who can log in, and tokens. With -rate
// the agents of 20 clusters report that many changes a second over their sessions. With
// -dev the console's sources are served over it, with -screenshots its screens are
// taken.
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
//   - console: the console in Chromium over the seeded hub, whose agents report 50
//     changes a second meanwhile; the steps are in hub/console/e2e/bench. It needs
//     what e2e/console needs, and is not among those that run without -only.
//     HAWSER_BENCH_MINUTES is how long the memory of the tab is watched, 10.
//
//   - decisions: health and comparisons of one object, in the benchmarks of the packages
//     agent/health, agent/lua and agent/diff, run by go test.
//
//   - identity: logins and checks of sessions and tokens, in the benchmarks of hub/auth
//     and hub/store, run by go test. Floors: the hash of a password alone, and a round
//     trip to the database.
//
//   - cache: looks into the cache of a hub and into a Redis that hubs share, hit and
//     missed, for sessions, renders, trees and pages of lists, beside doing without; in
//     the benchmarks of hub/cache, hub/app, hub/render, hub/inventory and hub/store, run
//     by go test with a redis-server. Floor: a plain GET of the same bytes.
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
//   - api: a hub with 5,000 clusters, 10,000 applications and 100 projects, all but
//     the bundles written straight into its database (see seed.go): labels,
//     destinations, observed states of every kind, sessions of which 86 of 100
//     are kept alive by the benchmark, two operations for each application. The hub
//     renders the 100 directories of 10 repositories and delivers them itself, and
//     is then started again. An administrator asks, and a user with grants for 3
//     projects. Requests go over HTTPS, one HTTP/1.1 connection for each visitor.
//     list: 200 rows with facets and filter, three kinds of filter and order in
//     turn. explain: of a stored application with its objects, and of one that is
//     only described. permission: what the filter costs, in this process, for 50
//     grants and all applications; and, in the benchmark of hub/inventory, for 50 rules
//     of a policy and 10,000 applications. mixed: 16 visitors, half of them administrators;
//     of 100 requests 20 are lists of 50, 40 applications in full, 10 explanations,
//     15 versions, 15 lists of operations; the load generator is on the same
//     machine. stream: 20 agents' ends of the line (the package agent/link, TLS and
//     certificates of their own, as after an enrolment) send 500 reports a second
//     about 1,000 applications; 100 administrators hear of each over a connection
//     of their own. A change is lost when a listener hears neither of it nor of a
//     later one of the same application. cli: the program from start to end.
//
//   - fleet: 1,000 agents of e2e/fleetsim (-agents for another number) on one hub, each
//     from an address of its own; hub and agents share the machine. The floor is a
//     server of gRPC streams over mutual TLS with buffers like the hub's, on which
//     nothing is said. Memory is heap and stacks in use by the hub after collections
//     of garbage (GOGC=10), with the agents less without any, both after a start of the
//     hub. A report is of a Deployment whose trouble changed;
//     it is timed from when the agent's reporter hands it to the link. The hub listens
//     again when a TCP connection to it is accepted; tries are TCP connections begun
//     after that.
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
