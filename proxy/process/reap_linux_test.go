package process_test

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"headgate.dev/proxy/process"
)

// Orphans are collected, and Run still learns how its own process ended.
func TestReaper(t *testing.T) {
	// From here on the orphans of this program are its children, as those of PID 1 are.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); err != nil {
			t.Error(err)
		}
	}()
	reaper := &process.Reaper{}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { reaper.Run(ctx) })
	defer wait.Wait()
	defer cancel()

	r := run(t, process.Options{Reaper: reaper, Path: script(t, "exec cat /dev/zero >/dev/null\n")})
	if err := syscall.Kill(receive(t, "the process runs", r.ready), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *process.ExitError
	if err := receive(t, "the end of the process", r.exited); !errors.As(err, &exit) || exit.State != "signal: terminated" {
		t.Errorf("ended with %v, want signal: terminated", err)
	}
	r.stop()

	// A child that leaves a grandchild behind.
	out, err := exec.Command("/bin/sh", "-c", `sh -c 'exec true' & echo $!`).Output()
	if e := (*exec.ExitError)(nil); err != nil && !errors.As(err, &e) && !errors.Is(err, syscall.ECHILD) {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the orphan is collected", func() bool { return errors.Is(syscall.Kill(orphan, 0), syscall.ESRCH) })
}
