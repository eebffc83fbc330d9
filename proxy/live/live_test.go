package live_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"headgate.dev/proxy/live"
)

func status(acked, pending, total, connected int) live.Status {
	return live.Status{Acked: acked, Pending: pending, Total: total, Connected: connected}
}

func newFleet() *live.Fleet[string] { return live.NewFleet(strings.Compare) }

// The life of two proxies, step by step: what was done, and then where epoch stands.
func TestStatus(t *testing.T) {
	f := newFleet()
	steps := []struct {
		name  string
		do    func()
		epoch uint64
		want  live.Status
	}{
		{"nothing", func() {}, 1, status(0, 0, 0, 0)},
		{"published to nobody", func() { f.Publish(1, []string{"a", "b"}) }, 1, status(0, 0, 0, 0)},
		{"p connects", func() { f.Connect("p", []string{"a", "b"}, false) }, 1, status(0, 0, 0, 1)},
		{"p answers half of its first set", func() { f.Ack("p", "a", 1) }, 1, status(0, 0, 0, 1)},
		{"p is ready", func() { f.Ack("p", "b", 1) }, 1, status(1, 0, 1, 1)},
		{"a later epoch is live nowhere", func() {}, 2, status(0, 1, 1, 1)},
		{"a changes", func() { f.Publish(2, []string{"a"}) }, 2, status(0, 1, 1, 1)},
		{"the epoch before stays live", func() {}, 1, status(1, 0, 1, 1)},
		{"b changes, epoch 3 goes first", func() { f.Publish(3, []string{"b"}); f.Ack("p", "b", 3) }, 3, status(0, 1, 1, 1)},
		{"an answer to an older state counts for that", func() { f.Publish(4, []string{"a"}); f.Ack("p", "a", 2) }, 3, status(1, 0, 1, 1)},
		{"but not for the newer", func() {}, 4, status(0, 1, 1, 1)},
		{"a refusal is an answer", func() { f.Nack("p", "a", 4, "no") }, 4, status(0, 0, 1, 1)},
		{"and says nothing of epochs before", func() {}, 3, status(1, 0, 1, 1)},
		{"it stays in later epochs", func() { f.Publish(5, nil) }, 5, status(0, 0, 1, 1)},
		{"until a later state is acknowledged", func() { f.Publish(6, []string{"a"}); f.Ack("p", "a", 6) }, 5, status(1, 0, 1, 1)},
		{"q connects and is not ready", func() { f.Connect("q", []string{"a"}, false) }, 6, status(1, 0, 1, 2)},
		{"q is ready, a refusal hinders nobody", func() { f.Nack("q", "a", 6, "no") }, 6, status(1, 0, 2, 2)},
		{"q goes away", func() { f.Disconnect("q") }, 6, status(1, 0, 2, 1)},
		{"what is published meanwhile it cannot have", func() { f.Publish(7, []string{"b"}); f.Ack("p", "b", 7) }, 7, status(1, 1, 2, 1)},
		{"and what follows neither", func() { f.Publish(8, []string{"a"}); f.Ack("p", "a", 8) }, 7, status(1, 1, 2, 1)},
		{"it comes back with what it had", func() { f.Connect("q", []string{"a", "b"}, true) }, 7, status(1, 1, 2, 2)},
		{"and gets the rest", func() { f.Ack("q", "a", 8); f.Ack("q", "b", 8) }, 7, status(2, 0, 2, 2)},
		{"p comes back without anything", func() { f.Disconnect("p"); f.Connect("p", []string{"a"}, false) }, 7, status(1, 0, 1, 2)},
		{"p goes before it was ready", func() { f.Disconnect("p") }, 7, status(1, 0, 1, 1)},
		{"q is sent something again", func() { f.Owe("q", "a") }, 8, status(0, 1, 1, 1)},
		{"q goes away for good", func() { f.Disconnect("q"); f.Forget("q") }, 7, status(0, 0, 0, 0)},
		{"answers of strangers are nothing", func() { f.Ack("q", "a", 7); f.Nack("q", "a", 7, "") }, 7, status(0, 0, 0, 0)},
	}
	for _, s := range steps {
		s.do()
		if got := f.Status(s.epoch); got != s.want {
			t.Fatalf("%s: epoch %d is %+v, want %+v", s.name, s.epoch, got, s.want)
		}
	}
}

