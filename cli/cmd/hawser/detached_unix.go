//go:build unix

package main

import "syscall"

// detached is a session of its own.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
