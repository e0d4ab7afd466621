package source

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestWhyAServerIsNotReached(t *testing.T) {
	refused := func(port int) error {
		return fmt.Errorf("get: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
	}
	for _, c := range []struct {
		host string
		err  error
		want string
	}{
		{"git.test", refused(8443), "git.test:8443 refuses connections"},
		{"git.test:8443", refused(8443), "git.test:8443 refuses connections"},
		{"::1", refused(22), "[::1]:22 refuses connections"},
		{"git.test", syscall.ECONNREFUSED, "git.test refuses connections"},
		{"git.test", &net.DNSError{Err: "no such host", Name: "git.test", IsNotFound: true}, `host "git.test" does not exist`},
		{"git.test", &net.DNSError{Err: "server misbehaving", Name: "git.test", IsTemporary: true}, `the hub's resolver does not know host "git.test": server misbehaving`},
	} {
		if got := upstream("https://git.test/x", c.host, c.err); !strings.Contains(got.Error(), c.want) || !errors.Is(got, c.err) {
			t.Errorf("%s, %v: got %v", c.host, c.err, got)
		}
	}
}
