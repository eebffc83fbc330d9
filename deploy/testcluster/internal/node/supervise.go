package node

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"headgate.dev/deploy/testcluster/internal/balancer"
	"headgate.dev/deploy/testcluster/internal/kube"
)

// Commands of the tool that run inside the node.
const (
	InitCommand      = "node-init"
	SuperviseCommand = "node-supervise"
)

// A daemon that ends is started again after shortest, then after twice that, up to longest; one that ran for steady begins anew.
const (
	shortest = 250 * time.Millisecond
	longest  = 4 * time.Second
	steady   = 30 * time.Second
)

// supervisor runs the daemons. All fields but the board are constant.
type supervisor struct {
	layout Layout
	path   string
	api    *kube.Client
	board  board
}

// board is what is known about the daemons, in their order behind the supervisor itself; mu guards it.
type board struct {
	mu      sync.Mutex
	file    string
	daemons []Daemon
}

func (b *board) change(i int, f func(*Daemon)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.daemons[i])
	if err := writeJSON(b.file, b.daemons); err != nil {
		log.Printf("node: writing %s: %v", b.file, err)
	}
}

// Supervise runs the daemons until it is asked to end.
func Supervise(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	l, err := NewLayout(dir)
	if err != nil {
		return err
	}
	spec, plan, err := l.Spec()
	if err != nil {
		return err
	}
	api, err := kube.New("https://127.0.0.1:6443", l.PKI())
	if err != nil {
		return err
	}
	list := l.daemons(plan)
	s := &supervisor{layout: l, path: path(spec.Bin), api: api, board: board{file: l.daemonFile()}}
	// os/exec looks programs up in the supervisor's own path.
	if err := os.Setenv("PATH", s.path); err != nil {
		return err
	}
	s.board.daemons = []Daemon{{Name: "supervisor", PID: os.Getpid(), Since: time.Now().Unix()}}
	for _, d := range list {
		s.board.daemons = append(s.board.daemons, Daemon{Name: d.name})
	}
	var all sync.WaitGroup
	for i, d := range list {
		all.Go(func() { s.keep(ctx, i+1, d) })
	}
	all.Go(func() {
		if s.await(ctx, []string{"kube-apiserver"}, func(string) {}) {
			balancer.Run(ctx, api, plan)
		}
	})
	all.Wait()
	return nil
}

// keep runs one daemon again and again.
func (s *supervisor) keep(ctx context.Context, i int, d daemon) {
	pause := shortest
	for ctx.Err() == nil {
		if !s.await(ctx, d.after, func(name string) { s.board.change(i, func(b *Daemon) { b.Waiting = name }) }) {
			return
		}
		start := time.Now()
		err := s.run(ctx, i, d)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > steady {
			pause = shortest
		}
		log.Printf("node: %s ended: %v; again in %s", d.name, err, pause)
		s.board.change(i, func(b *Daemon) { b.PID, b.Restarts, b.LastExit = 0, b.Restarts+1, fmt.Sprint(err) })
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

func (s *supervisor) run(ctx context.Context, i int, d daemon) error {
	out, err := os.OpenFile(s.layout.LogFile(d.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, d.args[0], d.args[1:]...)
	cmd.Env = []string{"PATH=" + s.path, "HOME=" + s.layout.Data()}
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, s.layout.Data()
	if err := cmd.Start(); err != nil {
		return err
	}
	s.board.change(i, func(b *Daemon) { b.PID, b.Since, b.Waiting = cmd.Process.Pid, time.Now().Unix(), "" })
	if err := cmd.Wait(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

// await returns true when all of names are ready, and false when ctx ended. It tells whom it waits for.
func (s *supervisor) await(ctx context.Context, names []string, waiting func(string)) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, name := range names {
		told := false
		for s.ready(ctx, name) != nil {
			if !told {
				waiting(name)
				told = true
			}
			select {
			case <-ctx.Done():
				return false
			case <-tick.C:
			}
		}
	}
	return ctx.Err() == nil
}

func (s *supervisor) ready(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	switch name {
	case "containerd":
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", s.layout.Socket())
		if err != nil {
			return err
		}
		return c.Close()
	case "etcd":
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, etcdURL+"/health", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(strings.TrimSpace(response.Status))
		}
		return nil
	default:
		return s.api.Ready(ctx)
	}
}
