package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	defaultMinBackOff  = 50 * time.Millisecond
	defaultMaxBackOff  = 5 * time.Second
	defaultStopTimeout = 5 * time.Second
	defaultLogLevel    = "warning"
)

// Run runs Envoy until the context ends, then stops it and returns nil. A process that dies is started again with the
// same bootstrap; one that dies before any has served ends Run with an *ExitError: its configuration or its machine is
// wrong, and the next would die likewise. No process is left when Run returns.
func Run(ctx context.Context, o Options) (err error) {
	o = o.withDefaults()
	path, err := exec.LookPath(o.Path)
	if err != nil {
		return &BinaryError{Path: o.Path, Err: errors.Unwrap(err)}
	}
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "headgate-envoy-"); err != nil {
			return fmt.Errorf("making a directory for Envoy's files: %w", err)
		}
		defer func() {
			if e := os.RemoveAll(dir); e != nil {
				err = errors.Join(err, fmt.Errorf("removing Envoy's files: %w", e))
			}
		}()
	}
	bootstrap := filepath.Join(dir, "bootstrap.yaml")
	if err := os.WriteFile(bootstrap, o.Bootstrap, 0o600); err != nil {
		return fmt.Errorf("writing Envoy's bootstrap: %w", err)
	}
	s := supervisor{Options: o, path: path, args: o.arguments(bootstrap)}
	return s.run(ctx)
}

func (o Options) withDefaults() Options {
	o.MinBackOff = or(o.MinBackOff, defaultMinBackOff)
	o.MaxBackOff = max(or(o.MaxBackOff, defaultMaxBackOff), o.MinBackOff)
	o.StopTimeout = or(o.StopTimeout, defaultStopTimeout)
	o.LogLevel = or(o.LogLevel, defaultLogLevel)
	if o.Serving == nil {
		o.Serving = func(context.Context) error { return nil }
	}
	if o.Started == nil {
		o.Started = func(int) {}
	}
	if o.Ready == nil {
		o.Ready = func(int) {}
	}
	if o.Exited == nil {
		o.Exited = func(error, time.Duration) {}
	}
	return o
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// arguments of Envoy. Hot restart is off: its shared memory and sockets would tie processes of one machine together.
// Configuration that is refused is logged by Envoy once per subscription, which are thousands; the server of the
// configuration hears it too, so that the log can do without.
func (o Options) arguments(bootstrap string) []string {
	args := []string{
		"--config-path", bootstrap, "--disable-hot-restart", "--log-level", o.LogLevel,
		"--log-format", "[%l] [%n] %v", // who logs, without the time, which the reader of Log has
	}
	if o.LogLevel == defaultLogLevel {
		args = append(args, "--component-log-level", "config:error")
	}
	if o.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(o.Concurrency))
	}
	return append(args, o.Args...)
}

// supervisor keeps one Envoy running.
type supervisor struct {
	Options
	path string
	args []string
}

func (s *supervisor) run(ctx context.Context) error {
	pause := s.MinBackOff
	served := false
	for {
		started := time.Now()
		ready, err := s.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		served = served || ready
		var exit *ExitError
		if !served || !errors.As(err, &exit) {
			return err
		}
		if time.Since(started) >= s.MaxBackOff {
			pause = s.MinBackOff
		}
		s.Exited(err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, s.MaxBackOff)
	}
}

// once runs one process until it ends, or the context, or Serving gives up. It tells whether the process ever served.
func (s *supervisor) once(ctx context.Context) (ready bool, err error) {
	c, err := start(s.path, s.args, s.Options)
	if err != nil {
		return false, err
	}
	s.Started(c.pid)
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	verdict := make(chan error, 1)
	go func() { verdict <- s.Serving(serving) }()
	for {
		// The cases: the process ended, it serves or never will, it is to end.
		select {
		case <-c.exited:
			return ready, c.exit()
		case err := <-verdict:
			verdict = nil
			if err != nil && serving.Err() == nil {
				c.stop(s.StopTimeout)
				return ready, fmt.Errorf("waiting for Envoy to serve: %w", err)
			}
			if err == nil {
				ready = true
				s.Ready(c.pid)
			}
		case <-ctx.Done():
			c.stop(s.StopTimeout)
			return ready, nil
		}
	}
}

// ExitError says how Envoy ended, with the last lines of its log.
type ExitError struct {
	// State is the exit status or signal, as the system tells it.
	State string
	// Lines are the last lines Envoy logged, oldest first.
	Lines []string
}

// Error tells the critical line of the log, or else the last ones.
func (e *ExitError) Error() string {
	for _, l := range e.Lines {
		if _, cause, ok := strings.Cut(l, "[critical] [main] "); ok {
			return fmt.Sprintf("Envoy ended (%s): %s", e.State, cause)
		}
	}
	if len(e.Lines) == 0 {
		return fmt.Sprintf("Envoy ended (%s) and said nothing", e.State)
	}
	return fmt.Sprintf("Envoy ended (%s): %s", e.State, strings.Join(e.Lines[max(0, len(e.Lines)-3):], " | "))
}

// signalled asks a process to end; one that is gone already is fine.
func signalled(p *os.Process, sig syscall.Signal) {
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		// Not our child any more: nothing of ours is left to stop.
		return
	}
}
