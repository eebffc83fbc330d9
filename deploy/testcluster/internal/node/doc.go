// Package node is the machine that a test cluster runs on: a set of processes in a mount, process and network namespace of
// their own, started and watched by one of them.
//
// The init is process 1 of the namespaces; when it ends, the kernel ends all others, pods included, and frees mounts and
// interfaces. So its recorded process id is all that it takes to stop a cluster. The supervisor is its only child: it starts the
// daemons (etcd, the API server, containerd, the kubelet ...), starts again those that end, and gives addresses to Services of type LoadBalancer.
// A layout is the directory of a cluster's state, which the host and the node see at the same path.
package node
