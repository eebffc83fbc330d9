package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"headgate.dev/agent"
	"headgate.dev/agent/git"
	"headgate.dev/cmd/internal/branches"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/proxy/process"
	"headgate.dev/render"
)

type upFlags struct {
	path, ref, listen, envoy, output, cache string
	ports, endpoints                        []string
	worktree, once, allowEmpty, envoyLog    bool
	interval                                time.Duration
	branches                                int
	branchesSet                             bool
	source                                  string
}

func upCommand(s streams) *cobra.Command {
	f := upFlags{path: ".", listen: "127.0.0.1", output: "text", interval: 10 * time.Second, branches: 50}
	c := &cobra.Command{
		Use:   "up [SOURCE]",
		Short: "Serve a directory of a Git repository on this machine",
		Long: `Serve what is at Git HEAD through a local Envoy, and follow every commit. No cluster is needed.

SOURCE is a directory inside a Git repository (default: the current one), which is read in place, or the
URL of a repository (https://, ssh://, git@host:path), which is polled. A commit that cannot be rendered
changes nothing: the last good one keeps serving and every error is named with file, line and field.

Services that nothing runs for are answered by a built-in echo backend, which tells what arrived, over
HTTP, gRPC, WebSocket, TLS, TCP and UDP alike; --endpoint sends a Service's requests to something real.

Listener ports below 1024 are served at 8000 more (80 at 8080, 443 at 8443), all others as they are; --port
changes that. Each service is also at http://SERVICE.localhost:8080 (at SERVICE.NAMESPACE.localhost where two
namespaces have one of that name; not in trees of more than 500 routes). HTTPS listeners whose certificate
is not in the tree get one from a local certificate authority, which is kept in your cache directory.

What a branch of a local repository changes is served too, at http://SERVICE-BRANCH.localhost:8080: its routes beside
those of what is followed, which answer everything else. Branches come and go with Git.`,
		Example: `  headgate up
  headgate up examples/01-hello --worktree
  headgate up https://git.example.com/team/shop --ref v1.4.0 --path deploy
  headgate up --endpoint shop:8080=localhost:3000 --port 80=9000`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source := "."
			if len(args) > 0 {
				source = args[0]
			}
			f.branchesSet = cmd.Flags().Changed("branches")
			return f.run(cmd.Context(), s, source)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.path, "path", f.path, "directory below SOURCE to serve")
	flags.StringVar(&f.ref, "ref", "", "what to follow: a branch, a tag, a commit, refs/..., or semver:RANGE (default: HEAD)")
	flags.BoolVar(&f.worktree, "worktree", false, "serve the saved files instead of commits")
	flags.StringVar(&f.listen, "listen", f.listen, "address to serve at")
	flags.StringArrayVar(&f.ports, "port", nil, "PORT=LOCAL: serve a listener's port at a local port (may be repeated)")
	flags.StringArrayVar(&f.endpoints, "endpoint", nil, "[NS/]SERVICE[:PORT]=HOST:PORT: a real backend (may be repeated)")
	flags.StringVar(&f.envoy, "envoy", "", "the Envoy to run (default: $HEADGATE_ENVOY, else envoy on PATH)")
	flags.BoolVar(&f.envoyLog, "envoy-log", false, "show what Envoy logs")
	flags.StringVarP(&f.output, "output", "o", f.output, "text, or json: one object per line")
	flags.BoolVar(&f.once, "once", false, "serve, wait until it is live, print it, and exit")
	flags.IntVar(&f.branches, "branches", f.branches, "how many branches of a local repository are served beside it, the newest")
	flags.BoolVar(&f.allowEmpty, "allow-empty", false, "let a commit without any object take everything away")
	flags.DurationVar(&f.interval, "interval", f.interval, "how often a remote repository is asked")
	flags.StringVar(&f.cache, "cache", "", "directory for copies of remote repositories (default: the user's cache)")
	mustComplete(c, "output", "text", "json")
	return c
}

// run follows the source until the context ends, or once.
func (f *upFlags) run(ctx context.Context, s streams, source string) error {
	options, err := f.stackOptions(s)
	if err != nil {
		return err
	}
	f.source = source
	if err := f.checkBranches(); err != nil {
		return err
	}
	if s.getenv("GOGC") == "" {
		// A small change on a large tree makes little garbage: collecting it sooner costs nothing that shows, and keeps a
		// sixth less memory with 5,000 services.
		debug.SetGCPercent(50)
	}
	repo, err := f.open(source)
	if err != nil {
		return err
	}
	defer repo.Close()
	if _, err := process.Check(ctx, options.Envoy); err != nil {
		return fmt.Errorf("%w; `make envoy` gets one, --envoy names another", err)
	}
	report := f.reporter(s, repo)
	options.Ready, options.Restarted = report.ready, report.restarted
	stack, err := local.New(options)
	if err != nil {
		return err
	}
	report.serves(stack)
	err = f.serve(ctx, stack, repo, report)
	return errors.Join(err, stack.Close())
}

