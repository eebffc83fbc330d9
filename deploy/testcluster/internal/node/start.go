package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"headgate.dev/deploy/testcluster/internal/network"
)

// FreeSlot is the first slot that no cluster of this machine uses.
func FreeSlot() (int, error) {
	for slot := range network.Slots {
		if linkIndex(slot) == 0 {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("all %d network slots of this machine are in use by other clusters; `testcluster down --dir DIR` one of them", network.Slots)
}

// linkIndex is the index of the host's end of the slot's link, 0 when no cluster uses the slot.
func linkIndex(slot int) int {
	p, err := network.New(slot)
	if err != nil {
		return 0
	}
	i, err := net.InterfaceByName(p.Interface())
	if err != nil {
		return 0
	}
	return i.Index
}

// Start writes what a new cluster needs, starts its node and links it with the host. It returns when the init runs, long before the cluster is ready.
func Start(l Layout, spec Spec) error {
	p, err := spec.plan()
	if err != nil {
		return err
	}
	if err := l.WriteConfig(p, spec.CNI, snapshotter(l.Dir)); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if err := l.WritePKI(p); err != nil {
		return err
	}
	if err := writeJSON(l.specFile(), spec); err != nil {
		return err
	}
	release, pid, err := l.clone()
	if err != nil {
		return err
	}
	defer release.Close()
	record, err := Describe(pid)
	if err != nil {
		return err
	}
	if err := writeJSON(l.recordFile(), record); err != nil {
		return err
	}
	if err := link(p, pid); err != nil {
		return errors.Join(fmt.Errorf("linking node and host: %w", err), record.Stop(context.Background(), time.Second))
	}
	spec.Link = linkIndex(spec.Slot)
	if err := writeJSON(l.specFile(), spec); err != nil {
		return err
	}
	_, err = release.Write([]byte{1})
	return err
}

// clone starts the init in its namespaces. It waits until something is written to release, and ends when that is closed before.
func (l Layout) clone() (release *os.File, pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	out, err := os.OpenFile(l.LogFile("node"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, 0, err
	}
	defer out.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	defer reader.Close()
	cmd := exec.Command(self, InitCommand, l.Dir)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = "/", out, out, []*os.File{reader}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC}
	if err := cmd.Start(); err != nil {
		writer.Close()
		return nil, 0, fmt.Errorf("starting the node in namespaces of its own: %w; that needs CAP_SYS_ADMIN", err)
	}
	pid = cmd.Process.Pid
	go cmd.Wait() //nolint:errcheck // only so that it is buried while this process lives
	return writer, pid, nil
}

// link makes a pair of interfaces, one end here and one in the node, and the one route (of each family) that reaches everything of the cluster.
func link(p network.Plan, pid int) error {
	commands := []string{
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", p.Interface(), pid),
		fmt.Sprintf("addr add %s/%d dev %s", p.Host, p.Link.Bits(), p.Interface()),
		fmt.Sprintf("link set %s up", p.Interface()),
		fmt.Sprintf("route add %s via %s dev %s", p.All, p.Node, p.Interface()),
	}
	if six := p.Six; six != nil {
		commands = append(commands,
			fmt.Sprintf("-6 addr add %s/%d dev %s nodad", six.Host, six.Link.Bits(), p.Interface()),
			fmt.Sprintf("-6 route add %s via %s dev %s", six.All, six.Node, p.Interface()),
		)
	}
	return ip(commands...)
}

// Stop ends the node and removes everything but the logs. A node that does not run leaves remains: they are removed too.
func Stop(ctx context.Context, l Layout) error {
	if err := l.Record().Stop(ctx, 10*time.Second); err != nil {
		return err
	}
	spec, p, err := l.Spec()
	if err == nil {
		err = release(spec, p)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, path := range []string{l.Data(), l.Config(), l.PKI(), l.Kubeconfig(), l.daemonFile(), l.recordFile(), l.specFile()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing the cluster's state: %w", err)
		}
	}
	return nil
}

// release gives the slot back, unless another cluster has it by now. The link is removed at once: the kernel frees the node's namespace, and
// the link with it, only some seconds after its end.
func release(spec Spec, p network.Plan) error {
	switch linkIndex(spec.Slot) {
	case 0:
	case spec.Link:
		if err := ip("link delete " + p.Interface()); err != nil && linkIndex(spec.Slot) == spec.Link {
			return err
		}
	default:
		return nil
	}
	return removeCgroup(p.Cgroup())
}

// snapshotter is how containerd stacks layers below dir: an overlay cannot lie on another one.
func snapshotter(dir string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err == nil && s.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}
