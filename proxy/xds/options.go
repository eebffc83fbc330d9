package xds

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/live"
)

// Change is a resource as it is from an epoch on; without a Body (nil) it is removed. The server keeps the Body: it must
// not be written to afterwards.
type Change = envoy.Resource

// Peer is what is known for certain of a caller. What a proxy says about itself (its node) is no part of it.
type Peer struct {
	// Addr is where the connection comes from.
	Addr net.Addr
	// TLS is the state of the connection, verified as Options.TLS demands; nil without TLS.
	TLS *tls.ConnectionState
}

// Identity is who a proxy is: it gets the configuration of its Fleet, and Proxy tells it from the others of the fleet.
type Identity struct {
	Fleet string
	Proxy string
}

// Options of a Server. The zero value serves nobody, for lack of Authenticate.
type Options struct {
	// Authenticate says who calls. Its error refuses the stream and is told to the caller. Nil refuses everybody.
	Authenticate func(context.Context, Peer) (Identity, error)
	// TLS is the server's side of mutual TLS; nil: plain text, for a socket only the proxy can reach.
	TLS *tls.Config
	// Observer is told what happens on streams; nil: nobody.
	Observer Observer
	// Changed is told that States of a fleet may say something else; nil: nobody. It must neither wait nor call the Server.
	Changed func(fleet string)
	// Followers are those who may follow this server, see Follow; nil: nobody.
	Followers *Followers
	// RemoveAfter is how long a removed cluster stays on a proxy, for requests that wait for a retry. 0: 20 s.
	RemoveAfter time.Duration
	// ForgetAfter is how long a ready proxy whose stream broke counts as one that serves what it has. 0: 10 s.
	ForgetAfter time.Duration
}

// Observer is told what happens on streams. It is called from the goroutine of the stream, one call at a time for one
// stream, without any lock held: it may call the Server; while it runs that proxy gets nothing new.
type Observer interface {
	// Connected: the proxy opened a stream and was authenticated. A second stream of the same proxy ends the first.
	Connected(Identity)
	// Ready: the proxy answered its full first set. Once per stream at most.
	Ready(Identity)
	// Nacked: the proxy refuses this resource, and only this, in the words of message. A later state of it is sent again.
	Nacked(id Identity, key envoy.Key, message string)
	// Disconnected: the stream ended, with the reason.
	Disconnected(Identity, error)
}

// Status is how far an epoch has come in a fleet, and what is refused up to it (ordered by key, then proxy).
type Status struct {
	live.Status
	Refused []Refusal
}

// State is how far one proxy is.
type State = live.State[envoy.Key]

// Refusal is a resource a proxy refuses, with the proxy's words.
type Refusal = live.Refusal[envoy.Key]

const (
	defaultRemoveAfter = 20 * time.Second
	defaultForgetAfter = 10 * time.Second
)

func (o Options) withDefaults() Options {
	if o.RemoveAfter == 0 {
		o.RemoveAfter = defaultRemoveAfter
	}
	if o.ForgetAfter == 0 {
		o.ForgetAfter = defaultForgetAfter
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	return o
}

// nobody is the Observer nobody asked for.
type nobody struct{}

func (nobody) Connected(Identity)                 {}
func (nobody) Ready(Identity)                     {}
func (nobody) Nacked(Identity, envoy.Key, string) {}
func (nobody) Disconnected(Identity, error)       {}
