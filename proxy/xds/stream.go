package xds

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"headgate.dev/proxy/envoy"
)

// wire is the gRPC stream of a proxy.
type wire interface {
	Context() context.Context
	Send(*discovery.DeltaDiscoveryResponse) error
	Recv() (*discovery.DeltaDiscoveryRequest, error)
}

// stream drives the session of one proxy. Its goroutine (run) alone calls the session and sends.
type stream struct {
	id      Identity
	fleet   *fleet
	wire    wire
	options Options
	// ctx ends with the stream, its cause says why: the wire broke, the fleet is gone, the proxy opened another stream.
	ctx context.Context
	end context.CancelCauseFunc
	// wake has room for one: the queue is not empty.
	wake chan struct{}

	session *session // made by the first request; its methods are called under fleet.mu
	// queue is what changed since the session was told, under fleet.mu. A key waits once, however often it changes.
	queue map[envoy.Key]struct{}
	ready bool // Observer.Ready was called
}

func newStream(id Identity, f *fleet, w wire, o Options) *stream {
	st := &stream{id: id, fleet: f, wire: w, options: o, wake: make(chan struct{}, 1), queue: map[envoy.Key]struct{}{}}
	st.ctx, st.end = context.WithCancelCause(w.Context())
	return st
}

// enqueue marks keys as changed. The fleet's lock is held.
func (st *stream) enqueue(keys []envoy.Key) {
	for _, k := range keys {
		st.queue[k] = struct{}{}
	}
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// run serves the stream until it ends and returns why; nil: the proxy closed it.
func (st *stream) run() error {
	defer context.AfterFunc(st.fleet.ctx, func() { st.end(context.Cause(st.fleet.ctx)) })()
	requests := make(chan *discovery.DeltaDiscoveryRequest)
	go st.receive(requests)
	select {
	case <-st.fleet.loaded:
	case <-st.ctx.Done():
		return st.reason()
	}
	defer st.fleet.detach(st)
	expire := time.NewTimer(st.options.RemoveAfter)
	defer expire.Stop()
	var due time.Time
	for {
		var decide func(*session)
		// The cases:
		//   - a request came: an answer, a subscription;
		//   - something changed: the queue is not empty;
		//   - a removed cluster has had its time, or none was removed yet;
		//   - the stream is to end.
		select {
		case req := <-requests:
			decide = func(s *session) { s.request(req, time.Now()) }
			if st.session == nil {
				st.begin(req)
			}
		case <-st.wake:
			decide = func(s *session) { s.change(st.dequeue(), time.Now()) }
		case <-expire.C:
			decide = func(s *session) { s.expire(time.Now()) }
		case <-st.ctx.Done():
			return st.reason()
		}
		next, err := st.step(decide)
		if err != nil {
			return err
		}
		if !next.IsZero() && !next.Equal(due) {
			expire.Reset(time.Until(next))
		}
		due = next
	}
}

// reason is why the stream has ended.
func (st *stream) reason() error {
	if err := context.Cause(st.ctx); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// receive passes requests on until the stream ends, or ends it when it breaks.
func (st *stream) receive(requests chan<- *discovery.DeltaDiscoveryRequest) {
	for {
		req, err := st.wire.Recv()
		if err != nil {
			st.end(err)
			return
		}
		select {
		case requests <- req:
		case <-st.ctx.Done():
			return
		}
	}
}

// begin makes the session with the first request.
func (st *stream) begin(first *discovery.DeltaDiscoveryRequest) {
	f := st.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	unsettled := f.attach(st)
	st.session = newSession(st.id.Proxy, f.state, f.live, st.options.RemoveAfter)
	st.session.start(first, unsettled)
}

// dequeue empties the queue, in order. The fleet's lock is held.
func (st *stream) dequeue() []envoy.Key {
	keys := make([]envoy.Key, 0, len(st.queue))
	for k := range st.queue {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	if len(keys) > many {
		st.queue = map[envoy.Key]struct{}{} // do not keep the memory of a large change
	} else {
		clear(st.queue)
	}
	return keys
}

// step lets the session decide and does what it wants done. It returns when the session wants to expire, if at all.
func (st *stream) step(decide func(*session)) (next time.Time, err error) {
	f := st.fleet
	f.mu.Lock()
	if st.session == nil {
		f.mu.Unlock()
		return next, nil // the timer, before any request
	}
	if f.streams[st.id.Proxy] != st {
		f.mu.Unlock()
		return next, errReplaced
	}
	decide(st.session)
	out, next := st.session.take(), st.session.due
	ready := !st.ready && f.live.Ready(st.id.Proxy)
	f.notify()
	f.mu.Unlock()

	for _, r := range out.responses {
		if err := st.wire.Send(r.message()); err != nil {
			return next, err
		}
	}
	for _, r := range out.refused {
		st.options.Observer.Nacked(st.id, r.key, r.message)
	}
	if ready {
		st.ready = true
		st.options.Observer.Ready(st.id)
	}
	return next, nil
}

// message is a response as it goes on the wire. The bodies are not copied.
func (r response) message() *discovery.DeltaDiscoveryResponse {
	m := &discovery.DeltaDiscoveryResponse{TypeUrl: r.typ.URL(), Nonce: strconv.FormatUint(r.nonce, 10), RemovedResources: r.removed}
	resources, bodies := make([]discovery.Resource, len(r.writes)), make([]anypb.Any, len(r.writes))
	m.Resources = make([]*discovery.Resource, len(r.writes))
	for i, w := range r.writes {
		body, res := &bodies[i], &resources[i]
		body.TypeUrl, body.Value = m.TypeUrl, w.body
		res.Name, res.Version, res.Resource = w.Name, w.version, body
		m.Resources[i] = res
	}
	return m
}

var (
	errReplaced = status.Error(codes.Aborted, "the proxy opened another stream")
	errStopping = status.Error(codes.Unavailable, "the server stops")
	errGone     = status.Error(codes.NotFound, "the fleet of this proxy is gone")
)
