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
	for _, p := range blocked {
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
