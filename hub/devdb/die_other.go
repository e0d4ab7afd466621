//go:build !linux

package devdb

import "syscall"

// dieWithParent does nothing where the kernel has no such thing; an abandoned
// server is left running until its directory is used again.
func dieWithParent(*syscall.SysProcAttr) {}
