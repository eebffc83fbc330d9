package live_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"headgate.dev/proxy/live"
)

func TestPoint(t *testing.T) {
	p := live.Point{3, 5}
	for _, c := range []struct {
		stream  int
		version uint64
		want    bool
	}{{0, 3, true}, {0, 4, false}, {1, 5, true}, {2, 0, true}, {2, 1, false}} {
		if got := p.Covers(c.stream, c.version); got != c.want {
			t.Errorf("%v covers %d of %d: %v", p, c.version, c.stream, got)
		}
	}
	if got := fmt.Sprint(p.With(3, 7), p.With(0, 2), p.Meet(live.Point{4, 1, 9}), p); got != "[3 5 0 7] [3 5] [3 1] [3 5]" {
		t.Error(got)
	}
}

// A trail forgets marks, but never says more than was true.
func TestTrail(t *testing.T) {
	var trail live.Trail
	if trail.At(7) != nil || trail.Last() != nil {
		t.Error("an empty trail knows something")
	}
	for e := uint64(1); e <= 10_000; e++ {
		trail.Add(e, live.Point{e * 10})
		if got := trail.At(e); got[0] != e*10 {
			t.Fatalf("at %d: %v", e, got)
		}
	}
	exact := 0
	for e := uint64(1); e <= 10_001; e++ {
		got := trail.At(e)
		if got != nil && got[0] > e*10 {
			t.Fatalf("at %d: %v", e, got)
		}
		if got != nil && got[0] == e*10 {
			exact++
		}
	}
	if exact < 500 || trail.Last()[0] != 100_000 {
		t.Errorf("%d epochs are remembered", exact)
	}
}

// What several replicas say of the proxies of one fleet, and what is made of it.
func TestLedger(t *testing.T) {
	ready := func(name string) live.Proxy { return live.Proxy{Name: name, Ready: true, Connected: true} }
	behind := func(name string, p live.Point) live.Proxy {
		return live.Proxy{Name: name, Ready: true, Connected: true, Behind: true, Point: p}
	}
	var l live.Ledger
	needs := []live.Need{{Stream: 0, Version: 5}}
	bad := live.Object{Name: "bad"}
	fleet := func(proxies ...live.Proxy) map[string][]live.Proxy { return map[string][]live.Proxy{"f": proxies} }
	for _, s := range []struct {
		name     string
		do       func()
		expected int
		want     live.Count
	}{
		{"nobody", func() {}, 0, live.Count{}},
		{"nobody is known", func() {}, 2, live.Count{Pending: 2, Total: 2}},
		{"one is not ready", func() {
			l.Take("a", live.Report{Point: live.Point{5}, Fleets: fleet(live.Proxy{Name: "p", Connected: true})})
		}, 0, live.Count{}},
		{"one is as far as its replica", func() { l.Take("a", live.Report{Point: live.Point{5}, Fleets: fleet(ready("p"))}) }, 0, live.Count{Acked: 1, Total: 1}},
		{"another is expected", func() {}, 2, live.Count{Acked: 1, Pending: 1, Total: 2}},
		{"another replica has it, and is not so far", func() { l.Take("b", live.Report{Point: live.Point{4}, Whole: true, Fleets: fleet(ready("q"))}) }, 2, live.Count{Acked: 1, Pending: 1, Total: 2}},
		{"the replica goes on, its proxy with it", func() { l.Take("b", live.Report{Point: live.Point{6}}) }, 2, live.Count{Acked: 2, Total: 2}},
		{"its proxy falls behind", func() { l.Take("b", live.Report{Point: live.Point{7}, Fleets: fleet(behind("q", live.Point{4}))}) }, 2, live.Count{Acked: 1, Pending: 1, Total: 2}},
		{"and calls the first replica, where it is not ready", func() {
			l.Take("a", live.Report{Point: live.Point{7}, Fleets: fleet(ready("p"), live.Proxy{Name: "q", Connected: true})})
		}, 2, live.Count{Acked: 1, Pending: 1, Total: 2}},
		{"it is ready; both say they have it", func() { l.Take("a", live.Report{Point: live.Point{7}, Fleets: fleet(ready("p"), ready("q"))}) }, 2, live.Count{Acked: 1, Pending: 1, Total: 2}},
		{"the second lost it", func() {
			q := behind("q", live.Point{4})
			q.Connected = false
			l.Take("b", live.Report{Point: live.Point{8}, Fleets: fleet(q)})
		}, 2, live.Count{Acked: 2, Total: 2}},
		{"the first replica is lost: its proxies stay where they are", func() { l.Lose("a") }, 2, live.Count{Acked: 1, Pending: 1, Total: 2}},
		{"the second is dropped", func() { l.Drop("b") }, 2, live.Count{Acked: 2, Total: 2}},
		{"something of another object is refused", func() {
			p := ready("p")
			p.Refused = []live.RefusedObject{{Object: live.Object{Name: "other"}, Message: "no"}}
			l.Take("a", live.Report{Point: live.Point{9}, Whole: true, Fleets: fleet(p)})
		}, 1, live.Count{Acked: 1, Total: 1}},
		{"something of this one", func() {
			p := ready("p")
			p.Refused = []live.RefusedObject{{Object: bad, Message: "no"}}
			l.Take("a", live.Report{Point: live.Point{9}, Fleets: fleet(p)})
		}, 1, live.Count{Refused: 1, Total: 1}},
		{"whoever is not named in a whole report is gone", func() { l.Take("a", live.Report{Point: live.Point{9}, Whole: true}) }, 0, live.Count{}},
	} {
		s.do()
		standing := l.Fleet("f", s.expected)
		if got := standing.Count(needs, map[live.Object]bool{bad: true}); got != s.want {
			t.Fatalf("%s: %+v, want %+v", s.name, got, s.want)
		}
		if p, ok := standing.Point(); ok && p.Covers(0, 5) != (s.want.Pending == 0) {
			t.Fatalf("%s: all are at %v", s.name, p)
		}
	}
}

