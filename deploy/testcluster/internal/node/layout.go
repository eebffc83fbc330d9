package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"headgate.dev/deploy/testcluster/internal/network"
)

// Name is the node's name in the cluster.
const Name = "node1"

// SandboxImage is the image of the process that holds a pod's namespaces.
const SandboxImage = "headgate.local/pause:1"

// Layout says where things are below Dir.
type Layout struct{ Dir string }

// maxSocketPath is what the kernel takes, with the final zero.
const maxSocketPath = 107

// NewLayout checks that dir can hold a cluster.
func NewLayout(dir string) (Layout, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Layout{}, err
	}
	l := Layout{dir}
	if len(l.Socket()) > maxSocketPath {
		return l, fmt.Errorf("%s is too long for the socket below it, by %d bytes; choose a shorter --dir", dir, len(l.Socket())-maxSocketPath)
	}
	return l, nil
}

// Kubeconfig is the administrator's; it works on the host and in the node.
func (l Layout) Kubeconfig() string { return filepath.Join(l.Dir, "kubeconfig") }

// Socket is containerd's.
func (l Layout) Socket() string { return filepath.Join(l.Data(), "containerd.sock") }

// PKI holds keys and certificates.
func (l Layout) PKI() string { return filepath.Join(l.Dir, "pki") }

// Config holds the daemons' configuration.
func (l Layout) Config() string { return filepath.Join(l.Dir, "config") }

// Logs holds one file a daemon. It is kept when the cluster goes down.
func (l Layout) Logs() string { return filepath.Join(l.Dir, "log") }

// Data is what the daemons write.
func (l Layout) Data() string { return filepath.Join(l.Dir, "data") }

func (l Layout) specFile() string   { return filepath.Join(l.Dir, "node.json") }
func (l Layout) daemonFile() string { return filepath.Join(l.Dir, "daemons.json") }
func (l Layout) recordFile() string { return filepath.Join(l.Dir, "process.json") }

// Spec is what a node is started with.
type Spec struct {
	Slot int `json:"slot"`
	// Bin are the directories of the programs that were built, CNI that of the plugins.
	Bin []string `json:"bin"`
	CNI string   `json:"cni"`
	// Version is that of Kubernetes.
	Version string `json:"version"`
	// DualStack gives everything an IPv6 address too.
	DualStack bool `json:"dualStack"`
	// Link is the index of the host's end of the link, which tells it from one of the same name that came later; 0 before it is made.
	Link int `json:"link"`
}

// Spec reads what the node was started with, and its addresses.
func (l Layout) Spec() (Spec, network.Plan, error) {
	var s Spec
	if err := readJSON(l.specFile(), &s); err != nil {
		return s, network.Plan{}, err
	}
	p, err := s.plan()
	return s, p, err
}

func (s Spec) plan() (network.Plan, error) {
	p, err := network.New(s.Slot)
	if err == nil && s.DualStack {
		p = p.Dual()
	}
	return p, err
}

// Daemon is one process as the supervisor sees it.
type Daemon struct {
	Name string `json:"name"`
	// PID is the number inside the node, 0 while it is not running.
	PID int `json:"pid"`
	// Since is when it was started, in seconds since 1970.
	Since    int64 `json:"since"`
	Restarts int   `json:"restarts"`
	// Waiting is what it waits for before it is started.
	Waiting string `json:"waiting,omitempty"`
	// LastExit is how it ended the last time.
	LastExit string `json:"lastExit,omitempty"`
}

// Daemons reads what the supervisor wrote last.
func (l Layout) Daemons() ([]Daemon, error) {
	var d []Daemon
	err := readJSON(l.daemonFile(), &d)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return d, err
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// writeJSON replaces the file as a whole, so that readers never see half of it.
func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// LogFile is the log of the daemon, or of "node".
func (l Layout) LogFile(name string) string { return filepath.Join(l.Logs(), name+".log") }
