package envoy

// Type is the kind of an xDS resource. The values are in the order in which changes are sent on a stream
// (make before break): whatever a resource names has a smaller Type and goes first; removals go the other way round.
type Type uint8

// The xDS types headgate serves.
const (
	ClusterType  Type = iota // CDS, envoy.config.cluster.v3.Cluster
	EndpointType             // EDS, envoy.config.endpoint.v3.ClusterLoadAssignment
	SecretType               // SDS, envoy.extensions.transport_sockets.tls.v3.Secret
	ListenerType             // LDS, envoy.config.listener.v3.Listener
	ScopeType                // SRDS, envoy.config.route.v3.ScopedRouteConfiguration
	RouteType                // RDS, envoy.config.route.v3.RouteConfiguration
	NumTypes                 // how many there are
)

// URL is the type URL of the resources of this type ("type.googleapis.com/envoy.config.cluster.v3.Cluster").
func (t Type) URL() string { return typeURLs[t] }

// String is the short name of the discovery service: CDS, EDS, SDS, LDS, SRDS, RDS.
func (t Type) String() string { return typeNames[t] }

// TypeOf finds the type of a type URL; ok is false for one that headgate does not serve.
func TypeOf(url string) (t Type, ok bool) {
	for i, u := range typeURLs {
		if u == url {
			return Type(i), true
		}
	}
	return 0, false
}

var typeURLs = [NumTypes]string{
	"type.googleapis.com/envoy.config.cluster.v3.Cluster",
	"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
	"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
	"type.googleapis.com/envoy.config.listener.v3.Listener",
	"type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration",
	"type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
}

var typeNames = [NumTypes]string{"CDS", "EDS", "SDS", "LDS", "SRDS", "RDS"}

// Key names one resource: its type and its xDS name. Every Key is produced by exactly one model value.
type Key struct {
	Type Type
	Name string
}

// Resource is one xDS resource as it goes on the wire.
type Resource struct {
	Key
	// Version is a digest of Body: equal versions are equal bytes, across restarts too.
	Version string
	// Body is the deterministic protobuf encoding of the message named by Type.URL.
	Body []byte
	// Secrets are the names of the SDS resources that a cluster or listener needs, sorted; nil for all other types.
	Secrets []string
}
