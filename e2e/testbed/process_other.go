//go:build !linux

package testbed

import "syscall"

// childAttributes: there is no parent death signal here; children of a killed
// parent have to be ended by hand.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
