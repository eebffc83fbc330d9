package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"headgate.dev/deploy/testcluster/internal/kube"
	"headgate.dev/deploy/testcluster/internal/node"
)

// Status is what is known about a cluster; its JSON is for scripts.
type Status struct {
	// State is down, starting (something is not ready yet) or ready.
	State string `json:"state"`
	// Reason says what is not ready.
	Reason     string `json:"reason,omitempty"`
	Dir        string `json:"dir"`
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Kubernetes string `json:"kubernetes,omitempty"`
	// PID is the node's first process, on the host; its namespaces are the node's.
	PID int `json:"pid,omitempty"`
	// Host is the host's address as pods see it, Node the node's.
	Host     string   `json:"host,omitempty"`
	Node     string   `json:"node,omitempty"`
	Pool     string   `json:"pool,omitempty"` // addresses for Services of type LoadBalancer, FIRST-LAST
	Pods     string   `json:"pods,omitempty"`
	Services string   `json:"services,omitempty"`
	CRDs     string   `json:"gatewayAPI,omitempty"` // version and channel of the Gateway API CRDs
	Daemons  []Daemon `json:"daemons,omitempty"`
	// MemoryBytes is all of the node, PodMemoryBytes what of it belongs to pods and what holds them.
	MemoryBytes    int64 `json:"memoryBytes,omitempty"`
	PodMemoryBytes int64 `json:"podMemoryBytes,omitempty"`
	PodProcesses   int   `json:"podProcesses,omitempty"`
}

// Daemon is one process of the node.
type Daemon struct {
	Name        string `json:"name"`
	State       string `json:"state"` // running, waiting for NAME, or ended
	HostPID     int    `json:"pid,omitempty"`
	Seconds     int64  `json:"seconds"` // since it was started
	Restarts    int    `json:"restarts"`
	LastExit    string `json:"lastExit,omitempty"`
	MemoryBytes int64  `json:"memoryBytes,omitempty"`
}

// Status looks at the cluster.
func (c *Cluster) Status(ctx context.Context, now time.Time) (Status, error) {
	s := Status{State: "down", Dir: c.Layout.Dir}
	record := c.Layout.Record()
	if !record.Alive() {
		return s, nil
	}
	spec, p, err := c.Layout.Spec()
	if err != nil {
		return s, err
	}
	s.Kubeconfig, s.Kubernetes, s.PID = c.Layout.Kubeconfig(), spec.Version, record.PID
	s.Host, s.Node, s.Pods, s.Services = p.Host.String(), p.Node.String(), p.PodRanges(), p.ServiceRanges()
	if p.Six != nil {
		s.Host += "," + p.Six.Host.String()
	}
	s.Pool = p.PoolFirst.String() + "-" + p.PoolLast.String()
	daemons, err := c.Layout.Daemons()
	if err != nil {
		return s, err
	}
	usage, err := record.Usage()
	if err != nil {
		return s, err
	}
	s.measure(daemons, usage, now)
	s.State = "ready"
	if err := c.wellness(ctx, &s); err != nil {
		s.State, s.Reason = "starting", err.Error()
	}
	return s, nil
}

// wellness is what is not ready, if anything; it fills in the channel of the CRDs on the way.
func (c *Cluster) wellness(ctx context.Context, s *Status) error {
	for _, d := range s.Daemons {
		if d.State != "running" {
			return fmt.Errorf("%s: %s", d.Name, d.State)
		}
	}
	api, err := kube.New("https://"+s.Node+":6443", c.Layout.PKI())
	if err != nil {
		return err
	}
	if err := api.Ready(ctx); err != nil {
		return fmt.Errorf("API server: %w", err)
	}
	if channels, err := installed(ctx, api); err == nil {
		s.CRDs = strings.Join(channels, ", ")
	}
	if err := nodeReady(ctx, api); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if err := dnsReady(ctx, api); err != nil {
		return fmt.Errorf("DNS: %w", err)
	}
	return nil
}

// measure joins what the supervisor says with what the host sees.
func (s *Status) measure(daemons []node.Daemon, usage []node.Usage, now time.Time) {
	byPID := map[int]node.Usage{}
	for _, u := range usage {
		byPID[u.PID] = u
		s.MemoryBytes += u.Bytes
		s.PodMemoryBytes += u.Bytes
		s.PodProcesses++
	}
	own := func(pid int) node.Usage {
		u, ok := byPID[pid]
		if ok {
			s.PodMemoryBytes -= u.Bytes
			s.PodProcesses--
		}
		return u
	}
	own(1) // the init
	for _, d := range daemons {
		line := Daemon{Name: d.Name, State: "ended", Restarts: d.Restarts, LastExit: d.LastExit}
		if d.Waiting != "" {
			line.State = "waiting for " + d.Waiting
		} else if d.PID != 0 {
			u := own(d.PID)
			line.State, line.HostPID, line.MemoryBytes, line.Seconds = "running", u.HostPID, u.Bytes, max(0, now.Unix()-d.Since)
		}
		s.Daemons = append(s.Daemons, line)
	}
}

// Table is the status for people, at most 100 columns wide unless a path is longer.
func (s Status) Table() string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-13s%s\n", name, value)
		}
	}
	line("state", s.State)
	line("because", clip(s.Reason, 87))
	line("directory", s.Dir)
	if s.State == "down" {
		return b.String()
	}
	line("kubeconfig", s.Kubeconfig)
	line("kubernetes", s.Kubernetes)
	line("gateway API", s.CRDs)
	line("balancers", s.Pool)
	line("pods", s.Pods)
	line("services", s.Services)
	line("node", s.Node)
	line("host", s.Host+" for pods")
	line("memory", fmt.Sprintf("%s, of it pods %s in %d processes", mebibytes(s.MemoryBytes), mebibytes(s.PodMemoryBytes), s.PodProcesses))
	fmt.Fprintf(&b, "\n%-24s %8s %9s %9s %9s  %s\n", "DAEMON", "PID", "UP", "RESTARTS", "MEMORY", "STATE")
	for _, d := range s.Daemons {
		state := d.State
		if d.LastExit != "" {
			state += ", before: " + d.LastExit
		}
		up := time.Duration(d.Seconds) * time.Second
		fmt.Fprintf(&b, "%-24s %8d %9s %9d %9s  %s\n", d.Name, d.HostPID, up, d.Restarts, mebibytes(d.MemoryBytes), clip(state, 34))
	}
	return b.String()
}

func clip(text string, width int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-3]) + "..."
	}
	return text
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", (n+(1<<19))>>20) }
