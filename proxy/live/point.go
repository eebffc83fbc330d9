package live

import "slices"

// Point says how far somebody has come in streams of changes: for each, by its number, the version up to which everything is in.
// Streams that are missing at the end are at 0. A Point is never written to once it is made.
type Point []uint64

// Covers tells whether a version of a stream is in.
func (p Point) Covers(stream int, version uint64) bool {
	return version == 0 || stream < len(p) && p[stream] >= version
}

// Has tells whether everything is in that is in at another point.
func (p Point) Has(q Point) bool {
	for stream, version := range q {
		if !p.Covers(stream, version) {
			return false
		}
	}
	return true
}

// With gives the point at which a stream is at a version, if it is not further.
func (p Point) With(stream int, version uint64) Point {
	if p.Covers(stream, version) {
		return p
	}
	out := make(Point, max(len(p), stream+1))
	copy(out, p)
	out[stream] = version
	return out
}

// Join gives what is in at one of two points.
func (p Point) Join(q Point) Point {
	for stream, version := range q {
		p = p.With(stream, version)
	}
	return p
}

// Meet gives what is in at both points.
func (p Point) Meet(q Point) Point {
	out := slices.Clone(p[:min(len(p), len(q))])
	for i := range out {
		out[i] = min(out[i], q[i])
	}
	return out
}

// Trail remembers at which point each epoch was. The zero value is empty and ready.
type Trail struct {
	marks []mark // by epoch
}

type mark struct {
	epoch uint64
	point Point
}

// longest is how many marks a trail has at most: a proxy that far behind counts as somewhat further behind than it is.
const longest = 1024

// Add notes the point of an epoch, which is later than those before.
func (t *Trail) Add(epoch uint64, p Point) {
	if len(t.marks) == longest {
		kept := t.marks[:0]
		for i := range t.marks {
			if i%2 == 0 || i > longest*3/4 {
				kept = append(kept, t.marks[i])
			}
		}
		clear(t.marks[len(kept):])
		t.marks = kept
	}
	t.marks = append(t.marks, mark{epoch, p})
}

// At gives a point that everything of an epoch is behind: that of the epoch, or of the last one before that is remembered.
func (t *Trail) At(epoch uint64) Point {
	i, found := slices.BinarySearchFunc(t.marks, epoch, func(m mark, e uint64) int {
		switch {
		case m.epoch < e:
			return -1
		case m.epoch > e:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	if i < 0 {
		return nil
	}
	return t.marks[i].point
}

// Last gives the point of the last epoch.
func (t *Trail) Last() Point {
	if len(t.marks) == 0 {
		return nil
	}
	return t.marks[len(t.marks)-1].point
}
