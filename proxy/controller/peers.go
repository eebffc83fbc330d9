package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/pki"
	"headgate.dev/proxy/xds"
)

const (
	lookForPeers = time.Second            // between two looks at which replicas there are
	callAgain    = 200 * time.Millisecond // after a call that did not work
	// forgetPeer is how long the proxies of a replica count that is not heard: as long as those of this one whose stream broke.
	forgetPeer = 10 * time.Second
)

// wireReport is a report as it goes from one replica to another.
type wireReport struct {
	// Kinds say what the streams of the report are; a replica of another release may number them in another way.
	Kinds string `json:"kinds"`
	live.Report
}

var wireKinds = func() string {
	names := make([]string, kube.NumKinds)
	for k := range kube.NumKinds {
		names[k] = k.String()
	}
	return strings.Join(names, " ")
}()

func encodeReport(r *live.Report) ([]byte, error) {
	return json.Marshal(wireReport{wireKinds, *r})
}

// decodeReport reads a report of another replica.
func decodeReport(text []byte) (r live.Report, err error) {
	var w wireReport
	if err := json.Unmarshal(text, &w); err != nil {
		return r, fmt.Errorf("reading a report: %w", err)
	}
	if w.Kinds != wireKinds {
		return r, errors.New("reading a report: the replica is of another release")
	}
	for _, proxies := range w.Fleets {
		for _, p := range proxies {
			for _, o := range p.Refused {
				if o.Object.Stream < 0 || o.Object.Stream >= int(kube.NumKinds) {
					return r, fmt.Errorf("reading a report: there is no kind %d", o.Object.Stream)
				}
			}
		}
	}
	return w.Report, nil
}

// follower is a replica that is told what happens here.
type follower struct {
	wake chan struct{} // has room for one
	next *live.Report  // under the tracker's lock
}

// add puts a report to what is to be sent.
func (f *follower) add(r *live.Report) {
	if f.next == nil {
		f.next = &live.Report{Fleets: map[string][]live.Proxy{}}
	}
	f.next.Point = r.Point
	for fleet, proxies := range r.Fleets {
		f.next.Fleets[fleet] = proxies
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// serve tells a follower everything there is and then what changes, until ctx ends.
func (t *tracker) serve(ctx context.Context, send func([]byte) error) error {
	f := &follower{wake: make(chan struct{}, 1)}
	t.mu.Lock()
	all := t.ledger.Said(t.self)
	f.next = &all
	t.followers[f] = struct{}{}
	t.mu.Unlock()
	f.wake <- struct{}{}
	defer func() {
		t.mu.Lock()
		delete(t.followers, f)
		t.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.wake:
		}
		t.mu.Lock()
		report := f.next
		f.next = nil
		t.mu.Unlock()
		if report == nil {
			continue
		}
		text, err := encodeReport(report)
		if err != nil {
			return err
		}
		if err := send(text); err != nil {
			return err
		}
	}
}

// followers lets other replicas follow this one, and nobody else.
func followers(door *pki.Door, t *tracker) *xds.Followers {
	return &xds.Followers{
		Authenticate: func(p xds.Peer) error {
			if p.TLS == nil {
				return errors.New("a replica calls without TLS")
			}
			_, err := door.Controller(p.TLS)
			return err
		},
		Serve: t.serve,
	}
}

// peers follows the other replicas, for the one that leads.
type peers struct {
	client          client.Reader // of the cache
	namespace, name string        // of the Service
	self            string        // this pod
	port            int32
	door            *pki.Door
	tracker         *tracker
	log             *slog.Logger
}

// run follows every replica there is until ctx ends.
func (p *peers) run(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	following := map[string]context.CancelFunc{} // by address
	tick := time.NewTicker(lookForPeers)
	defer tick.Stop()
	for {
		there, err := p.list(ctx)
		if err != nil {
			p.log.Warn("looking for the other replicas", "error", err)
		} else {
			for address, end := range following {
				if !slices.Contains(there, address) {
					end()
					delete(following, address)
				}
			}
			for _, address := range there {
				if following[address] == nil {
					call, end := context.WithCancel(ctx)
					following[address] = end
					calls.Go(func() { p.follow(call, address) })
				}
			}
		}
		select {
		case <-ctx.Done():
			for _, end := range following {
				end()
			}
			return
		case <-tick.C:
		}
	}
}

// list gives the addresses of the other replicas, from the endpoints of the Service in front of all.
func (p *peers) list(ctx context.Context) ([]string, error) {
	var slicesOf discoveryv1.EndpointSliceList
	if err := p.client.List(ctx, &slicesOf, client.InNamespace(p.namespace), client.MatchingLabels{discoveryv1.LabelServiceName: p.name}); err != nil {
		return nil, fmt.Errorf("listing the endpoints of Service %s/%s: %w", p.namespace, p.name, err)
	}
	var out []string
	for i := range slicesOf.Items {
		s := &slicesOf.Items[i]
		port := p.port
		for _, q := range s.Ports {
			if q.Name != nil && *q.Name == "xds" && q.Port != nil {
				port = *q.Port
			}
		}
		for j := range s.Endpoints {
			e := &s.Endpoints[j]
			if e.TargetRef != nil && e.TargetRef.Name == p.self || len(e.Addresses) == 0 {
				continue
			}
			out = append(out, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(port))))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// follow follows one replica until ctx ends: it is none any more. While it is not heard its proxies stay where they were, for a
// while.
func (p *peers) follow(ctx context.Context, address string) {
	defer p.tracker.lost(address, true)
	heard := time.Now()
	for ctx.Err() == nil {
		config, err := p.door.Call()
		if err == nil {
			err = xds.Follow(ctx, address, config, func(text []byte) error {
				r, err := decodeReport(text)
				if err != nil {
					return err
				}
				heard = time.Now()
				p.tracker.heard(address, r)
				return nil
			})
		}
		if ctx.Err() != nil {
			return
		}
		p.log.Warn("following another replica", "address", address, "error", err)
		p.tracker.lost(address, time.Since(heard) > forgetPeer)
		select {
		case <-ctx.Done():
		case <-time.After(callAgain):
		}
	}
}

// portNumber gives the port of an address to listen at, 0 if there is none.
func portNumber(address string) int32 {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0
	}
	return int32(n)
}
