package worker

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// Kernel tells what there is for sandboxes. A container runtime that hides a
// system call counts as a kernel without it.
func Kernel() KernelOffer {
	offer := KernelOffer{Limits: true}
	if abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno == 0 {
		offer.Landlock = int(abi)
	}
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	_, err := arch.GetInfo("")
	offer.Seccomp = errno == 0 && err == nil
	return offer
}

// enter goes from the weakest to the strongest, because each forbids what the
// one before it needs. All of it counts for every thread.
func enter(p Profile, offer KernelOffer) (State, error) {
	var s State
	// Nobody looks into its memory, not even another worker.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return s, fmt.Errorf("not dumpable: %w", err)
	}
	switch _, _, errno := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); {
	case errno == 0:
		s.NoNewPrivileges = true
	case errno != syscall.ENOTSUP: // which is a build with cgo, where the filter sets it
		return s, fmt.Errorf("no new privileges: %w", errno)
	}
	switch err := dropCapabilities(p); {
	case err == nil:
		s.Capabilities = true
	case !errors.Is(err, syscall.ENOTSUP):
		return s, fmt.Errorf("capabilities: %w", err)
	}
	if offer.Landlock > 0 {
		if err := restrictFiles(p); err != nil {
			return s, fmt.Errorf("landlock: %w", err)
		}
		s.Landlock = offer.Landlock
	}
	if offer.Seccomp {
		if err := filterCalls(p); err != nil {
			return s, fmt.Errorf("seccomp: %w", err)
		}
		s.Seccomp, s.NoNewPrivileges = true, true
	}
	return s, nil
}

// dropCapabilities matters where the hub runs as root, as in careless
// containers. Whoever works with files keeps the right to those of others, since
// the data directory of such a hub may belong to anybody.
func dropCapabilities(p Profile) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var now, want [2]unix.CapUserData
	if err := unix.Capget(&header, &now[0]); err != nil {
		return err
	}
	if p.files() {
		const keep = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER
		want[0].Effective = now[0].Effective & keep
		want[0].Permitted = now[0].Permitted & keep
	}
	if want == now {
		return nil
	}
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&want[0])), 0)
	runtime.KeepAlive(&header)
	runtime.KeepAlive(&want)
	if errno != 0 {
		return errno
	}
	return nil
}

// restrictFiles bounds files, and for the strictest also TCP; nobody sends
// signals to processes outside or connects to their abstract sockets.
func restrictFiles(p Profile) error {
	all := landlock.V10
	parts := []any{all.HandledAccessFS, all.Scoped}
	if !p.Network {
		parts = append(parts, all.HandledAccessNet)
	}
	// One set of rules: a second one would forbid moving files between
	// directories, whatever it is about.
	config, err := landlock.NewConfig(parts...)
	if err != nil {
		return err
	}
	var rules []landlock.Rule
	add := func(paths []string, dirs, files func(...string) landlock.FSRule) error {
		for _, path := range paths {
			info, err := os.Stat(path)
			switch {
			case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
			case err != nil:
				return err
			case info.IsDir():
				rules = append(rules, dirs(path).IgnoreIfMissing())
			default:
				rules = append(rules, files(path).IgnoreIfMissing())
			}
		}
		return nil
	}
	writeDirs := func(paths ...string) landlock.FSRule { return landlock.RWDirs(paths...).WithRefer() }
	if err := errors.Join(add(p.Read, landlock.RODirs, landlock.ROFiles), add(p.Write, writeDirs, landlock.RWFiles)); err != nil {
		return err
	}
	return config.BestEffort().Restrict(rules...)
}

// filterCalls installs the filter of the profile.
func filterCalls(p Profile) error {
	info, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	policy := policyOf(p, info, os.Getpid())
	// The filter is loaded by one thread and taken over by the others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: policy}); err != nil {
		return err
	}
	// The library does not tell of a thread that could not follow.
	const filtered = 2
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err != nil || mode != filtered {
		return fmt.Errorf("the filter is not in force (%d, %w)", mode, err)
	}
	return nil
}

// policyOf is a list of what is allowed: a call that a later kernel brings, or
// of another ABI, is forbidden. Only a profile with commands, whose programs
// nobody can know, is a list of what is forbidden. Refused calls fail with
// EPERM, which the program reports; they do not kill it.
func policyOf(p Profile, info *arch.Info, pid int) seccomp.Policy {
	known := func(names string) []string {
		var out []string
		for _, name := range strings.Fields(names) {
			if _, ok := info.SyscallNames[name]; ok {
				out = append(out, name)
			}
		}
		return out
	}
	conditional := func(list []seccomp.NameWithConditions) []seccomp.NameWithConditions {
		var out []seccomp.NameWithConditions
		for _, c := range list {
			if _, ok := info.SyscallNames[c.Name]; ok {
				out = append(out, c)
			}
		}
		return out
	}
	// The C library asks for clone3, whose flags a filter cannot see, and falls
	// back to clone when there is none.
	notThere := seccomp.SyscallGroup{Names: known("clone3"), Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)}
	if p.Commands {
		return seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{
			{Names: known(neverCalls), NamesWithCondtions: conditional(namespaceClones), Action: seccomp.ActionErrno},
			notThere,
		}}
	}
	names := runtimeCalls
	if p.files() {
		names += fileCalls
	}
	calls := runtimeCallsWith(pid)
	if p.Network {
		names += networkCalls
		calls = append(calls, socketCalls()...)
	}
	return seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{
		{Names: known(names), NamesWithCondtions: conditional(calls), Action: seccomp.ActionAllow},
		notThere,
	}}
}
