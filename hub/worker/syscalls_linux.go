package worker

import (
	"github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// runtimeCalls are what the Go runtime needs after it has started, and what
// reading and writing open files needs. None opens a file by name, changes
// another process or reaches a network. Names that an architecture does not
// have are passed over.
const runtimeCalls = `
read write readv writev pread64 lseek close fstat dup dup3 pipe2
munmap madvise mincore brk
futex nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time
sched_yield sched_getaffinity getcpu membarrier rseq set_robust_list set_tid_address
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall setitimer timer_create timer_settime timer_delete
epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 poll ppoll pselect6 select
getpid getppid gettid getuid geteuid getgid getegid getrandom uname getrusage times sysinfo
exit exit_group`

// fileCalls work on files by name. Which ones is Landlock's matter.
const fileCalls = `
openat openat2 newfstatat statx faccessat faccessat2 readlinkat getdents64 getcwd
open stat lstat access readlink
mkdirat unlinkat renameat renameat2 linkat ftruncate fallocate fsync fdatasync pwrite64 pwritev preadv
fchmod fchmodat utimensat flock copy_file_range sendfile fadvise64 umask statfs fstatfs`

// networkCalls are those of a client. bind is needed by Go's look at what the
// machine can do; without listen and accept nobody can come in.
const networkCalls = `
connect bind getsockname getpeername setsockopt getsockopt sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown splice`

// neverCalls are for no program that a worker may start: looking into other
// processes, other namespaces and views of the file system, the kernel itself,
// and calls that escape the filter or have been ways to break the kernel.
const neverCalls = `
ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd pidfd_open
unshare setns chroot pivot_root mount umount2 move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr
bpf perf_event_open io_uring_setup io_uring_enter io_uring_register userfaultfd memfd_secret
add_key request_key keyctl init_module finit_module delete_module kexec_load kexec_file_load
reboot swapon swapoff acct quotactl settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname syslog
name_to_handle_at open_by_handle_at fanotify_init lookup_dcookie iopl ioperm modify_ldt personality vhangup
listen accept accept4`

// namespaceFlags of clone.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

var namespaceClones = []seccomp.NameWithConditions{when("clone", arg(0, seccomp.BitsSet, namespaceFlags))}

// runtimeCallsWith are calls that are harmless with some arguments only.
func runtimeCallsWith(pid int) []seccomp.NameWithConditions {
	self := uint64(pid)
	calls := []seccomp.NameWithConditions{
		// Threads, but no processes.
		when("clone", arg(0, seccomp.BitsSet, unix.CLONE_THREAD), arg(0, seccomp.BitsNotSet, namespaceFlags)),
		// Signals to itself: the runtime interrupts its threads with them.
		when("tgkill", arg(0, seccomp.Equal, self)),
		when("kill", arg(0, seccomp.Equal, self)),
		// Memory, but no code.
		when("mmap", arg(2, seccomp.BitsNotSet, unix.PROT_EXEC)),
		when("mprotect", arg(2, seccomp.BitsNotSet, unix.PROT_EXEC)),
		// Its own limits, to read.
		when("prlimit64", arg(0, seccomp.Equal, 0), arg(2, seccomp.Equal, 0)),
	}
	for _, option := range []uint64{unix.PR_SET_VMA, unix.PR_SET_NAME, unix.PR_GET_SECCOMP, unix.PR_GET_NO_NEW_PRIVS} {
		calls = append(calls, when("prctl", arg(0, seccomp.Equal, option)))
	}
	// Not F_SETOWN, which has the kernel send signals to others.
	for _, command := range []uint64{
		unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL,
		unix.F_GETLK, unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_GETLK, unix.F_OFD_SETLK, unix.F_OFD_SETLKW,
	} {
		calls = append(calls, when("fcntl", arg(1, seccomp.Equal, command)))
	}
	return calls
}

// socketCalls allow TCP and UDP. Unix sockets would reach databases and
// container runtimes, netlink and raw sockets the network's configuration.
func socketCalls() []seccomp.NameWithConditions {
	var calls []seccomp.NameWithConditions
	for _, family := range []uint64{unix.AF_INET, unix.AF_INET6} {
		for _, kind := range []uint64{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			for _, flags := range []uint64{0, unix.SOCK_CLOEXEC, unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK} {
				calls = append(calls, when("socket", arg(0, seccomp.Equal, family), arg(1, seccomp.Equal, kind|flags)))
			}
		}
	}
	return calls
}

func when(name string, conditions ...seccomp.Condition) seccomp.NameWithConditions {
	return seccomp.NameWithConditions{Name: name, Conditions: conditions}
}

func arg(n uint32, operation seccomp.Operation, value uint64) seccomp.Condition {
	return seccomp.Condition{Argument: n, Operation: operation, Value: value}
}