// world is a cluster in small: objects with versions, replicas that read them late, proxies that answer late and move, and a
// leader that hears of all that late, or not at all.
type world struct {
	rnd      *rand.Rand
	log      []string // the objects in the order they were written; the version is the place, from 1
	replicas []*modelReplica
	proxies  map[string]*modelProxy
	ledger   live.Ledger
}

type modelReplica struct {
	name    string
	read    int // of the log
	epoch   uint64
	fleet   *live.Fleet[string]
	trail   live.Trail
	reports []live.Report // on their way to the leader
	linked  bool
}

// modelProxy is what a proxy really has.
type modelProxy struct {
	at    *modelReplica // nil: nowhere
	ready bool
	has   map[string]int      // the latest version of each object that it ever had
	sent  []func() (ack bool) // in order, on the stream
}

func (w *world) step(r *modelReplica) {
	if r.read == len(w.log) {
		return
	}
	n := 1 + w.rnd.IntN(len(w.log)-r.read)
	keys := map[string]bool{}
	for _, key := range w.log[r.read : r.read+n] {
		keys[key] = true
	}
	r.read += n
	r.epoch++
	changed := slices.Sorted(maps.Keys(keys))
	r.fleet.Publish(r.epoch, changed)
	r.trail.Add(r.epoch, live.Point{uint64(r.read)})
	for name, p := range w.proxies {
		if p.at == r {
			w.send(name, p, changed)
		}
	}
}

// version gives the last version of an object that a replica has read.
func (w *world) version(r *modelReplica, key string) (v int) {
	for i, k := range w.log[:r.read] {
		if k == key {
			v = i + 1
		}
	}
	return v
}

func (w *world) send(name string, p *modelProxy, keys []string) {
	for _, key := range keys {
		r, v, epoch := p.at, w.version(p.at, key), p.at.epoch
		refuse := w.rnd.IntN(8) == 0
		p.sent = append(p.sent, func() bool {
			if refuse {
				r.fleet.Nack(name, key, epoch, "no")
				return false
			}
			p.has[key] = max(v, p.has[key])
			r.fleet.Ack(name, key, epoch)
			return true
		})
	}
}

func (w *world) report(r *modelReplica, whole bool) {
	report := live.Report{Point: live.Point{uint64(r.read)}, Whole: whole}
	var proxies []live.Proxy
	for _, s := range r.fleet.States() {
		p := live.Proxy{Name: s.Name, Ready: s.Ready, Connected: s.Connected, Behind: s.Owes}
		if s.Owes {
			p.Point = r.trail.At(s.Reached)
		}
		for _, refusal := range s.Refused {
			p.Refused = append(p.Refused, live.RefusedObject{Object: live.Object{Name: refusal.Key}, Message: refusal.Message})
		}
		proxies = append(proxies, p)
	}
	report.Fleets = map[string][]live.Proxy{"f": proxies}
	r.reports = append(r.reports, report)
}

