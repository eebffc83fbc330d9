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

	// A child that leaves a grandchild behind, which ends when its standard input does.
	r := run(t, process.Options{Reaper: reaper, Path: script(t, "exit 7\n")})
	var exit *process.ExitError
	if err := receive(t, "the end of the first process", r.exited); !errors.As(err, &exit) || exit.State != "exit status 7" {
		t.Errorf("ended with %v, want exit status 7", err)
	}
	r.stop()

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
