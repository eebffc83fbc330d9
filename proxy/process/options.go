package process

import (
	"context"
	"io"
	"os"
	"time"
)

// Options of Run. Path and Bootstrap are required.
type Options struct {
	// Path is the Envoy binary; a bare name is looked up on PATH.
	Path string
	// Bootstrap is Envoy's bootstrap configuration as YAML or JSON.
	Bootstrap []byte
	// Dir is a private directory for Envoy's files. Empty: one is made in the directory for temporary files, and removed.
	Dir string
	// Concurrency is the number of worker threads. 0: as many as there are cores.
	Concurrency int
	// Args are passed after our own arguments.
	Args []string
	// Log gets Envoy's log, line by line; nil: nobody.
	Log io.Writer
	// Stdout gets what Envoy writes to its standard output (access logs) and nothing of its log, without a detour through
	// this program. Nil: Log gets that too.
	Stdout *os.File
	// LogLevel is one of Envoy's: trace, debug, info, warning, error, critical, off. Empty: warning.
	LogLevel string

	// Serving returns nil once Envoy serves, or an error that ends Run. It is called after each start, with a context that
	// ends when that process does. Nil: a process serves when it has started.
	Serving func(context.Context) error
	// Started is told the process ID of each start, Ready that Serving returned, Exited why a process ended unasked and
	// after how long the next one starts. Each may be nil. They are called one at a time and should return soon.
	Started func(pid int)
	Ready   func(pid int)
	Exited  func(err error, restartIn time.Duration)

	// Reaper is whoever collects the orphans of this program, if it is the first of its container; nil: nobody.
	Reaper *Reaper

	// MinBackOff and MaxBackOff bound the pause before a restart, which doubles with each process that lived for less than
	// MaxBackOff. 0: 50 ms and 5 s.
	MinBackOff, MaxBackOff time.Duration
	// StopTimeout is how long Envoy may take to end after SIGTERM before it is killed. 0: 5 s.
	StopTimeout time.Duration
}
