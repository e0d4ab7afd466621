//go:build !linux

package plugin

import (
	"net"
	"os"
	"os/exec"
)

// startWithParent starts a process; the end of its input tells it to end.
func startWithParent(cmd *exec.Cmd) error { return cmd.Start() }

func killGroup(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // it may be gone
	}
}

func listenUnix(socket string) (net.Listener, error) { return net.Listen("unix", socket) }
