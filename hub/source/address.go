package source

import (
	"context"
	"net"
	"net/netip"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// DefaultBlocked are networks that no repository is in: link-local addresses,
// where clouds serve credentials to machines, and addresses that name no host.
func DefaultBlocked() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/128", "fe80::/10", "ff00::/8", "fd00:ec2::/32"} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// checkAddress refuses an address in a blocked network. host is what it was
// resolved from.
func checkAddress(host string, addr netip.Addr, blocked []netip.Prefix) error {
	addr = addr.Unmap().WithZone("")
	inside, carries := carried(addr)
	for _, p := range blocked {
		if carries && p.Contains(inside) {
			addr = inside
		}
		if !p.Contains(addr) {
			continue
		}
		kind := "an address in " + p.String()
		if addr.IsLinkLocalUnicast() {
			kind = "a link-local address"
		}
		return fault.New(fault.Invalid, "address_blocked", "host %q resolves to %s, which is blocked", host, kind)
	}
	return nil
}

// carried is the IPv4 address that a translator or tunnel makes of an IPv6 one:
// NAT64 (64:ff9b::/96), 6to4 (2002::/16), and the old ::a.b.c.d.
func carried(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case [12]byte(b[:12]) == [12]byte{0, 0x64, 0xff, 0x9b}:
		return last, true
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case [12]byte(b[:12]) == [12]byte{} && addr != netip.IPv6Unspecified() && addr != netip.IPv6Loopback():
		return last, true
	}
	return netip.Addr{}, false
}

// hostAllowed matches a host against globs; no globs allow all.
func hostAllowed(host string, globs []string) bool {
	if len(globs) == 0 {
		return true
	}
	for _, g := range globs {
		if ok, err := path.Match(strings.ToLower(g), strings.ToLower(host)); err == nil && ok {
			return true
		}
	}
	return false
}

func errHostNotAllowed(host string, globs []string) error {
	return fault.New(fault.Invalid, "address_blocked", "host %q is not among the hosts that this hub may contact", host).
		WithFound(host, strings.Join(globs, ", "))
}

// dialer checks each address at the moment of connecting, so that a name that
// resolves differently the second time gains nothing.
func dialer(blocked []netip.Prefix) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		d := net.Dialer{
			Timeout:   10 * time.Second,
			KeepAlive: 30 * time.Second,
			ControlContext: func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
				addr, err := netip.ParseAddrPort(resolved)
				if err != nil {
					return err
				}
				return checkAddress(host, addr.Addr(), blocked)
			},
		}
		return d.DialContext(ctx, network, address)
	}
}
