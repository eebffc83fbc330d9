package local

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// ParsePorts reads PORT=LOCAL, one for each --port.
func ParsePorts(values []string) (map[int32]uint16, error) {
	ports := make(map[int32]uint16, len(values))
	for _, v := range values {
		from, to, _ := strings.Cut(v, "=")
		port, err1 := parsePort(from)
		local, err2 := parsePort(to)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("--port %q: expected PORT=LOCAL, both from 1 to 65535, as in 80=9000", v)
		}
		if other, twice := ports[int32(port)]; twice && other != local {
			return nil, fmt.Errorf("--port %q: port %d is mapped to %d already", v, port, other)
		}
		ports[int32(port)] = local
	}
	return ports, nil
}

// ParseEndpoints reads [NS/]SERVICE[:PORT]=HOST:PORT, one for each --endpoint. A host's name is looked up once, here.
func ParseEndpoints(values []string) ([]Endpoint, error) {
	out := make([]Endpoint, 0, len(values))
	for _, v := range values {
		e, err := parseEndpoint(v)
		if err != nil {
			return nil, fmt.Errorf("--endpoint %q: %w; expected [NS/]SERVICE[:PORT]=HOST:PORT, as in shop:8080=localhost:3000", v, err)
		}
		out = append(out, e)
	}
	return out, nil
}

func parseEndpoint(v string) (Endpoint, error) {
	e := Endpoint{Service: types.NamespacedName{Namespace: DefaultNamespace}}
	service, address, found := strings.Cut(v, "=")
	if !found {
		return e, fmt.Errorf("no %q", "=")
	}
	if namespace, name, ok := strings.Cut(service, "/"); ok {
		e.Service.Namespace, service = namespace, name
	}
	name, port, hasPort := strings.Cut(service, ":")
	if e.Service.Name = name; name == "" || e.Service.Namespace == "" {
		return e, fmt.Errorf("a name is empty")
	}
	if hasPort {
		n, err := parsePort(port)
		if err != nil {
			return e, err
		}
		e.Port = int32(n)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return e, err
	}
	number, err := parsePort(port)
	if err != nil {
		return e, err
	}
	ip, err := lookup(host)
	if err != nil {
		return e, err
	}
	e.Address = netip.AddrPortFrom(ip, number)
	return e, nil
}

// lookup prefers IPv4, which is what most things listen on that say "localhost".
func lookup(host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, nil
	}
	addrs, err := net.LookupIP(host)
	if err != nil {
		return netip.Addr{}, err
	}
	best, _ := netip.AddrFromSlice(addrs[0])
	for _, a := range addrs {
		if a.To4() != nil {
			best, _ = netip.AddrFromSlice(a.To4())
			break
		}
	}
	return best.Unmap(), nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port", s)
	}
	return uint16(n), nil
}
