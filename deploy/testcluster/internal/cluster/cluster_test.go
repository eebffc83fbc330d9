package cluster

import (
	"strings"
	"testing"
	"time"

	"headgate.dev/deploy/testcluster/internal/node"
)

func TestDNSManifest(t *testing.T) {
	all := manifests(dnsManifest)
	if len(all) != strings.Count(dnsManifest, "\nkind: ") || len(all) == 0 {
		t.Fatalf("%d manifests of %d objects", len(all), strings.Count(dnsManifest, "\nkind: "))
	}
	for _, m := range all {
		name := m.path[strings.LastIndex(m.path, "/")+1:]
		if !strings.Contains(m.text, "metadata: {name: "+name+",") && !strings.Contains(m.text, `metadata: {name: "`+name+`"}`) {
			t.Errorf("%s: the object has another name:\n%s", m.path, m.text)
		}
		for line := range strings.Lines(m.text) {
			if version, ok := strings.CutPrefix(line, "apiVersion: "); ok && !strings.Contains(m.path, "/"+strings.TrimSpace(version)+"/") {
				t.Errorf("%s: the object is of %s", m.path, version)
			}
		}
	}
}

func TestStatusTable(t *testing.T) {
	s := Status{State: "starting", Reason: strings.Repeat("long reason ", 20), Dir: "/d", Kubeconfig: "/d/kubeconfig", Kubernetes: "1.37.2", PID: 100,
		Host: "198.19.128.1", Node: "198.19.128.2", Pool: "198.19.129.1-198.19.129.239", Pods: "198.19.132.0/22", Services: "198.19.192.0/18"}
	now := time.Unix(1000000, 0)
	s.measure([]node.Daemon{
		{Name: "supervisor", PID: 2, Since: 1},
		{Name: "kube-controller-manager", PID: 9, Since: 1, Restarts: 12345, LastExit: "signal: segmentation fault (core dumped)"},
		{Name: "kubelet", Waiting: "kube-apiserver"},
		{Name: "kube-proxy", LastExit: "exit status 1"},
	}, []node.Usage{{HostPID: 100, PID: 1, Bytes: 1 << 20}, {HostPID: 101, PID: 2, Bytes: 2 << 20}, {HostPID: 109, PID: 9, Bytes: 4 << 20},
		{HostPID: 120, PID: 20, Bytes: 8 << 20}}, now)
	if s.MemoryBytes != 15<<20 || s.PodMemoryBytes != 8<<20 || s.PodProcesses != 1 {
		t.Errorf("memory %d, of pods %d in %d", s.MemoryBytes, s.PodMemoryBytes, s.PodProcesses)
	}
	if d := s.Daemons[1]; d.HostPID != 109 || d.Seconds != 999999 || d.State != "running" {
		t.Errorf("got %+v", d)
	}
	if s.Daemons[2].State != "waiting for kube-apiserver" || s.Daemons[3].State != "ended" {
		t.Errorf("got %+v", s.Daemons[2:])
	}
	for line := range strings.Lines(s.Table()) {
		if len([]rune(strings.TrimRight(line, "\n"))) > 100 {
			t.Errorf("wider than 100: %s", line)
		}
	}
}
