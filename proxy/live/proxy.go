package live

import (
	"cmp"
	"slices"
)

// proxy is what one proxy owes and refuses.
type proxy[K comparable] struct {
	ready bool
	away  bool
	// reached is the newest epoch live (or answered) here; only while away.
	reached uint64

	owed map[K]epochs
	// counts says how many keys are owed for each epoch, in the order of epochs, none of them 0.
	counts  []count
	refused map[K]refusal
}

// epochs are the epochs of one key that are owed, oldest first.
type epochs struct {
	since uint64
	later []uint64
}

type count struct {
	epoch uint64
	keys  int
}

type refusal struct {
	since, epoch uint64 // the oldest epoch that could not become live by it; the newest whose state was refused
	message      string
}

func (p *proxy[K]) owe(key K, epoch uint64) {
	e, ok := p.owed[key]
	switch {
	case !ok:
		e.since = epoch
	case epoch <= e.since || len(e.later) > 0 && epoch <= e.later[len(e.later)-1]:
		return
	default:
		e.later = append(e.later, epoch)
	}
	p.owed[key] = e
	p.add(epoch, 1)
}

// answer settles every epoch of key up to one.
func (p *proxy[K]) answer(key K, upto uint64) {
	e, ok := p.owed[key]
	if !ok || e.since > upto {
		return
	}
	p.add(e.since, -1)
	for len(e.later) > 0 && e.later[0] <= upto {
		p.add(e.later[0], -1)
		e.later = e.later[1:]
	}
	if len(e.later) == 0 {
		delete(p.owed, key)
		return
	}
	p.owed[key] = epochs{since: e.later[0], later: e.later[1:]}
}

func (p *proxy[K]) add(epoch uint64, n int) {
	i, ok := slices.BinarySearchFunc(p.counts, epoch, func(c count, e uint64) int { return cmp.Compare(c.epoch, e) })
	if !ok {
		p.counts = slices.Insert(p.counts, i, count{epoch: epoch})
	}
	p.counts[i].keys += n
	if p.counts[i].keys == 0 {
		p.counts = slices.Delete(p.counts, i, i+1)
	}
}

// settle makes the proxy ready when nothing is owed; once ready it stays so.
func (p *proxy[K]) settle() {
	if p.ready || len(p.owed) > 0 {
		return
	}
	p.ready = true
	p.owed = map[K]epochs{} // that of the first set would keep its memory
}

// reach gives the newest epoch, of those up to one, up to which everything is answered.
func (p *proxy[K]) reach(newest uint64) uint64 {
	switch {
	case p.away:
		return min(p.reached, newest)
	case len(p.counts) > 0:
		return min(p.counts[0].epoch-1, newest)
	default:
		return newest
	}
}

func (p *proxy[K]) refusal(key K) (r refusal, ok bool) {
	if p != nil {
		r, ok = p.refused[key]
	}
	return r, ok
}

func (p *proxy[K]) pending(epoch uint64) bool {
	if p.away {
		return p.reached < epoch
	}
	return len(p.counts) > 0 && p.counts[0].epoch <= epoch
}

func (p *proxy[K]) refuses(epoch uint64) bool {
	for _, r := range p.refused {
		if r.since <= epoch {
			return true
		}
	}
	return false
}
