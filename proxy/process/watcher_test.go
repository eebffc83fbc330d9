package process

import (
	"os/exec"
	"syscall"
	"testing"
)

// What ends children where the kernel does not.
func TestWatcher(t *testing.T) {
	cmd := exec.Command("cat", "/dev/zero")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watch(cmd.Process.Pid)()
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the released watcher killed the process: %v", err)
	}
	hold, wait := watcher(cmd.Process.Pid)
	hold.Close() // as the end of this program does
	wait()
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("after the end of its parent the process ended with %v, want signal: killed", err)
	}
}
