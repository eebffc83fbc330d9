package node

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate.dev/deploy/testcluster/internal/network"
)

func TestParseStat(t *testing.T) {
	const rest = " 1 10 10 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 99 0"
	for stat, want := range map[string]string{
		"10 (etcd) S" + rest: "S",
		"10 (a) b) Z" + rest: "Z",
		"10 (etcd) S 1 2":    "",
		"10 etcd S":          "",
	} {
		state, start, err := parseStat(stat)
		if want == "" && err == nil || want != "" && (err != nil || state != want || start != 4711) {
			t.Errorf("%q: %q %d %v, want %q 4711", stat, state, start, err, want)
		}
	}
}

func TestRecordIsOfOneProcess(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r, err := Describe(cmd.Process.Pid)
	if err != nil || !r.Alive() {
		t.Fatalf("%+v, %v: want a living process", r, err)
	}
	for what, other := range map[string]Record{
		"start": {r.PID, r.Start + 1, r.Boot}, "boot": {r.PID, r.Start, "before"}, "number": {0, r.Start, r.Boot},
	} {
		if other.Alive() {
			t.Errorf("alive with another %s", what)
		}
		if err := other.Stop(context.Background(), time.Second); err != nil || !r.Alive() {
			t.Fatalf("stopping what has another %s: %v, and the process lives: %v", what, err, r.Alive())
		}
	}
	if err := r.Stop(context.Background(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if r.Alive() { // nobody has buried it yet
		t.Error("alive after its end")
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("ended with %v, want the gentle signal", err)
	}
	if err := r.Stop(context.Background(), time.Second); err != nil {
		t.Errorf("stopping it again: %v", err)
	}
}

func TestStopUsesForce(t *testing.T) {
	cmd := exec.Command("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 600; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	r, err := Describe(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	usage, err := r.Usage()
	if err != nil || len(usage) == 0 {
		t.Errorf("usage %v, %v", usage, err)
	}
	if err := r.Stop(context.Background(), 200*time.Millisecond); err != nil || r.Alive() {
		t.Errorf("%v, alive: %v", err, r.Alive())
	}
	for _, u := range usage { // the shell's child is not the shell
		if u.HostPID != r.PID {
			child, err := Describe(u.HostPID)
			if err == nil {
				err = child.Stop(context.Background(), time.Second)
			}
			if err != nil && !os.IsNotExist(err) {
				t.Logf("ending the shell's child: %v", err)
			}
		}
	}
	cmd.Wait() //nolint:errcheck // it was killed
}

func TestDescends(t *testing.T) {
	parents := map[int]int{1: 0, 2: 0, 10: 1, 11: 10, 12: 11, 20: 1, 30: 31, 31: 30}
	for pid, want := range map[int]bool{10: true, 11: true, 12: true, 20: false, 2: false, 30: false, 99: false} {
		if got := descends(parents, pid, 10); got != want {
			t.Errorf("%d below 10: %v", pid, got)
		}
	}
	if parent, inner := parseStatus("Name:\tx\nPPid:\t7\nNSpid:\t40\t5\t1\n"); parent != 7 || inner != 5 {
		t.Errorf("parent %d, inner %d", parent, inner)
	}
}

func TestCgroupMounts(t *testing.T) {
	v1, v2 := cgroupMounts("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n" +
		"cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\nbad\n")
	if strings.Join(v1, " ") != "/sys/fs/cgroup/cpu /sys/fs/cgroup/memory" || v2 != "/sys/fs/cgroup/unified" {
		t.Errorf("got %q and %q", v1, v2)
	}
}

func TestWhatANodeIsStartedWith(t *testing.T) {
	l, err := NewLayout(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := network.New(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.WriteConfig(p, "/usr/lib/cni", "native"); err != nil {
		t.Fatal(err)
	}
	if err := l.WritePKI(p); err != nil {
		t.Fatal(err)
	}
	// Every file that a daemon is given exists.
	for _, d := range l.daemons(p) {
		for _, arg := range d.args[1:] {
			_, value, _ := strings.Cut(arg, "=")
			if strings.HasPrefix(value, l.Config()) || strings.HasPrefix(value, l.PKI()) {
				if _, err := os.Stat(value); err != nil {
					t.Errorf("%s %s: %v", d.name, arg, err)
				}
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(l.Config(), "containerd.toml"))
	if err != nil || !strings.Contains(string(text), `snapshotter = "native"`) {
		t.Errorf("containerd.toml: %v\n%s", err, text)
	}
	if strings.Contains(string(text), "%!") {
		t.Errorf("containerd.toml is not filled in:\n%s", text)
	}
	info, err := os.Stat(l.Kubeconfig())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v", info, err)
	}
}

func TestLayoutRefusesWhatASocketCannotHave(t *testing.T) {
	if _, err := NewLayout("/" + strings.Repeat("x", 100)); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("got %v", err)
	}
}