func TestRefused(t *testing.T) {
	f := newFleet()
	f.Publish(1, nil)
	f.Connect("q", nil, false)
	f.Connect("p", nil, false)
	f.Publish(2, []string{"b", "a"})
	f.Nack("q", "a", 2, "q says no")
	f.Nack("p", "b", 2, "p says no")
	f.Nack("p", "a", 2, "p says no")
	f.Publish(3, []string{"a"})
	f.Nack("p", "a", 3, "p says no again")
	got := fmt.Sprint(f.Refused(2), f.Refused(1), f.Status(3).Settled(), f.Status(3).Live())
	want := "[{p a 3 p says no again} {q a 2 q says no} {p b 2 p says no}] [] false false"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// oracle is the definition itself: every write of every epoch, and what is refused from which epoch on.
type oracle struct {
	writes  []write
	refused map[string]refusal
}

type write struct {
	key      string
	epoch    uint64
	answered bool
}

type refusal struct{ since, upto uint64 }

func (o *oracle) answer(key string, upto uint64, refused bool) {
	since := upto // a state refused that was acknowledged once was good until now
	for i := range o.writes {
		if w := &o.writes[i]; w.key == key && w.epoch <= upto && !w.answered {
			since, w.answered = min(since, w.epoch), true
		}
	}
	old, ok := o.refused[key]
	switch {
	case refused && ok:
		o.refused[key] = refusal{min(since, old.since), upto}
	case refused:
		o.refused[key] = refusal{since, upto}
	case ok && old.upto <= upto:
		delete(o.refused, key)
	}
}

func (o *oracle) state(epoch uint64) string {
	for _, w := range o.writes {
		if w.epoch <= epoch && !w.answered {
			return "pending"
		}
	}
	for _, r := range o.refused {
		if r.since <= epoch {
			return "refused"
		}
	}
	return "acked"
}

// Whatever the order of publications and answers, a fleet of one proxy says what the definition says.
func TestAgainstDefinition(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		f, o := newFleet(), oracle{refused: map[string]refusal{}}
		f.Connect("p", nil, false)
		sent := map[string][]uint64{} // by key: states under way
		epoch := uint64(0)
		for step := range 60 {
			key := string(rune('a' + rnd.IntN(4)))
			switch rnd.IntN(4) {
			case 0:
				epoch++
				f.Publish(epoch, []string{key})
				o.writes = append(o.writes, write{key: key, epoch: epoch})
			case 1:
				if epoch > 0 {
					sent[key] = append(sent[key], epoch)
				}
			default:
				if len(sent[key]) == 0 {
					continue
				}
				upto := sent[key][0]
				sent[key] = sent[key][1:]
				refused := rnd.IntN(3) == 0
				o.answer(key, upto, refused)
				if refused {
					f.Nack("p", key, upto, "no")
				} else {
					f.Ack("p", key, upto)
				}
			}
			e := uint64(rnd.IntN(int(epoch + 1)))
			st := f.Status(e)
			got := map[live.Status]string{status(1, 0, 1, 1): "acked", status(0, 1, 1, 1): "pending", status(0, 0, 1, 1): "refused"}[st]
			if want := o.state(e); got != want {
				t.Fatalf("seed %d, step %d: epoch %d of %d is %q (%+v), want %q", seed, step, e, epoch, got, st, want)
			}
		}
	}
}

// The cost of an answer does not follow what else is owed.
func BenchmarkAck(b *testing.B) {
	for _, owed := range []int{100, 20_000} {
		b.Run(fmt.Sprint(owed), func(b *testing.B) {
			keys := make([]string, owed)
			for i := range keys {
				keys[i] = fmt.Sprint("key ", i)
			}
			f := live.NewFleet(cmp.Compare[string])
			f.Publish(1, keys)
			f.Connect("p", keys, false)
			epoch := uint64(1)
			for b.Loop() {
				epoch++
				f.Publish(epoch, keys[:1])
				f.Ack("p", keys[0], epoch)
				f.Status(epoch)
			}
		})
	}
}