func (w *world) connect(name string, p *modelProxy, r *modelReplica) {
	p.at, p.sent = r, nil
	all := map[string]bool{}
	for _, key := range w.log[:r.read] {
		all[key] = true
	}
	keys := slices.Sorted(maps.Keys(all))
	r.fleet.Connect(name, keys, true)
	w.send(name, p, keys)
}

// move does one thing of all that can happen.
func (w *world) move() {
	r := w.replicas[w.rnd.IntN(len(w.replicas))]
	name := fmt.Sprint("p", w.rnd.IntN(len(w.proxies)))
	p := w.proxies[name]
	switch w.rnd.IntN(12) {
	case 0, 1:
		w.log = append(w.log, string(rune('a'+w.rnd.IntN(3))))
	case 2, 3:
		w.step(r)
	case 4, 5, 6:
		if len(p.sent) > 0 {
			p.sent[0]()
			p.sent = p.sent[1:]
		}
	case 7:
		switch {
		case p.at == nil && r.epoch > 0:
			w.connect(name, p, r)
		case p.at != nil && w.rnd.IntN(3) == 0:
			p.at.fleet.Disconnect(name)
			p.at, p.sent = nil, nil
		}
	case 8:
		if p.at != r {
			r.fleet.Forget(name)
		}
	case 9:
		w.report(r, false)
	case 10:
		if len(r.reports) > 0 && r.linked {
			w.ledger.Take(r.name, r.reports[0])
			r.reports = r.reports[1:]
		}
	default:
		switch {
		case !r.linked:
			r.linked, r.reports = true, nil
			w.report(r, true)
		case w.rnd.IntN(4) == 0:
			r.linked = false
			w.ledger.Lose(r.name)
			if w.rnd.IntN(2) == 0 {
				w.ledger.Drop(r.name)
			}
		}
	}
	for name, p := range w.proxies {
		p.ready = p.ready || p.at != nil && p.at.fleet.Ready(name)
	}
}

// early finds a version that the ledger calls live and that a proxy does not have.
func (w *world) early() string {
	ready := 0
	for _, p := range w.proxies {
		if p.ready {
			ready++
		}
	}
	standing := w.ledger.Fleet("f", ready)
	for i, key := range w.log {
		if !standing.Count([]live.Need{{Stream: 0, Version: uint64(i + 1)}}, map[live.Object]bool{{Name: key}: true}).Live() {
			continue
		}
		for name, p := range w.proxies {
			if p.ready && p.has[key] < i+1 {
				return fmt.Sprintf("version %d of %s is called live, and %s has %d: %+v", i+1, key, name, p.has[key], standing)
			}
		}
	}
	return ""
}

// Whatever is late, lost or moves: nothing is called live before every ready proxy has had it, and once everything has arrived
// nothing is waited for. (A proxy that goes on to a replica that is behind gets what that has; nobody can know that in time.)
func TestNeverTooEarly(t *testing.T) {
	calledLive := 0
	for seed := range uint64(150) {
		w := &world{rnd: rand.New(rand.NewPCG(seed, 7)), proxies: map[string]*modelProxy{}}
		for i := range 2 {
			w.replicas = append(w.replicas, &modelReplica{name: fmt.Sprint("r", i), fleet: live.NewFleet(strings.Compare)})
		}
		for i := range 3 {
			w.proxies[fmt.Sprint("p", i)] = &modelProxy{has: map[string]int{}}
		}
		for n := range 400 {
			w.move()
			if wrong := w.early(); wrong != "" {
				t.Fatalf("seed %d, move %d: %s", seed, n, wrong)
			}
		}
		w.settle()
		s := w.ledger.Fleet("f", len(w.proxies))
		c := s.Count([]live.Need{{Stream: 0, Version: uint64(len(w.log))}}, nil)
		if !c.Live() {
			t.Fatalf("seed %d: all is answered and reported, and of %d proxies %+v", seed, len(w.proxies), c)
		}
		calledLive++
	}
	if calledLive == 0 {
		t.Error("nothing was ever live")
	}
}

// settle has everything arrive that is under way.
func (w *world) settle() {
	w.log = append(w.log, "a")
	for _, r := range w.replicas {
		for r.read < len(w.log) {
			w.step(r)
		}
	}
	for name, p := range w.proxies {
		if p.at == nil {
			w.connect(name, p, w.replicas[0])
		}
		for len(p.sent) > 0 {
			p.sent[0]()
			p.sent = p.sent[1:]
		}
		for _, r := range w.replicas {
			r.fleet.Forget(name)
		}
	}
	for _, r := range w.replicas {
		w.report(r, true)
		w.ledger.Take(r.name, r.reports[len(r.reports)-1])
	}
}
