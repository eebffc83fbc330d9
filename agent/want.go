package agent

import (
	"context"

	"headgate.dev/render/object"
)

// Want is one write or removal in a cluster that is to be served.
type Want struct {
	ID object.ID
	// UID is that of the object written or removed. It tells an object from one of the same name that was made later. Empty: whichever
	// there is, as it is.
	UID string
	// Generation is the one that the write brought; for kinds without generations, zero. What is served of a later generation of the
	// same object counts as well. It says nothing where Removed is set.
	Generation int64
	// ResourceVersion is the one that the write brought; empty: not known.
	ResourceVersion string
	// Removed: the object is to be gone.
	Removed bool
}

// Proxies tell when objects of a cluster are what the Envoys serve. In a cluster they are the proxy half of this program, or nobody.
type Proxies interface {
	// Wait blocks until every ready proxy of every Gateway concerned has answered all that is wanted, or until ctx ends; then it
	// returns how far it got together with the context's error. What is answered may be refused. Wants that touch no Gateway concern none.
	// It may be called from several goroutines at once.
	Wait(ctx context.Context, wants []Want) (Reach, error)
}

// Reach is how far the proxies are with what is wanted.
type Reach struct {
	// Gateways are those that the wants touch, sorted by namespace and name.
	Gateways []GatewayReach
	// Refused are objects, or parts of them, that no proxy serves although they were applied. Sorted by ID.
	Refused []Refusal
}

// GatewayReach is how many proxies of a Gateway have acknowledged all that is wanted.
type GatewayReach struct {
	Namespace, Name string
	Envoys          Envoys
}

// Refusal is why an object is not served as it is.
type Refusal struct {
	ID      object.ID
	Message string
}

// Envoys sums up all Gateways.
func (r Reach) Envoys() Envoys {
	var sum Envoys
	for _, g := range r.Gateways {
		sum.Acked += g.Envoys.Acked
		sum.Total += g.Envoys.Total
	}
	return sum
}
