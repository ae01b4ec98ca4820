package oci

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// special are the address blocks, besides those net/netip knows by name, that no public registry lives in
// (IANA special-purpose address registries).
var special = []struct {
	block netip.Prefix
	what  string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a carrier's private address"},
	{netip.MustParsePrefix("192.0.0.0/24"), "special"},
	{netip.MustParsePrefix("198.18.0.0/15"), "a benchmarking address"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("fec0::/10"), "private"},
	{netip.MustParsePrefix("100::/64"), "special"},
}

// unsafeAddress says what is special about an address that a registry must not send us to; "" for a public
// one. IPv4 addresses inside IPv6 ones (mapped, compatible, NAT64, 6to4) count as what they lead to.
func unsafeAddress(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid():
		return "not an address"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsPrivate():
		return "a private address"
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), a.IsInterfaceLocalMulticast():
		return "a link-local address"
	case a.IsMulticast():
		return "a multicast address"
	case a.IsUnspecified():
		return "the unspecified address"
	}
	for _, s := range special {
		if s.block.Contains(a) {
			return s.what
		}
	}
	if a.Is6() {
		b := a.As16()
		switch {
		case netip.MustParsePrefix("64:ff9b::/96").Contains(a), netip.MustParsePrefix("::/96").Contains(a):
			return unsafeAddress(netip.AddrFrom4([4]byte(b[12:])))
		case netip.MustParsePrefix("64:ff9b:1::/48").Contains(a):
			return "a private translation address"
		case b[0] == 0x20 && b[1] == 0x02:
			return unsafeAddress(netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	return ""
}

// dialer makes the connections for one registry. Each registry has its own, with its own connections, so that
// one registry cannot use what the person allowed for another.
type dialer struct {
	named   map[string]bool // host names without port that may be anywhere
	proxies sync.Map        // host:port of proxies in use
	// fromEnv is http.ProxyFromEnvironment, which reads the environment once in a process; replaced in tests.
	fromEnv func(*http.Request) (*url.URL, error)
	// resolve replaces the system's resolver in tests.
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

func newDialer(registryHost string, allow []string) *dialer {
	d := &dialer{named: map[string]bool{hostname(registryHost): true}, fromEnv: http.ProxyFromEnvironment}
	for _, h := range allow {
		d.named[hostname(h)] = true
	}
	return d
}

// hostname is the host of host[:port], lower case and without a final dot.
func hostname(hostport string) string {
	h := hostport
	if x, _, err := net.SplitHostPort(hostport); err == nil {
		h = x
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(h, "[]")), ".")
}

// proxy says which proxy to use, and remembers it as a host the person named.
func (d *dialer) proxy(req *http.Request) (*url.URL, error) {
	u, err := d.fromEnv(req)
	if u != nil {
		port := u.Port()
		if port == "" {
			port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
			if port == "" {
				port = "80"
			}
		}
		d.proxies.Store(net.JoinHostPort(u.Hostname(), port), true)
	}
	return u, err
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	nd := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	if _, isProxy := d.proxies.Load(addr); !isProxy && !d.named[hostname(host)] {
		nd.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return checkAddress(host, address)
		}
	}
	if d.resolve == nil {
		return nd.DialContext(ctx, network, addr)
	}
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		var conn net.Conn
		if conn, err = nd.DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	if err == nil {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return nil, err
}

// checkAddress refuses an address a name was resolved to, just before the connection is made. Errors: Forbidden.
func checkAddress(host, address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return seaworthy.Errorf(seaworthy.Forbidden, "connecting to %q: it resolved to %q, which is no address", clip(host), clip(address))
	}
	if why := unsafeAddress(ap.Addr()); why != "" {
		return forbiddenHost(host, ap.Addr().String(), why)
	}
	return nil
}

// checkURLHost refuses special addresses that are written out as numbers before anything is sent: with a proxy
// in between, no connection of ours would show them. Errors: Forbidden.
func (d *dialer) checkURLHost(u *url.URL) error {
	h := hostname(u.Host)
	if d.named[h] {
		return nil
	}
	if a, err := netip.ParseAddr(h); err == nil {
		if why := unsafeAddress(a); why != "" {
			return forbiddenHost(u.Hostname(), a.String(), why)
		}
	} else if isLoopback(h) {
		return forbiddenHost(u.Hostname(), "this machine", "a loopback address")
	}
	return nil
}

func forbiddenHost(host, address, why string) error {
	return seaworthy.Errorf(seaworthy.Forbidden, "refusing to connect to %q (%s): it is %s, and only the registry named it", clip(host), address, why).
		WithHint("if you trust that host, name it with --allow-host")
}
