package devdb

import "syscall"

// dieWithParent has the kernel end the server at once when this process ends.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
