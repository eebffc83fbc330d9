package expand

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"headgate.dev/schema"
)

const (
	// maxListeners is how many listeners a Gateway may have.
	maxListeners = 64
	// maxName is how long the name of a listener may be.
	maxName   = 253
	httpPort  = 80
	httpsPort = 443
	// namespaceName is the label every namespace has its name in.
	namespaceName = "kubernetes.io/metadata.name"
)

// listener is one listener to be.
type listener struct {
	protocol  schema.Protocol
	port      schema.Port
	host      schema.ListenerHost // "*" for every host
	secrets   []schema.ObjectName
	mode      schema.TLSMode // of protocol TLS
	admits    *schema.Namespaces
	redirects bool   // answers with the redirect to HTTPS
	at        string // pointer of what it comes from
}

// name is "http", "https.shop.example.com", "http-8080.wildcard.example.com", "tls-8443.db.example.com", "tcp-5432".
func (l *listener) name() string {
	name := strings.ToLower(string(l.protocol))
	usual := l.protocol == schema.ProtocolHTTP && l.port == httpPort || l.protocol == schema.ProtocolHTTPS && l.port == httpsPort
	if !usual {
		name += "-" + strconv.Itoa(int(l.port))
	}
	if l.host == "*" {
		return name
	}
	if rest, wildcard := strings.CutPrefix(string(l.host), "*."); wildcard {
		return name + ".wildcard." + rest
	}
	return name + "." + string(l.host)
}

// object gives the listener as content. Whose routes may attach is what the listener says, else what the spec allows.
func (l *listener) object(s *schema.GatewaySpec) map[string]any {
	admits := l.admits
	if admits == nil && s.Spec.Allow != nil {
		admits = s.Spec.Allow.Namespaces
	}
	if l.redirects {
		admits = nil // the redirect's, and nobody else's
	}
	out := map[string]any{
		"name":          l.name(),
		"port":          int64(l.port),
		"protocol":      string(l.protocol),
		"allowedRoutes": map[string]any{"namespaces": namespaces(admits)},
	}
	if l.host != "*" {
		out["hostname"] = string(l.host)
	}
	if l.protocol != schema.ProtocolHTTPS && l.protocol != schema.ProtocolTLS {
		return out
	}
	tls := map[string]any{"mode": "Terminate"}
	if l.mode == schema.TLSPassthrough {
		tls["mode"] = "Passthrough"
	} else {
		refs := make([]any, len(l.secrets))
		for i, secret := range l.secrets {
			refs[i] = objectRef("Secret", secret)
		}
		tls["certificateRefs"] = refs
	}
	out["tls"] = tls
	return out
}

// namespaces is a selection of namespaces as content; nil selects the Gateway's own.
func namespaces(n *schema.Namespaces) map[string]any {
	switch {
	case n == nil || n.Same:
		return map[string]any{"from": "Same"}
	case n.All:
		return map[string]any{"from": "All"}
	case len(n.Names) > 0:
		in := map[string]any{"key": namespaceName, "operator": "In", "values": anyList(n.Names)}
		return map[string]any{"from": "Selector", "selector": map[string]any{"matchExpressions": []any{in}}}
	default:
		return map[string]any{"from": "Selector", "selector": map[string]any{"matchLabels": anyMap(n.Labels)}}
	}
}

// listenerSet collects the listeners of a spec and what is wrong with them.
type listenerSet struct {
	spec  *schema.GatewaySpec
	out   []listener
	names map[string]string // name of a listener: pointer of what it comes from
	binds map[string]string // port and hostname: likewise
	speak map[string]string // port: what is spoken there
	used  map[schema.ListenerHost]bool
	errs  schema.Errors
}

// listenersOf gives the listeners of a spec in its order; for a host, the one of plain HTTP first.
func listenersOf(s *schema.GatewaySpec) *listenerSet {
	set := &listenerSet{
		spec: s, names: map[string]string{}, binds: map[string]string{}, speak: map[string]string{}, used: map[schema.ListenerHost]bool{},
	}
	if len(s.Spec.Hosts) == 0 && len(s.Spec.Ports) == 0 {
		set.addHost(&schema.GatewayHost{Host: "*"}, "/spec")
	}
	for i := range s.Spec.Hosts {
		set.addHost(&s.Spec.Hosts[i], "/spec/hosts/"+strconv.Itoa(i))
	}
	for i := range s.Spec.Ports {
		set.addPort(&s.Spec.Ports[i], "/spec/ports/"+strconv.Itoa(i))
	}
	set.checkTogether()
	return set
}

// addHost adds a host on port 80 and, with a certificate, on port 443.
func (l *listenerSet) addHost(h *schema.GatewayHost, at string) {
	secrets := h.TLS
	if len(secrets) == 0 {
		secrets = l.certificates(h.Host)
	}
	redirect := len(secrets) > 0
	switch {
	case h.Redirect != nil && *h.Redirect && len(secrets) == 0:
		l.errorf(at+"/redirect", "%s has no certificate, so there is no HTTPS to redirect to; give it tls", h.Host)
		return
	case h.Redirect != nil:
		redirect = redirect && *h.Redirect
	case l.spec.Spec.Redirect != nil:
		redirect = redirect && *l.spec.Spec.Redirect
	}
	l.add(listener{protocol: schema.ProtocolHTTP, port: httpPort, host: h.Host, admits: h.Namespaces, redirects: redirect, at: at})
	if len(secrets) > 0 {
		l.add(listener{protocol: schema.ProtocolHTTPS, port: httpsPort, host: h.Host, admits: h.Namespaces, secrets: secrets, at: at})
	}
}

