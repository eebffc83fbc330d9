package xds

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

const (
	window         = 16 << 20 // bytes on the wire that a proxy has not read yet, per stream and connection
	maxMessage     = 128 << 20
	writeBuffer    = 256 << 10
	pingAfter      = 5 * time.Second // of silence
	pingTimeout    = 5 * time.Second
	minPingByProxy = time.Second
)

// Server feeds the proxies of any number of fleets. All methods are safe for concurrent use.
type Server struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer

	options Options
	grpc    *grpc.Server
	ctx     context.Context // ends every stream, with its cause
	end     context.CancelCauseFunc

	responses, resources, refusals atomic.Uint64

	mu     sync.Mutex
	fleets map[string]*fleet
}

// Counts are what a Server did since it was made.
type Counts struct {
	// Responses and Resources were sent, removals included.
	Responses, Resources uint64
	// Refusals are the responses that proxies refused.
	Refusals uint64
}

// New makes a Server; Serve makes it answer.
func New(o Options) *Server {
	opts := []grpc.ServerOption{
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingByProxy, PermitWithoutStream: true}),
		grpc.InitialWindowSize(window), grpc.InitialConnWindowSize(window),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.WriteBufferSize(writeBuffer),
	}
	if o.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(o.TLS)))
	}
	s := &Server{options: o.withDefaults(), grpc: grpc.NewServer(opts...), fleets: map[string]*fleet{}}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	discovery.RegisterAggregatedDiscoveryServiceServer(s.grpc, s)
	if o.Followers != nil {
		s.grpc.RegisterService(&followService, s)
	}
	return s
}

// Serve answers on l, which it closes in the end. It returns nil after Stop, else why it cannot go on. It may be called
// for several listeners.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving xDS on %s: %w", l.Addr(), err)
	}
	return nil
}

// Stop ends every stream (proxies serve what they have) and closes the listeners. It waits until the streams are gone,
// or the context is, and then cuts the connections.
func (s *Server) Stop(ctx context.Context) {
	s.end(errStopping)
	cut := context.AfterFunc(ctx, s.grpc.Stop)
	s.grpc.GracefulStop()
	cut()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.fleets {
		f.stopTimers()
	}
}

// Publish makes changes to the configuration of a fleet, from epoch on: from 1, not decreasing. The last change of a key
// counts. The first Publish of a fleet must bring all there is: proxies that connect earlier are kept waiting for it,
// and what it does not name is removed from them. Publish never waits for a proxy.
func (s *Server) Publish(fleet string, epoch uint64, changes []Change) {
	s.fleet(fleet).publish(epoch, changes)
}

// Status says how far an epoch has come in a fleet.
func (s *Server) Status(fleet string, epoch uint64) Status {
	return s.fleet(fleet).status(epoch)
}

// States says how far each proxy of a fleet is, by name.
func (s *Server) States(fleet string) []State {
	s.mu.Lock()
	f := s.fleets[fleet]
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.states()
}

// Wait waits until an epoch is settled: at least one proxy is ready, and every ready one has answered. With the
// context's error it returns the Status at that time.
func (s *Server) Wait(ctx context.Context, fleet string, epoch uint64) (Status, error) {
	f := s.fleet(fleet)
	for {
		changed := f.changes()
		st := f.status(epoch)
		if st.Settled() {
			return st, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return st, fmt.Errorf("waiting for the proxies of %s to answer epoch %d: %w", fleet, epoch, ctx.Err())
		}
	}
}

// Ready tells whether a proxy has answered its full first set: it may get traffic.
func (s *Server) Ready(id Identity) bool {
	f := s.fleet(id.Fleet)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live.Ready(id.Proxy)
}

// Counts says what the server did until now.
func (s *Server) Counts() Counts {
	return Counts{Responses: s.responses.Load(), Resources: s.resources.Load(), Refusals: s.refusals.Load()}
}

// Drop forgets a fleet and ends its streams.
func (s *Server) Drop(fleet string) {
	s.mu.Lock()
	f := s.fleets[fleet]
	delete(s.fleets, fleet)
	s.mu.Unlock()
	if f != nil {
		f.drop()
		s.options.Changed(fleet)
	}
}

// fleet finds a fleet, or makes one without configuration.
func (s *Server) fleet(name string) *fleet {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fleets[name]
	if f == nil {
		f = newFleet(s.ctx, name, s.options)
		s.fleets[name] = f
	}
	return f
}

// DeltaAggregatedResources implements the discovery service. It is called by gRPC alone.
func (s *Server) DeltaAggregatedResources(wire discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	id, err := s.authenticate(wire.Context())
	if err != nil {
		return err
	}
	st := newStream(id, s.fleet(id.Fleet), &countedWire{wire, s}, s.options)
	s.options.Observer.Connected(id)
	err = st.run()
	s.options.Observer.Disconnected(id, err)
	return err
}

// StreamAggregatedResources refuses the state-of-the-world variant.
func (s *Server) StreamAggregatedResources(discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return status.Error(codes.Unimplemented, "headgate serves the delta protocol only: set api_type: DELTA_GRPC in ads_config")
}

func (s *Server) authenticate(ctx context.Context) (Identity, error) {
	if s.options.Authenticate == nil {
		return Identity{}, status.Error(codes.Unauthenticated, "no proxy may connect: the server has no way to tell who calls")
	}
	p := peerOf(ctx)
	id, err := s.options.Authenticate(ctx, p)
	if err != nil {
		return Identity{}, status.Errorf(codes.Unauthenticated, "telling who calls from %v: %v", p.Addr, err)
	}
	return id, nil
}

func peerOf(ctx context.Context) (p Peer) {
	if from, ok := peer.FromContext(ctx); ok {
		p.Addr = from.Addr
		if info, ok := from.AuthInfo.(credentials.TLSInfo); ok {
			p.TLS = &info.State
		}
	}
	return p
}

// countedWire counts what goes through.
type countedWire struct {
	wire
	server *Server
}

func (w *countedWire) Send(m *discovery.DeltaDiscoveryResponse) error {
	w.server.responses.Add(1)
	w.server.resources.Add(uint64(len(m.GetResources()) + len(m.GetRemovedResources())))
	return w.wire.Send(m)
}

func (w *countedWire) Recv() (*discovery.DeltaDiscoveryRequest, error) {
	m, err := w.wire.Recv()
	if m.GetErrorDetail() != nil {
		w.server.refusals.Add(1)
	}
	return m, err
}
