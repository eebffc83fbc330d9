package node

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"headgate.dev/deploy/testcluster/internal/network"
)

// linkFD is where the init reads one byte when the host has made the link.
const linkFD = 3

// Init is process 1 of the node. It prepares the namespaces, starts the supervisor and buries what nobody else waits for, until the
// supervisor ends or somebody asks it to. All other processes of the node end with it.
func Init(dir string) error {
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, unix.SIGTERM, unix.SIGINT)
	l, err := NewLayout(dir)
	if err != nil {
		return err
	}
	spec, plan, err := l.Spec()
	if err != nil {
		return err
	}
	if err := prepare(l, spec, plan); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child, err := os.StartProcess(self, []string{self, SuperviseCommand, dir},
		&os.ProcAttr{Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr}})
	if err != nil {
		return fmt.Errorf("starting the supervisor: %w", err)
	}
	ended := make(chan struct{})
	go func() { // ends with the supervisor
		bury(child.Pid)
		close(ended)
	}()
	select {
	case s := <-ends:
		log.Printf("node: ends because of %v", s)
		return nil
	case <-ended:
		return errors.New("the supervisor ended")
	}
}

// prepare makes the namespaces fit for the daemons, when the host has made the link.
func prepare(l Layout, spec Spec, plan network.Plan) error {
	if _, err := os.NewFile(linkFD, "link").Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("waiting for the link to the host, which was not made: %w", err)
	}
	if err := makeCgroup(plan.Cgroup()); err != nil {
		return fmt.Errorf("making control group %s: %w", plan.Cgroup(), err)
	}
	if err := mounts(l, spec); err != nil {
		return fmt.Errorf("preparing the node's mounts: %w", err)
	}
	if err := connect(plan); err != nil {
		return fmt.Errorf("preparing the node's network: %w", err)
	}
	return nil
}

// bury waits for every process that ends, and returns when pid did.
func bury(pid int) {
	for {
		got, err := unix.Wait4(-1, nil, 0, nil)
		if got == pid || errors.Is(err, unix.ECHILD) {
			return
		}
	}
}

// hidden are the directories of which a node has its own: what the daemons write there, at paths that cannot be configured, is gone with
// the node, and of the host's they see nothing.
var hidden = []string{"/run", "/var/lib", "/var/log"}

// mounts makes a mount namespace that gives nothing back to the host and in which the kubelet can share mounts with pods.
func mounts(l Layout, spec Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := hide(append([]string{l.Dir, spec.CNI}, spec.Bin...)); err != nil {
		return err
	}
	if err := tunables(filepath.Join(l.Data(), "tunables")); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing mounts with pods: %w", err)
	}
	return nil
}

// hide mounts an empty directory over each hidden one, and brings back what is kept and lies below.
func hide(keep []string) error {
	kept := map[string]*os.File{}
	for _, dir := range keep {
		target, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return err
		}
		for _, h := range hidden {
			if !strings.HasPrefix(target, h+"/") {
				continue
			}
			if kept[target], err = os.Open(target); err != nil {
				return err
			}
			defer kept[target].Close()
		}
	}
	for _, h := range hidden {
		if err := unix.Mount("tmpfs", h, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
			return fmt.Errorf("mounting an empty %s: %w", h, err)
		}
	}
	for dir, f := range kept {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("keeping %s: %w", dir, err)
		}
	}
	return nil
}

// The kubelet sets these for the whole machine when they read otherwise. In here they read as it wants them.
var kubeletTunables = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

func tunables(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, value := range kubeletTunables {
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		to := "/proc/sys/" + name
		if err := unix.Mount(file, to, "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("covering %s: %w", to, err)
		}
	}
	return nil
}

// connect sets up the node's end of the link. The default route, which programs look for, leads to a bridge without ports, and before
// it the rules refuse all that is not the cluster's: nothing reaches a foreign address by mistake, or waits for it.
func connect(p network.Plan) error {
	commands := []string{
		"link set lo up",
		fmt.Sprintf("addr add %s/%d dev eth0", p.Node, p.Link.Bits()),
		"link set eth0 up",
		"link add nowhere type bridge",
		"link set nowhere up",
		fmt.Sprintf("route add default dev nowhere src %s", p.Node),
		fmt.Sprintf("rule add pref 10 to %s lookup main", p.All),
		"rule add pref 20 unreachable",
	}
	if six := p.Six; six != nil {
		commands = append(commands,
			fmt.Sprintf("-6 addr add %s/%d dev eth0 nodad", six.Node, six.Link.Bits()),
			"-6 route add default dev nowhere",
			fmt.Sprintf("-6 rule add pref 10 to %s lookup main", six.All),
			"-6 rule add pref 11 to fe80::/10 lookup main",
			"-6 rule add pref 20 unreachable",
		)
	}
	return ip(commands...)
}

// ip runs commands of iproute2.
func ip(commands ...string) error {
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