// addPort adds the hosts of a further port.
func (l *listenerSet) addPort(p *schema.GatewayPort, at string) {
	if len(p.Hosts) == 0 {
		l.addPortHost(p, &schema.PortHost{Host: "*"}, at)
	}
	for i := range p.Hosts {
		l.addPortHost(p, &p.Hosts[i], at+"/hosts/"+strconv.Itoa(i))
	}
}

func (l *listenerSet) addPortHost(p *schema.GatewayPort, h *schema.PortHost, at string) {
	next := listener{protocol: p.Protocol, port: p.Port, host: h.Host, mode: p.Mode, admits: h.Namespaces, at: at}
	if next.admits == nil {
		next.admits = p.Namespaces
	}
	decrypts := p.Protocol == schema.ProtocolHTTPS || p.Protocol == schema.ProtocolTLS && p.Mode == schema.TLSTerminate
	if decrypts {
		switch {
		case len(h.TLS) > 0:
			next.secrets = h.TLS
		case len(p.TLS) > 0:
			next.secrets = p.TLS
		default:
			next.secrets = l.certificates(h.Host)
		}
		if len(next.secrets) == 0 {
			l.errorf(at, "%s on port %d has no certificate; give the port tls", h.Host, p.Port)
			return
		}
	}
	l.add(next)
}

// certificates gives the Secrets the spec has for a host.
func (l *listenerSet) certificates(host schema.ListenerHost) []schema.ObjectName {
	secrets, from := l.spec.Spec.TLS.Of(host)
	if len(secrets) > 0 {
		l.used[from] = true
	}
	return secrets
}

// transport is what can share a port: HTTP and TLS tell their listeners apart by host, TCP and UDP do not.
var transport = map[schema.Protocol]string{
	schema.ProtocolHTTP: "plain HTTP", schema.ProtocolHTTPS: "TLS", schema.ProtocolTLS: "TLS", schema.ProtocolTCP: "plain TCP",
}

// add adds a listener unless it would be in the way of one that is there.
func (l *listenerSet) add(next listener) {
	port := strconv.Itoa(int(next.port))
	if next.protocol == schema.ProtocolUDP {
		port += "/udp"
	} else if first, there := l.speak[port]; there && first != transport[next.protocol] {
		l.errorf(next.at, "port %s speaks %s already, so it cannot speak %s", port, first, transport[next.protocol])
		return
	}
	bind := port + " " + string(next.host)
	if first, there := l.binds[bind]; there {
		l.errorf(next.at, "%s on port %d is already there in %s", next.host, next.port, schema.FieldPath(first))
		return
	}
	name := next.name()
	if first, there := l.names[name]; there {
		l.errorf(next.at, "the listener would be named %s, like the one of %s", name, schema.FieldPath(first))
		return
	}
	if len(name) > maxName {
		l.errorf(next.at, "the listener's name %s... would have %d characters, at most %d are possible; use a wildcard", name[:40], len(name), maxName)
		return
	}
	l.names[name], l.binds[bind], l.speak[port] = next.at, next.at, transport[next.protocol]
	l.out = append(l.out, next)
}

func (l *listenerSet) errorf(at, format string, args ...any) {
	l.errs = append(l.errs, l.spec.Errorf(at, "%s", fmt.Sprintf(format, args...)))
}

// checkTogether checks what needs all listeners.
func (l *listenerSet) checkTogether() {
	if len(l.out) > maxListeners {
		at := "/spec/hosts"
		if len(l.spec.Spec.Hosts) == 0 {
			at = "/spec/ports"
		}
		l.errorf(at, "%d listeners are more than a Gateway can have, %d; use a wildcard or a second GatewaySpec", len(l.out), maxListeners)
	}
	l.checkUsed()
	if len(l.errs) > 0 {
		return
	}
	if r := l.spec.Spec.Redirect; r != nil && *r && !slices.ContainsFunc(l.out, func(l listener) bool { return l.redirects }) {
		l.errorf("/spec/redirect", "no host has a certificate, so there is no HTTPS to redirect to; give the gateway tls")
	}
	for _, c := range l.spec.Spec.ClientAuth {
		for _, port := range c.Ports {
			if l.speak[strconv.Itoa(int(port))] != "TLS" {
				l.errorf("/spec/clientAuth", "port %d has no listener that speaks TLS, so no client shows a certificate there", port)
			}
		}
	}
}

// checkUsed refuses certificates that nothing needs: a host was left out, or misspelled.
func (l *listenerSet) checkUsed() {
	tls := l.spec.Spec.TLS
	if tls == nil {
		return
	}
	if len(tls.All) > 0 && !l.used[""] {
		l.errorf("/spec/tls", "no listener needs this certificate")
	}
	for _, h := range tls.ByHost {
		if !l.used[h.Host] {
			l.errorf("/spec/tls/"+schema.EscapePointer(string(h.Host)), "no listener needs this certificate: none of hosts and ports takes it")
		}
	}
}
