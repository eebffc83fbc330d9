package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// keptLines is how much of the log an ExitError tells.
const keptLines = 20

// child is one running process.
type child struct {
	pid     int
	process *os.Process
	exited  chan struct{} // closed when it has ended and its log is read

	mu    sync.Mutex
	lines []string // the last ones
	state string   // set before exited is closed
}

// start starts the binary so that it dies with this program. Its output goes to o.Log, line by line.
func start(path string, args []string, o Options) (*child, error) {
	c := &child{exited: make(chan struct{})}
	cmd := exec.Command(path, args...)
	// A group of its own: Ctrl-C in a terminal reaches us alone, and we stop it in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for Envoy's log: %w", err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	if o.Stdout != nil {
		cmd.Stdout = o.Stdout
	}
	began := make(chan error)
	go c.life(cmd, o.Reaper, began, func() { c.read(out, o.Log) })
	err = <-began
	in.Close()
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return c, nil
}

// life starts the process and waits for its end, on one system thread: where a child dies with its parent, the parent
// is the thread that started it, and the runtime ends threads as it likes.
func (c *child) life(cmd *exec.Cmd, reaper *Reaper, began chan<- error, read func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := reaper.start(cmd); err != nil {
		began <- err
		return
	}
	c.pid, c.process = cmd.Process.Pid, cmd.Process
	guarded := guard(c.pid)
	logged := make(chan struct{})
	go func() { defer close(logged); read() }()
	began <- nil
	err := cmd.Wait()
	reaper.waited(c.pid)
	guarded()
	<-logged
	c.state = cmd.ProcessState.String()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.state = err.Error()
	}
	close(c.exited)
}

// read passes the log on and keeps its last lines. It returns when the process has closed its output.
func (c *child) read(out io.ReadCloser, log io.Writer) {
	defer out.Close()
	r := bufio.NewReaderSize(out, 64<<10)
	for {
		line, err := r.ReadString('\n')
		if line != "" {
			c.keep(line)
			if log != nil {
				if _, err := io.WriteString(log, line); err != nil {
					log = nil // the reader is gone; Envoy must not block on it
				}
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *child) keep(line string) {
	const longest = 1000 // bytes of a line worth keeping
	for len(line) > 0 && line[len(line)-1] == '\n' {
		line = line[:len(line)-1]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, line[:min(len(line), longest)])
	if len(c.lines) > keptLines {
		c.lines = append(c.lines[:0], c.lines[1:]...)
	}
}

// exit is how the process ended. It has.
func (c *child) exit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &ExitError{State: c.state, Lines: c.lines}
}

// stop ends the process: in order, or after a while without order. It returns when the process is gone.
func (c *child) stop(timeout time.Duration) {
	signalled(c.process, syscall.SIGTERM)
	select {
	case <-c.exited:
		return
	case <-time.After(timeout):
	}
	signalled(c.process, syscall.SIGKILL)
	<-c.exited
}
