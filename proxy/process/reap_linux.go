package process

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Reaper collects the processes that nobody waits for: those whose parents have ended become children of PID 1. Whom
// Run starts it leaves to Run.
type Reaper struct {
	mu   sync.Mutex // held while a process is started, so that none is taken for an orphan before it is known
	ours map[int]bool
}

// Run collects until the context ends. It needs /proc; without it, it collects nothing.
func (r *Reaper) Run(ctx context.Context) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		r.reap()
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}

// start starts a process that is ours. A nil Reaper only starts it.
func (r *Reaper) start(cmd *exec.Cmd) error {
	if r == nil {
		return cmd.Start()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	if r.ours == nil {
		r.ours = map[int]bool{}
	}
	r.ours[cmd.Process.Pid] = true
	return nil
}

// waited says that a process of ours has ended and was waited for.
func (r *Reaper) waited(pid int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ours, pid)
}

func (r *Reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pid := range zombies() {
		if !r.ours[pid] {
			// Should somebody else have waited for it, nothing is left to do.
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// zombies are the children of this process that have ended. In a container there are few processes to look at.
func zombies() []int {
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	var pids []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it is gone
		}
		// "PID (NAME) STATE PPID ...", where the name may have anything in it.
		rest := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		const fields = 2
		if len(rest) < fields || rest[0] != "Z" || rest[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
