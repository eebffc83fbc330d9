package node

import (
	"path/filepath"
	"strings"

	"headgate.dev/deploy/testcluster/internal/network"
)

// daemon says how one is started.
type daemon struct {
	name string
	args []string
	// after are what must be ready before: a restart while they are away waits too.
	after []string
}

const etcdURL = "http://127.0.0.1:2379"

// daemons lists what the supervisor runs.
func (l Layout) daemons(p network.Plan) []daemon {
	config := func(name string) string { return filepath.Join(l.Config(), name) }
	pki := func(name string) string { return filepath.Join(l.PKI(), name) }
	return []daemon{
		// A cluster is thrown away when it goes down: nothing has to survive a power failure.
		{"etcd", flags("etcd", "data-dir", filepath.Join(l.Data(), "etcd"), "unsafe-no-fsync", "true", "listen-client-urls", etcdURL,
			"advertise-client-urls", etcdURL, "listen-peer-urls", "http://127.0.0.1:2380"), nil},
		{"kube-apiserver", flags("kube-apiserver", "etcd-servers", etcdURL, "service-cluster-ip-range", p.ServiceRanges(),
			"authorization-mode", "Node,RBAC", "enable-admission-plugins", "NodeRestriction", "allow-privileged", "true",
			"bind-address", "0.0.0.0", "advertise-address", p.Node.String(), "client-ca-file", pki("ca.crt"),
			"tls-cert-file", pki("apiserver.crt"), "tls-private-key-file", pki("apiserver.key"),
			"service-account-key-file", pki("sa.pub"), "service-account-signing-key-file", pki("sa.key"),
			"service-account-issuer", "https://kubernetes.default.svc", "kubelet-preferred-address-types", "InternalIP",
			"kubelet-client-certificate", pki("admin.crt"), "kubelet-client-key", pki("admin.key")), []string{"etcd"}},
		{"kube-controller-manager", flags("kube-controller-manager", "kubeconfig", config("kube-controller-manager.kubeconfig"),
			"service-account-private-key-file", pki("sa.key"), "root-ca-file", pki("ca.crt"), "use-service-account-credentials", "true",
			"cluster-signing-cert-file", pki("ca.crt"), "cluster-signing-key-file", pki("ca.key"), "leader-elect", "false",
			"kube-api-qps", "200", "kube-api-burst", "400"), []string{"kube-apiserver"}},
		{"kube-scheduler", flags("kube-scheduler", "config", config("kube-scheduler.yaml")), []string{"kube-apiserver"}},
		{"containerd", flags("containerd", "config", config("containerd.toml")), nil},
		{"kubelet", flags("kubelet", "config", config("kubelet.yaml"), "kubeconfig", config("kubelet.kubeconfig"),
			"hostname-override", Name, "node-ip", p.NodeAddresses(), "root-dir", filepath.Join(l.Data(), "kubelet")),
			[]string{"containerd", "kube-apiserver"}},
		{"kube-proxy", flags("kube-proxy", "config", config("kube-proxy.yaml")), []string{"kube-apiserver"}},
	}
}

// flags makes a command line out of a program, and names and values in turn.
func flags(program string, pairs ...string) []string {
	args := []string{program}
	for i := 0; i+1 < len(pairs); i += 2 {
		args = append(args, "--"+pairs[i]+"="+pairs[i+1])
	}
	return args
}

// path is the search path of the node: what was built comes first.
func path(bin []string) string {
	return strings.Join(append(append([]string{}, bin...), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"), ":")
}
