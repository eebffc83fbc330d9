package traffic

import (
	"fmt"
	"net/netip"
	"strings"

	"headgate.dev/proxy/model"
)

// Connection is what a listener does with a connection, or with a UDP session.
type Connection struct {
	// Chain is the one that the server name chose; nil for listeners without TLS, and where no chain has the name.
	Chain *model.Chain
	// Table is where its requests are looked up; empty where it carries no HTTP.
	Table model.TableID
	// Forward is where its bytes go; nil for a connection of HTTP, and for one that is closed.
	Forward *model.L4Forward
	// Reason says in words why this chain, or why the connection is closed.
	Reason string
}

// Closed tells whether the connection is closed without an answer.
func (c *Connection) Closed() bool { return c.Table == "" && c.Forward == nil }

// Connect says what a listener does with a connection. The server name (SNI) counts only where the listener speaks TLS.
func Connect(l *model.Listener, serverName string) Connection {
	if l.Protocol != model.TLS {
		c := Connection{Table: l.Table, Forward: l.Forward}
		if c.Closed() {
			c.Reason = "no route has the port"
		}
		return c
	}
	name := strings.ToLower(serverName)
	chain := findChain(l.Chains, name)
	if chain == nil {
		return Connection{Reason: fmt.Sprintf("no listener of port %d takes %s", l.Port, nameWords(name))}
	}
	c := Connection{Chain: chain, Table: chain.Table, Forward: chain.Forward}
	switch {
	case c.Closed():
		c.Reason = fmt.Sprintf("the listener for %s has no route", chain.ServerName)
	case chain.ServerName == name:
		c.Reason = "the server name is the listener's"
	case chain.ServerName == anyHost:
		c.Reason = "no other listener of the port takes " + nameWords(name)
	default:
		c.Reason = "the server name matches " + chain.ServerName
	}
	return c
}

func nameWords(serverName string) string {
	if serverName == "" {
		return "a connection without a server name"
	}
	return "the server name " + serverName
}

// findChain takes the name itself, else the longest wildcard, else "*".
func findChain(chains []model.Chain, name string) *model.Chain {
	byName := map[string]*model.Chain{}
	for i := range chains {
		byName[chains[i].ServerName] = &chains[i]
	}
	for _, n := range append([]string{name}, wildcardsOf(name)...) {
		if c := byName[n]; c != nil && n != "" {
			return c
		}
	}
	return nil
}

// wildcardsOf lists the wildcards that have a name, from the most specific one to "*".
func wildcardsOf(name string) []string {
	var out []string
	for i := 1; i < len(name); i++ {
		if name[i] == '.' {
			out = append(out, "*"+name[i:])
		}
	}
	return append(out, anyHost)
}

// ServerName is the server name that a client sends which opens a connection for a host: none for an IP address.
func ServerName(host string) string {
	name := strings.TrimSuffix(withoutPort(strings.ToLower(host)), ".")
	for _, ip := range [...]string{host, strings.Trim(name, "[]")} {
		if _, err := netip.ParseAddr(ip); err == nil {
			return ""
		}
	}
	return name
}
