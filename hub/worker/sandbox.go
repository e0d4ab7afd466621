package worker

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// Profile is what a worker process may do besides computing and talking to the
// pool. The zero Profile is the strictest: no file, no socket, no other process.
type Profile struct {
	// Network allows IPv4 and IPv6 connections to servers; listening is never
	// allowed.
	Network bool `json:"network,omitempty"`
	// Read and Write are files and directories, with all below them. Those that
	// do not exist when the process starts stay unreachable.
	Read  []string `json:"read,omitempty"`
	Write []string `json:"write,omitempty"`
	// Commands allows starting programs, which live under the same rules: give
	// Read what they need. Only the git command for file:// repositories, in
	// demos and tests, is a reason.
	Commands bool `json:"commands,omitempty"`
}

func (p Profile) files() bool { return len(p.Read)+len(p.Write) > 0 }

// profileVariable hands the profile to the process. Who could change it could
// start the process without a sandbox as well.
const profileVariable = "HAWSER_WORKER_PROFILE"

func (p Profile) variable() (string, error) {
	text, err := json.Marshal(p)
	return profileVariable + "=" + string(text), err
}

// takeProfile reads the profile of this process and takes it out of the
// environment. Without one, it is the strictest.
func takeProfile() (Profile, error) {
	text, ok := os.LookupEnv(profileVariable)
	if !ok {
		return Profile{}, nil
	}
	if err := os.Unsetenv(profileVariable); err != nil {
		return Profile{}, err
	}
	var p Profile
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return Profile{}, fmt.Errorf("%s: %w", profileVariable, err)
	}
	return p, nil
}

// Threads of a worker. Go starts one for each that waits in the kernel; a
// process that needs more is doing something that it should not.
const maxThreads = 256

// State is what holds for this process after Sandbox.
type State struct {
	// NoNewPrivileges: no program that it starts gains rights.
	NoNewPrivileges bool
	// Capabilities: it has none left that it has no use for.
	Capabilities bool
	// Landlock is the ABI version that bounds its files, 0 for none.
	Landlock int
	// Seccomp: only the system calls of its profile are possible.
	Seccomp bool
}

// Sandbox takes from this process, for good, what its profile does not allow.
// A worker's main calls it before it reads its first job, and before it starts
// goroutines that need files. What the kernel does not offer is left out, and
// the State says so; an error means that the kernel refused what it offers, and
// the process must not go on.
func Sandbox() (State, error) {
	p, err := takeProfile()
	if err != nil {
		return State{}, err
	}
	debug.SetMaxThreads(maxThreads)
	return enter(p, Kernel())
}

// KernelOffer is what the kernel of this machine has for sandboxes.
type KernelOffer struct {
	// Landlock is the ABI version, 0 when there is none.
	Landlock int
	// Seccomp filters, on an architecture whose system calls are known.
	Seccomp bool
	// Limits: rlimits and CPU time of processes.
	Limits bool
}

// LogValue is the line in the hub's log.
func (k KernelOffer) LogValue() slog.Value {
	landlock := "no"
	if k.Landlock > 0 {
		landlock = fmt.Sprintf("abi %d", k.Landlock)
	}
	yes := map[bool]string{true: "yes", false: "no"}
	return slog.GroupValue(slog.String("landlock", landlock), slog.String("seccomp", yes[k.Seccomp]), slog.String("limits", yes[k.Limits]))
}

// Weak reports whether workers of the strictest profile could still reach the
// network or start processes, which an operator should know. Landlock alone
// bounds files and TCP, but no UDP, and of TCP not every kind.
func (k KernelOffer) Weak() bool { return !k.Seccomp }

// ClientFiles are the files that a client of servers reads: names, time zones
// and the certificates that this machine trusts, also where the environment
// says that they are elsewhere.
func ClientFiles() []string {
	files := []string{
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services", "/etc/protocols", "/etc/localtime", "/usr/share/zoneinfo",
		"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
		"/usr/local/share/certs", "/var/lib/ca-certificates", "/system/etc/security/cacerts",
	}
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		files = append(files, file)
	}
	for _, dir := range strings.Split(os.Getenv("SSL_CERT_DIR"), ":") {
		if dir != "" {
			files = append(files, dir)
		}
	}
	// Some systems replace the file behind this link while workers run.
	if target, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && filepath.Dir(target) != "/etc" {
		files = append(files, filepath.Dir(target))
	}
	return files
}
