package testbed

import "syscall"

// childAttributes: a group of its own, so that an interrupt typed at the
// terminal reaches only the program that then stops its children in order, and
// a kill signal when that program dies without doing so.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
