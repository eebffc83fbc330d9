package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/cmd/internal/localca"
	"headgate.dev/cmd/internal/tempdir"
	"headgate.dev/proxy/echo"
	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/process"
	"headgate.dev/proxy/xds"
	"headgate.dev/render/object"
)

// Options of a Stack.
type Options struct {
	// Listen is the address that every Gateway is served at; loopback unless somebody asked for more.
	Listen netip.Addr
	// Ports maps ports of Gateways to local ports.
	Ports map[int32]uint16
	// Endpoints are real backends for Services.
	Endpoints []Endpoint
	// Envoy is the path of the binary, or a name to look up on PATH.
	Envoy string
	// Detached is for a Stack that will never Run: no local port is looked for and no backend is served, so that nothing of
	// this machine matters. Ports are then those of the Gateways, and there are no aliases unless Aliases asks for them.
	Detached, Aliases bool
	// CA is the directory of the local certificate authority, which is made when a certificate is needed. Empty: headgate/ca in
	// the user's cache.
	CA string
	// Log gets what Envoy logs.
	Log io.Writer
	// Ready is told that Envoy runs, and Restarted why it had to be started again. Both may be nil.
	Ready     func(time.Duration)
	Restarted func(error)
}

// Endpoint is a real backend: --endpoint [NS/]SERVICE[:PORT]=HOST:PORT.
type Endpoint struct {
	Service types.NamespacedName
	Port    int32 // 0: every port of the Service
	Address netip.AddrPort
}

// String gives the form in which it is written.
func (e Endpoint) String() string {
	service := e.Service.String()
	if e.Port != 0 {
		service += fmt.Sprintf(":%d", e.Port)
	}
	return service + "=" + e.Address.String()
}

// Stack is the cluster there is not. It implements agent.Target and agent.Liveness.
type Stack struct {
	options Options
	dir     string // private: the socket of the xDS server
	// connected has a value once the running Envoy asked for its configuration.
	connected chan struct{}
	xds       *xds.Server
	echo      *echo.Server
	ca        atomic.Pointer[localca.CA] // world's, for the echo backend

	mu       sync.Mutex // guards what follows
	engine   *engine.Engine
	ports    *portMap
	world    *world
	backends *backends
	policies map[kube.Ref]policy
	bundles  map[string]bool           // the namespaces that have one
	retired  map[servicePort]time.Time // when a port was first seen without a route
	set      *object.Set
	before   *object.Set // what was held before the last Apply
	previews *object.Set // what is held beside it
	epoch    uint64
	effects  engine.Effects // of the last Apply
}

// New makes a Stack that holds nothing. Close it.
func New(o Options) (*Stack, error) {
	dir, ports := "", claims{}
	if !o.Detached {
		var err error
		if ports, err = openClaims(os.TempDir()); err != nil {
			return nil, err
		}
		if dir, err = tempdir.Make(os.TempDir()); err != nil {
			return nil, err
		}
	}
	s := &Stack{options: o, dir: dir, connected: make(chan struct{}, 1), ports: newPortMap(o.Listen, o.Ports, ports), world: newWorld(), retired: map[servicePort]time.Time{}}
	s.echo = echo.New(echo.Options{Certificate: s.certificateFor})
	s.world.noAliases = o.Detached && !o.Aliases
	s.policies, s.bundles = map[kube.Ref]policy{}, map[string]bool{}
	overridden := map[types.NamespacedName]bool{}
	for _, e := range o.Endpoints {
		overridden[e.Service] = true
	}
	s.backends = newBackends(overridden)
	s.backends.endpoint, s.backends.speech = s.endpointOf, s.world.speechOf
	s.backends.expect = func(p servicePort, speech echo.Speech) { s.echo.Expect(echoTarget(p), speech) }
	s.engine = engine.New(engine.Options{
		Controller: Controller,
		Fleet:      func(types.NamespacedName) string { return fleet },
		Envoy: envoy.Options{
			Bind: func(id model.ListenerID) netip.AddrPort { return s.ports.bind(id) },
			PublicPort: func(gateway model.Name, port int32, host string) int32 {
				return s.ports.redirected(gateway, port, host)
			},
		},
	})
	// The socket lies in a directory that only this user can enter, so whoever calls is our own Envoy.
	s.xds = xds.New(xds.Options{
		Authenticate: func(context.Context, xds.Peer) (xds.Identity, error) {
			return xds.Identity{Fleet: fleet, Proxy: "envoy"}, nil
		},
		Observer: observer{connected: s.connected},
	})
	return s, nil
}

// Run runs the xDS server and Envoy until ctx ends or Envoy cannot be run.
func (s *Stack) Run(ctx context.Context) error {
	socket := filepath.Join(s.dir, tempdir.Socket)
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{NodeID: "local", XDS: socket})
	if err != nil {
		return fmt.Errorf("writing Envoy's bootstrap: %w", err)
	}
	served, err := s.serveXDS(socket)
	if err != nil {
		return err
	}
	defer s.xds.Stop(context.WithoutCancel(ctx))

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := <-served; err != nil {
			cancel(fmt.Errorf("serving xDS: %w", err))
		}
	}()
	err = process.Run(ctx, s.processOptions(bootstrap))
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// serveXDS answers on a socket; the channel tells how that ended.
func (s *Stack) serveXDS(socket string) (<-chan error, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("opening the xDS socket: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- s.xds.Serve(l) }()
	return served, nil
}

func (s *Stack) processOptions(bootstrap []byte) process.Options {
	start := time.Now()
	return process.Options{
		Path: s.options.Envoy, Bootstrap: bootstrap, Dir: s.dir, Log: s.options.Log,
		Serving: func(ctx context.Context) error {
			select {
			case <-s.connected:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		Ready: func(int) {
			if s.options.Ready != nil {
				s.options.Ready(time.Since(start))
			}
		},
		Exited: func(err error, _ time.Duration) {
			start = time.Now()
			select { // what the one that ended left
			case <-s.connected:
			default:
			}
			if s.options.Restarted != nil {
				s.options.Restarted(err)
			}
		},
	}
}

// Close ends the echo backend, gives up the ports and removes what is on disk. Call it when Run has returned.
func (s *Stack) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports.release(nil)
	if s.dir == "" {
		return s.echo.Close()
	}
	return errors.Join(s.echo.Close(), os.RemoveAll(s.dir))
}

// endpointOf gives the real backend of a Service's port, or the echo backend.
func (s *Stack) endpointOf(p servicePort) (netip.AddrPort, error) {
	if s.options.Detached {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(p.port)), nil
	}
	for _, e := range s.options.Endpoints {
		if e.Service == p.service && (e.Port == 0 || e.Port == p.port) {
			return e.Address, nil
		}
	}
	return s.echo.Endpoint(echoTarget(p))
}

func echoTarget(p servicePort) echo.Target {
	return echo.Target{Namespace: p.service.Namespace, Service: p.service.Name, Port: p.port, UDP: p.udp}
}

// observer signals that Envoy runs. What it refuses is asked for after each Apply.
type observer struct{ connected chan<- struct{} }

func (o observer) Connected(xds.Identity) {
	select {
	case o.connected <- struct{}{}:
	default:
	}
}

func (observer) Ready(xds.Identity)                     {}
func (observer) Nacked(xds.Identity, envoy.Key, string) {}
func (observer) Disconnected(xds.Identity, error)       {}
