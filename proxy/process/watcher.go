//go:build unix

package process

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// watch lets a shell kill the process when this program ends. release tells it that the process has ended by itself, and
// waits for it. Without a shell nothing is watched: the process then outlives a kill -9 of this program, and only that.
func watch(pid int) (release func()) {
	w, wait := watcher(pid)
	if w == nil {
		return func() {}
	}
	return func() {
		// Should the line not arrive, the watcher kills a process that has ended: harmless.
		_, _ = w.WriteString("ended\n")
		w.Close()
		wait()
	}
}

// watcher starts the shell and returns the end of its pipe that this program holds: a line on it says that all is well,
// its end without one that the process must die. It returns nil if that cannot be had.
func watcher(pid int) (hold *os.File, wait func()) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", `read -r word || kill -9 "$1"`, "headgate-watcher", strconv.Itoa(pid))
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C does not end it before us
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, nil
	}
	return w, func() { _ = cmd.Wait() }
}