// serve runs Envoy and the loop beside each other until one of them ends.
func (f *upFlags) serve(ctx context.Context, stack *local.Stack, repo source, report reporter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	envoy := make(chan error, 1)
	go func() {
		envoy <- stack.Run(ctx)
		cancel() // without Envoy there is nothing to follow commits for
	}()
	var last agent.Outcome
	var machine bool // what is wrong is wrong with this machine
	var beside *branches.Watch
	loop := &agent.Loop{
		Source: repo, Target: stack, Liveness: stack,
		Dir:        filepath.ToSlash(filepath.Join(repo.Dir(), f.path)),
		Options:    render.Options{Gateway: local.DefaultGateway, Namespace: local.DefaultNamespace},
		AllowEmpty: f.allowEmpty,
		Report: func(o agent.Outcome) {
			last = o
			report.outcome(o)
			beside.Serves(o)
			if machine = o.Kept == nil && ofMachine(o.Err); machine {
				cancel() // at the start, somebody is there to choose another port
			}
			if o.Kept == nil {
				// The first render of a large tree leaves behind several times what is kept, and what comes is small.
				debug.FreeOSMemory()
			}
		},
	}
	beside = f.watchBranches(repo, stack, report, loop)
	done := make(chan struct{})
	go func() {
		defer close(done)
		beside.Run(ctx)
	}()
	err := f.follow(ctx, loop, repo)
	cancel()
	<-done
	if envoyErr := <-envoy; envoyErr != nil {
		return envoyErr
	}
	switch {
	case err != nil:
		return err
	case machine || f.once && last.Err != nil:
		return fmt.Errorf("%w: %w", errSaid, last.Err)
	case f.once && len(last.Live.Refused) > 0:
		return fmt.Errorf("%w: %w", errSaid, last.Live.Refused)
	default:
		return nil
	}
}

// ofMachine tells whether an error has its cause on this machine, so that no commit mends it.
func ofMachine(err error) bool {
	var port *local.PortError
	var ca *local.CAError
	return errors.As(err, &port) || errors.As(err, &ca)
}

func (f *upFlags) follow(ctx context.Context, loop *agent.Loop, repo source) error {
	if f.once {
		loop.Once(ctx)
		return nil
	}
	hints, err := repo.Watch(ctx) // before the first look, so that no commit falls in between
	if err != nil {
		return err
	}
	loop.Hints = hints
	loop.Run(ctx)
	return nil
}

// open opens the source: a work tree, a local repository or a remote.
func (f *upFlags) open(where string) (source, error) {
	if !filepath.IsLocal(f.path) {
		return nil, usageError{fmt.Errorf("--path %q: expected a directory below the source", f.path)}
	}
	ref, err := git.ParseRef(f.ref)
	if err != nil {
		return nil, usageError{err}
	}
	switch {
	case f.worktree && f.ref != "":
		return nil, usageError{errors.New("--worktree serves the saved files: it goes with no --ref")}
	case f.worktree && git.IsRemote(where):
		return nil, usageError{fmt.Errorf("--worktree needs a local directory, and %s is a remote", where)}
	case f.worktree:
		return openLocal(where, "")
	case git.IsRemote(where):
		return f.openRemote(git.Source{URL: where, Ref: ref, Auth: sshAuth(), Limits: limits})
	default:
		return git.Open(git.Source{URL: where, Ref: ref, Limits: limits}, git.Options{})
	}
}

func (f *upFlags) openRemote(src git.Source) (source, error) {
	cache := f.cache
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("finding the user's cache (--cache names another): %w", err)
		}
		cache = filepath.Join(user, "headgate", "git")
	}
	return git.Open(src, git.Options{Cache: cache, Interval: f.interval, Jitter: rand.Float64})
}

// sshAuth is what a person's own ssh would use: the agent, and the known hosts.
func sshAuth() git.Auth {
	auth := git.Auth{SSHAgent: os.Getenv("SSH_AUTH_SOCK")}
	if home, err := os.UserHomeDir(); err == nil {
		// Without the file no host is known, which the connection will say.
		auth.KnownHosts, _ = os.ReadFile(filepath.Join(home, ".ssh", "known_hosts"))
	}
	return auth
}

func (f *upFlags) stackOptions(s streams) (local.Options, error) {
	o := local.Options{Envoy: f.envoy}
	if err := oneOf("output", f.output, "text", "json"); err != nil {
		return o, err
	}
	var err error
	if o.Listen, err = netip.ParseAddr(f.listen); err != nil {
		return o, usageError{fmt.Errorf("--listen %q: expected an IP address", f.listen)}
	}
	if o.Ports, err = local.ParsePorts(f.ports); err != nil {
		return o, usageError{err}
	}
	if o.Endpoints, err = local.ParseEndpoints(f.endpoints); err != nil {
		return o, usageError{err}
	}
	if o.Envoy == "" {
		o.Envoy = s.getenv("HEADGATE_ENVOY")
	}
	if o.Envoy == "" {
		o.Envoy = "envoy"
	}
	if f.envoyLog {
		o.Log = s.err
	}
	return o, nil
}
