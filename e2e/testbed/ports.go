package testbed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Ports are taken from below the range (32768 and up on Linux) from which the
// kernel numbers outgoing connections: a server that goes away for a while then
// finds its port free when it comes back.
const (
	portFloor   = 20000
	portCeiling = 32000
	portTries   = 300
)

// ReservedPort is a port of 127.0.0.1 that no other testbed of the machine uses
// until it is released or this process ends.
type ReservedPort struct{ port *port }

// ReservePort finds a free port for a program that the caller starts, and that
// may come and go on it.
func ReservePort() (*ReservedPort, error) {
	p, err := reservePort()
	if err != nil {
		return nil, err
	}
	return &ReservedPort{p}, nil
}

// Number is the port's number.
func (r *ReservedPort) Number() int { return r.port.number }

// Addr is the host and port to listen on.
func (r *ReservedPort) Addr() string { return r.port.address() }

// Release gives the port up.
func (r *ReservedPort) Release() { r.port.release() }

// port is reserved among all testbeds of the machine for as long as its lock is
// held, so that two of them never talk to each other's servers, also while
// nobody listens on it.
type port struct {
	number int
	lock   *os.File
}

// reservePort finds a port of 127.0.0.1 that nobody listens on and no other
// testbed has reserved.
func reservePort() (*port, error) {
	dir := filepath.Join(os.TempDir(), "hawser-ports")
	if err := os.MkdirAll(dir, 0o1777); err != nil {
		return nil, fmt.Errorf("testbed: port: %w", err)
	}
	var last error
	for range portTries {
		p := &port{number: portFloor + rand.IntN(portCeiling-portFloor)}
		var err error
		p.lock, err = os.OpenFile(filepath.Join(dir, strconv.Itoa(p.number)), os.O_CREATE|os.O_RDWR, 0o666)
		if err != nil {
			last = err
			continue
		}
		if err = tryLock(p.lock); err == nil {
			var ln net.Listener
			if ln, err = net.Listen("tcp4", p.address()); err == nil {
				ln.Close()
				return p, nil
			}
		}
		last = err
		p.release()
	}
	return nil, fmt.Errorf("testbed: no free port on 127.0.0.1 between %d and %d: %w", portFloor, portCeiling, last)
}

func reservePorts(n int) (_ []*port, err error) {
	var all []*port
	for range n {
		p, err := reservePort()
		if err != nil {
			for _, p := range all {
				p.release()
			}
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// listen opens the port. A program outside of the testbed may have taken it. One
// that this process is just starting has everything open that was open here until it
// becomes another program: a port that was closed a moment ago as well. That passes in
// milliseconds, and tells nobody.
func (p *port) listen() (net.Listener, error) {
	for tries := 0; ; tries++ {
		ln, err := net.Listen("tcp4", p.address())
		if !lostPort(err) || tries == 100 {
			return ln, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *port) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number)) }

// release gives the reservation up; the lock file stays, as removing it would
// let two holders lock different files of one name.
func (p *port) release() { p.lock.Close() }

// reserveAndListen is for servers in this process.
func reserveAndListen() (*port, net.Listener, error) {
	for {
		p, err := reservePort()
		if err != nil {
			return nil, nil, err
		}
		ln, err := p.listen()
		if err == nil {
			return p, ln, nil
		}
		p.release()
		if !lostPort(err) {
			return nil, nil, fmt.Errorf("testbed: %w", err)
		}
	}
}

// lostPort tells whether a start failed because another program took a port
// between the reservation and the start.
func lostPort(err error) bool {
	return err != nil && (errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "address already in use"))
}
