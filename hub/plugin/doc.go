// Package plugin runs config management plugins: programs of the operator that
// turn the files of a source into manifests, described by Argo CD's
// ConfigManagementPlugin file.
//
// It has two ends that share nothing but proto/hawser/plugin/v1 on a Unix
// socket. Plugins is the hub's end: it knows the plugins, finds the one that a
// source is for, sends it the files and the environment, and takes back what it
// put out. Serve is the host's end (hawser-hub plugin-host): it runs one
// plugin's commands, each on a copy of its own that is removed afterwards, with
// an environment that has nothing of the hub, and with limits. A host runs as a
// sidecar with the plugin's own image, or is started by the hub (Options.Files),
// which then starts it again when it dies and ends it.
//
// Each run has a runner between the host and the commands (RunnerMain): the
// process that limits them, sees them end and leaves none of them behind, also
// when the host is killed. What of the kernel it uses for that is decided when
// the host starts, by trying (see isolation).
//
// The package does not parse manifests, does not cache what plugins put out and
// knows no credential: hub/render does the first two, and nobody gives a plugin
// the last.
package plugin
