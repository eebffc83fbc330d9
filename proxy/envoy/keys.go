package envoy

import "headgate.dev/proxy/model"

// ListenerKey names the resource of a listener.
func ListenerKey(id model.ListenerID) Key { return Key{ListenerType, listenerName(id)} }

// ClusterKey names the resource of a cluster.
func ClusterKey(id model.ClusterID) Key { return Key{ClusterType, id.String()} }

// EndpointsKey names the resource of a cluster's endpoints.
func EndpointsKey(id model.ClusterID) Key { return Key{EndpointType, id.String()} }

// SecretKey names the resource of a secret.
func SecretKey(id model.SecretID) Key { return Key{SecretType, string(id)} }
