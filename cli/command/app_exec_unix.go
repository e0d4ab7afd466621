//go:build unix

package command

import (
	"os"
	"os/signal"
	"syscall"
)

// sizeChanges tells when the terminal may have another size.
func sizeChanges() (changed <-chan os.Signal, stop func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGWINCH)
	return ch, func() { signal.Stop(ch) }
}
