package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Event is one line of `headgate up --output json`.
type Event struct {
	Event    string `json:"event"`
	Revision string `json:"revision"`
	Serving  string `json:"serving"`
	Objects  int    `json:"objects"`
	Changed  int    `json:"changed"`
	Envoys   struct {
		Acked, Total int
	} `json:"envoys"`
	MS struct {
		Fetch, Render, Apply, Ack, Total float64
	} `json:"ms"`
	Errors   []Problem `json:"errors"`
	Warnings []Problem `json:"warnings"`
	Refused  []Problem `json:"refused"`
	// Listeners are ports of Gateways that got their place just now.
	Listeners []struct {
		Gateway string
		Port    int
		Address string
	} `json:"listeners"`
	// Hidden are rules that no request reaches.
	Hidden []struct{ From, ByFrom string } `json:"hidden"`
	// Branch is one beside what is served, URLs where what it changes is.
	Branch       string    `json:"branch"`
	URLs         []string  `json:"urls"`
	NotPreviewed []Problem `json:"notPreviewed"`
	Gone         bool      `json:"gone"`
	// At is when the line was read.
	At time.Time `json:"-"`
}

// Problem is one error of an event.
type Problem struct {
	File         string
	Line, Column int
	Field        string
	Message      string
}

// Up is a running `headgate up`.
type Up struct {
	cmd    *exec.Cmd
	events chan Event
	stderr *tail
	done   chan error
}

// Start runs a command, which must be headgate, with `up --output json` and args.
func Start(command []string, env []string, args ...string) (*Up, error) {
	all := append(append([]string{}, command[1:]...), append([]string{"up", "--output", "json"}, args...)...)
	u := &Up{cmd: exec.Command(command[0], all...), events: make(chan Event, 1024), stderr: &tail{}, done: make(chan error, 1)}
	u.cmd.Env = append(os.Environ(), env...)
	u.cmd.Stderr = u.stderr
	out, err := u.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := u.cmd.Start(); err != nil {
		return nil, err
	}
	go u.read(out)
	return u, nil
}

func (u *Up) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		e := Event{At: time.Now()}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = Event{Event: "broken: " + lines.Text()}
		}
		u.events <- e
	}
	close(u.events)
	u.done <- u.cmd.Wait()
}

// PID is the process id of headgate.
func (u *Up) PID() int { return u.cmd.Process.Pid }

// Next waits for the next event of one of the kinds, passing over others. Without a kind: any.
func (u *Up) Next(ctx context.Context, kinds ...string) (Event, error) {
	for {
		select {
		case e, open := <-u.events:
			if !open {
				return e, fmt.Errorf("headgate ended: %s", u.stderr)
			}
			for _, k := range kinds {
				if e.Event == k {
					return e, nil
				}
			}
			if len(kinds) == 0 {
				return e, nil
			}
		case <-ctx.Done():
			return Event{}, fmt.Errorf("waiting for %v: %w: %s", kinds, ctx.Err(), u.stderr)
		}
	}
}

// Live waits until a commit is live.
func (u *Up) Live(ctx context.Context, commit string) (Event, error) {
	for {
		e, err := u.Next(ctx, "live", "error")
		if err != nil {
			return e, err
		}
		if strings.HasSuffix(e.Revision, commit) {
			if e.Event == "error" {
				return e, fmt.Errorf("commit %s is refused: %+v", commit, e.Errors)
			}
			return e, nil
		}
	}
}

// Stop interrupts headgate as Ctrl-C does and waits for its end.
func (u *Up) Stop() error { return u.end(os.Interrupt) }

// Kill kills headgate as kill -9 does.
func (u *Up) Kill() error { return u.end(syscall.SIGKILL) }

func (u *Up) end(signal os.Signal) error {
	if err := u.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return u.Wait()
}

// Wait waits for headgate's own end and returns its exit as an error.
func (u *Up) Wait() error {
	for range u.events {
	}
	err := <-u.done
	u.done <- err
	return err
}

// tail keeps the last of what is written.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 64<<10 {
		t.b = t.b[len(t.b)-32<<10:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// FreePort finds a port of loopback that nobody listens at.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
