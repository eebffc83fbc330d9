// Command headgate serves what is at Git HEAD: service specs and Gateway API manifests, through Envoy.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"headgate.dev/agent"
	"headgate.dev/agent/git"
	"headgate.dev/cmd/internal/cluster"
	"headgate.dev/cmd/internal/help"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// The exit codes, also in `headgate help`.
const (
	exitFine        = 0
	exitInput       = 1 // the input is wrong
	exitUsage       = 2 // the command line is wrong
	exitEnvironment = 3 // something this machine or the network lacks
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, streams{out: os.Stdout, err: os.Stderr, getenv: os.Getenv, name: programName(os.Args[0])}, os.Args[1:])
	stop()
	os.Exit(code)
}

// streams is where a command writes to.
type streams struct {
	out, err io.Writer
	getenv   func(string) string
	name     string // what the user calls the program; empty: headgate
}

func (s streams) style() term.Style { return term.StyleOf(s.out, s.getenv) }

// run is the program with everything it touches as arguments; it returns the exit code.
func run(ctx context.Context, s streams, args []string) int {
	root := rootCommand(s)
	root.SetArgs(args)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	code := codeOf(err)
	if !errors.Is(err, errSaid) && !errors.Is(err, cluster.ErrNotLive) && !errors.Is(err, cluster.ErrDiffers) &&
		!errors.Is(err, cluster.ErrNotDelivered) {
		style := term.StyleOf(s.err, s.getenv)
		text := schema.Printable(err.Error())
		if style.Interactive { // a program that reads it has a line for each error
			fmt.Fprint(s.err, term.Lines(0, style.Bad, "headgate:", text))
		} else {
			fmt.Fprintln(s.err, "headgate: "+text)
		}
		if code == exitUsage {
			fmt.Fprintf(s.err, "See '%s help' and '%[1]s COMMAND --help'.\n", root.DisplayName())
		}
	}
	return code
}

// errSaid marks an error whose text the user has read already.
var errSaid = errors.New("already reported")

type usageError struct{ error }

func codeOf(err error) int {
	var (
		usage    usageError
		input    schema.Errors
		notFound *git.NotFoundError
		link     *git.LinkError
		tooBig   *git.TooBigError
		wrong    *cluster.UsageError
		nothing  *cluster.NotFoundError
	)
	switch {
	case errors.As(err, &usage), errors.As(err, &wrong):
		return exitUsage
	case errors.As(err, &nothing), errors.Is(err, cluster.ErrNotLive), errors.Is(err, cluster.ErrDiffers), errors.Is(err, cluster.ErrNotDelivered):
		return exitInput
	case errors.As(err, &input), errors.As(err, &notFound), errors.As(err, &link), errors.As(err, &tooBig), errors.Is(err, agent.ErrEmpty):
		return exitInput
	default:
		return exitEnvironment
	}
}

func rootCommand(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "headgate",
		Short: "What is at Git HEAD is what flows",
		Long: `Headgate turns a Git repository of concise service specs into live traffic: it renders them
(through kustomize, where there is one) into Gateway API objects and serves these with Envoy.

  headgate up            serve a directory of a Git repository here; commit to change it
  headgate validate      say what is wrong with a directory, with file, line and field
  headgate render        print the Gateway API objects a directory stands for
  headgate explain       say which route and backend take a request, and why
  headgate diff          say what a change does to traffic and objects
  headgate drift         show what others changed of what Git says, and answer it
  headgate notify test   find out whether those who are to be told can be
  headgate install       print what is to be applied to have headgate in a cluster
  headgate controller    run the controller of a cluster's Gateways, in its pod
  headgate proxy         run one Envoy of a Gateway, in its pod

  headgate create sync   have a cluster follow a repository
  headgate status        say which commit is live where in a cluster, and what is wrong

A service spec can be as short as this:

  apiVersion: headgate.dev/v1alpha1
  kind: ServiceSpec
  metadata: {name: shop}
  spec:
    hosts: [shop.localhost]
    port: 8080

Exit codes: 0 fine, 1 the input is wrong, 2 usage, 3 the environment (no Envoy, a port in use, ...).`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	preview := previewCommand(s)
	root.AddCommand(upCommand(s), renderCommand(s), validateCommand(s), explainCommand(s), diffCommand(s), preview, schemaCommand(s),
		installCommand(s), controllerCommand(s), proxyCommand(s), versionCommand(s))
	help.Call(root, s.name)
	root.AddGroup(&cobra.Group{ID: cluster.Group, Title: "Commands for what follows Git in a cluster:"})
	root.AddCommand(cluster.Commands(s.program(root))...)
	preview.AddCommand(cluster.PreviewCommands(s.program(root))...)
	for _, c := range help.Every(root) {
		check := c.Args
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	help.Rename(root)
	help.Fit(root)
	return root
}

// oneOf checks the value of a flag that has a few.
func oneOf(flag, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return usageError{fmt.Errorf("--%s %q: expected one of %v", flag, value, allowed)}
}

// fixed completes a flag that has a few values.
func fixed(values ...string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	}
}
