package node

import (
	"fmt"
	"os"
	"path/filepath"

	"headgate.dev/deploy/testcluster/internal/network"
)

// WriteConfig writes the configuration of the daemons. cni is the directory of the CNI plugins; snapshotter is the way in which
// containerd stacks the layers of images.
func (l Layout) WriteConfig(p network.Plan, cni, snapshotter string) error {
	for _, dir := range []string{l.Config(), filepath.Join(l.Config(), "cni"), l.Data(), l.Logs()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"containerd.toml":     l.containerdConfig(cni, snapshotter),
		"cni/10-ptp.conflist": l.cniConfig(p),
		"kubelet.yaml":        l.kubeletConfig(p),
		"kube-proxy.yaml":     l.proxyConfig(p),
		"resolv.conf":         "nameserver " + p.DNS.String() + "\n",
		"kube-scheduler.yaml": schedulerConfig(filepath.Join(l.Config(), "kube-scheduler.kubeconfig")),
	} {
		if err := os.WriteFile(filepath.Join(l.Config(), name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Where a process may not lower its OOM score, as in many containers, each pod would fail without restrict_oom_score_adj.
func (l Layout) containerdConfig(cni, snapshotter string) string {
	return fmt.Sprintf(`version = 3
root = %q
state = "/run/containerd-state"
[grpc]
  address = %q
[plugins.'io.containerd.cri.v1.images']
  snapshotter = %q
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %q
[plugins.'io.containerd.transfer.v1.local']
  [[plugins.'io.containerd.transfer.v1.local'.unpack_config]]
    platform = "linux"
    snapshotter = %q
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [%q]
  conf_dir = %q
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
`, filepath.Join(l.Data(), "containerd"), l.Socket(), snapshotter, SandboxImage, snapshotter, cni, filepath.Join(l.Config(), "cni"))
}

// Point to point rather than a bridge: everything between pods is routed, so that an answer comes back through the address translation
// of Services whatever the kernel does with bridged packets.
func (l Layout) cniConfig(p network.Plan) string {
	ranges, routes := fmt.Sprintf(`[{"subnet": %q}]`, p.Pods), `{"dst": "0.0.0.0/0"}`
	if p.Six != nil {
		ranges, routes = ranges+fmt.Sprintf(`, [{"subnet": %q}]`, p.Six.Pods), routes+`, {"dst": "::/0"}`
	}
	return fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "mtu": 1500,
 "ipam": {"type": "host-local", "dataDir": %q, "ranges": [%s], "routes": [%s]}}]}
`, filepath.Join(l.Data(), "cni"), ranges, routes)
}

func (l Layout) kubeletConfig(p network.Plan) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %q}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /%s
failCgroupV1: false
failSwapOn: false
clusterDNS: [%s]
clusterDomain: cluster.local
resolvConf: %q
containerRuntimeEndpoint: %q
podLogsDir: %q
volumePluginDir: %q
maxPods: 500
kubeAPIQPS: 200
kubeAPIBurst: 400
registryPullQPS: 0
eventRecordQPS: 0
serializeImagePulls: false
evictionHard: {memory.available: "100Mi", nodefs.available: "1%%", imagefs.available: "1%%"}
imageGCHighThresholdPercent: 100
`, filepath.Join(l.PKI(), "ca.crt"), p.Cgroup(), p.DNS, filepath.Join(l.Config(), "resolv.conf"), "unix://"+l.Socket(),
		filepath.Join(l.Data(), "pod-logs"), filepath.Join(l.Data(), "volume-plugins"))
}

// Changes reach the tables after 50 ms instead of a second, so that a test measures the product and not the wait.
func (l Layout) proxyConfig(p network.Plan) string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: %q
hostnameOverride: %s
bindAddress: 0.0.0.0
conntrack: {maxPerCore: 0, min: 0}
nftables: {minSyncPeriod: 50ms}
clientConnection: {kubeconfig: %q, qps: 200, burst: 400}
`, p.PodRanges(), Name, filepath.Join(l.Config(), "kube-proxy.kubeconfig"))
}

func schedulerConfig(kubeconfig string) string {
	return fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
clientConnection: {kubeconfig: %q, qps: 200, burst: 400}
`, kubeconfig)
}
