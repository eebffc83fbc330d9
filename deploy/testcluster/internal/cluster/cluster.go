package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"headgate.dev/deploy/testcluster/internal/build"
	"headgate.dev/deploy/testcluster/internal/kube"
	"headgate.dev/deploy/testcluster/internal/network"
	"headgate.dev/deploy/testcluster/internal/node"
	"headgate.dev/deploy/testcluster/internal/pin"
)

// Cluster is one test cluster, whether it is up or not.
type Cluster struct {
	Layout   node.Layout
	Versions pin.Versions
	Progress build.Progress
	// PauseSource is the Go source of the pods' sandbox process.
	PauseSource string
}

// readyLimit is how long a cluster may take from its start until a test can begin.
const readyLimit = 3 * time.Minute

// Build makes sure that the programs are in the cache and returns their directories.
func (c *Cluster) Build(ctx context.Context) ([]string, error) {
	store, err := build.NewStore(c.Versions, c.Progress)
	if err != nil {
		return nil, err
	}
	components, err := pin.Components(c.Versions)
	if err != nil {
		return nil, err
	}
	var bin []string
	for _, component := range append(components, pin.Pause(c.Versions, c.PauseSource)) {
		dir, err := store.Component(ctx, component)
		if err != nil {
			return nil, err
		}
		bin = append(bin, dir)
	}
	return bin, nil
}

// Options say how a new cluster is made.
type Options struct {
	// Slot is that of its network; less than 0 means any that is free.
	Slot int
	// DualStack gives everything an IPv6 address too. Pods then start a second or two later: the kernel first looks for a duplicate.
	DualStack bool
}

// Up takes the cluster up and returns when it is ready. One that is up already keeps its network, is looked after, and gets what it lacks.
func (c *Cluster) Up(ctx context.Context, o Options) error {
	if err := Fit(); err != nil {
		return err
	}
	bin, err := c.Build(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Layout.Dir, 0o755); err != nil {
		return err
	}
	unlock, err := build.Lock(filepath.Join(c.Layout.Dir, "lock"), func() { c.Progress("cluster", "waiting for another command") })
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.start(ctx, o, bin); err != nil {
		return err
	}
	spec, plan, err := c.Layout.Spec()
	if err != nil {
		return err
	}
	return c.ready(ctx, plan, spec)
}

// start starts the node unless it runs.
func (c *Cluster) start(ctx context.Context, o Options, bin []string) error {
	if c.Layout.Record().Alive() {
		spec, _, err := c.Layout.Spec()
		if err != nil {
			return err
		}
		if old := spec.Version; old != c.Versions["kubernetes"] {
			return fmt.Errorf("the cluster that is up has Kubernetes %s, versions.txt says %s; run `testcluster down` first", old, c.Versions["kubernetes"])
		}
		if o.DualStack && !spec.DualStack {
			return errors.New("the cluster that is up has IPv4 alone; run `testcluster down` first, or say another --dir")
		}
		return nil
	}
	if err := node.Stop(ctx, c.Layout); err != nil { // what one that died left
		return err
	}
	slot := o.Slot
	if slot < 0 {
		free, err := node.FreeSlot()
		if err != nil {
			return err
		}
		slot = free
	}
	cni, err := cniDir()
	if err != nil {
		return err
	}
	c.Progress("node", "starting")
	if err := os.RemoveAll(c.Layout.Logs()); err != nil {
		return err
	}
	return node.Start(c.Layout, node.Spec{Slot: slot, DualStack: o.DualStack, Bin: bin, CNI: cni, Version: c.Versions["kubernetes"]})
}

// ready loads images, brings DNS, and waits until everything answers.
func (c *Cluster) ready(ctx context.Context, p network.Plan, spec node.Spec) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	api, err := kube.New(node.Server(p), c.Layout.PKI())
	if err != nil {
		return err
	}
	dns := "headgate.local/coredns:" + c.Versions["coredns"]
	for _, s := range []struct {
		subject, state string
		do             func(context.Context) error
	}{
		{"containerd", "starting", func(ctx context.Context) error { _, err := c.Images(ctx); return err }},
		{"images", "loading", func(ctx context.Context) error { return c.ownImages(ctx, spec, dns) }},
		{"API server", "starting", api.Ready},
		{"DNS", "installing", func(ctx context.Context) error { return applyDNS(ctx, api, p, dns) }},
		{"node", "getting ready", func(ctx context.Context) error { return nodeReady(ctx, api) }},
		{"daemons", "starting", func(context.Context) error { return c.running() }},
		{"DNS", "starting", func(ctx context.Context) error { return dnsReady(ctx, api) }},
		{"namespace default", "waiting for its service account", func(ctx context.Context) error {
			return api.Get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
		}},
	} {
		c.Progress(s.subject, s.state)
		if err := c.until(ctx, s.do); err != nil {
			return fmt.Errorf("%s: %w", s.subject, err)
		}
	}
	return nil
}

// running says which daemon does not run, if any.
func (c *Cluster) running() error {
	daemons, err := c.Layout.Daemons()
	for _, d := range daemons {
		if d.PID == 0 {
			return fmt.Errorf("%s does not run", d.Name)
		}
	}
	return err
}

// until tries again until do succeeds, the time is over, or the node ends.
func (c *Cluster) until(ctx context.Context, do func(context.Context) error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if !c.Layout.Record().Alive() {
			return fmt.Errorf("the node ended; its last words in %s:\n%s", c.Layout.LogFile("node"), tail(c.Layout.LogFile("node"), 5))
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("not ready after %s: %w; see the logs in %s\n%s", readyLimit, err, c.Layout.Logs(), c.trouble())
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// trouble shows the end of the logs of the daemons that were started again.
func (c *Cluster) trouble() string {
	daemons, err := c.Layout.Daemons()
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, d := range daemons {
		if d.Restarts > 0 || d.PID == 0 {
			fmt.Fprintf(&b, "%s, started again %d times, waiting for %q, last ended with %q:\n%s\n", d.Name, d.Restarts, d.Waiting, d.LastExit,
				tail(c.Layout.LogFile(d.Name), 3))
		}
	}
	return b.String()
}

func tail(file string, lines int) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Down stops the cluster and forgets everything but its logs. The cache stays.
func (c *Cluster) Down(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("stopping a test cluster needs root, like starting it")
	}
	if _, err := os.Stat(c.Layout.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	unlock, err := build.Lock(filepath.Join(c.Layout.Dir, "lock"), func() { c.Progress("cluster", "waiting for another command") })
	if err != nil {
		return err
	}
	defer unlock()
	return node.Stop(ctx, c.Layout)
}

// ErrDown is what commands say that need a cluster.
var ErrDown = errors.New("the cluster is down; run `testcluster up` (make cluster-up)")

// Running reads what the cluster was started with.
func (c *Cluster) Running() (node.Spec, node.Record, error) {
	record := c.Layout.Record()
	if !record.Alive() {
		return node.Spec{}, record, ErrDown
	}
	spec, _, err := c.Layout.Spec()
	return spec, record, err
}

// Program finds a program that was built for the cluster that is up.
func Program(spec node.Spec, name string) (string, error) {
	for _, dir := range spec.Bin {
		if path := filepath.Join(dir, name); executable(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not among the programs of the cluster in %s", name, strings.Join(spec.Bin, ", "))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}
