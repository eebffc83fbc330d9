// Package progress shows people what a program is doing: on a terminal one line that changes, elsewhere a line where the subject changes
// and then one every 15 seconds, so that the log of a long build stays readable and shows that it lives.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const every = 15 * time.Second

// Printer prints progress. It may be used by several goroutines.
type Printer struct {
	out      io.Writer
	terminal bool

	mu      sync.Mutex // guards what follows
	subject string
	begun   time.Time
	last    time.Time
	open    bool // the line on the terminal is not ended
}

// New prints to f.
func New(f *os.File) *Printer {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return &Printer{out: f, terminal: err == nil}
}

// Say replaces what was said about the subject.
func (p *Printer) Say(subject, state string) { p.say(time.Now(), subject, state) }

func (p *Printer) say(now time.Time, subject, state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if subject != p.subject {
		p.end(now)
		p.subject, p.begun, p.last = subject, now, time.Time{}
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%s: %s", subject, state)
		p.open = true
	} else if now.Sub(p.last) >= every {
		fmt.Fprintf(p.out, "%s: %s\n", subject, state)
	} else {
		return
	}
	p.last = now
}

// Done ends the last line.
func (p *Printer) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(time.Now())
	p.subject = ""
}

// end says how long the subject took, when that is worth a word.
func (p *Printer) end(now time.Time) {
	took := now.Sub(p.begun)
	if p.open {
		fmt.Fprintf(p.out, "\r\x1b[K")
		p.open = false
	}
	if p.subject != "" && took >= time.Second {
		fmt.Fprintf(p.out, "%s: done in %s\n", p.subject, took.Round(100*time.Millisecond))
	}
}
