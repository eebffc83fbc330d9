package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"headgate.dev/agent/git"
	"headgate.dev/cmd/internal/ahead"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/render"
)

// treeFlags are those of the commands that render a directory once.
type treeFlags struct {
	ref, gateway, namespace string
	// unadmitted: the command asks by itself what an API server would say to the objects that it is about.
	unadmitted bool
}

func (f *treeFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.ref, "ref", "", "read a commit instead of the saved files: a branch, a tag, a commit, HEAD~1")
	f.addDefaults(c)
}

// addDefaults adds the flags for what a tree leaves open.
func (f *treeFlags) addDefaults(c *cobra.Command) {
	f.gateway, f.namespace = local.DefaultGateway, local.DefaultNamespace
	flags := c.Flags()
	flags.StringVar(&f.gateway, "gateway", f.gateway, "default gateway (NAMESPACE/NAME) where the tree offers none")
	flags.StringVarP(&f.namespace, "namespace", "n", f.namespace, "namespace of objects that name none")
}

// render renders a directory: in a Git repository with everything the repository has (a base beside the directory),
// elsewhere the directory alone.
func (f *treeFlags) render(ctx context.Context, args []string) (render.Result, error) {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	tree, sub, closer, err := f.open(ctx, dir)
	if err != nil {
		return render.Result{}, err
	}
	defer closer()
	decoding, stop := ahead.Of(tree, sub)
	defer stop()
	return render.Tree(decoding, sub, f.options())
}

func (f *treeFlags) options() render.Options {
	return render.Options{Gateway: f.gateway, Namespace: f.namespace, Unadmitted: f.unadmitted, Each: ahead.Each}
}

// checkDirectory says what is wrong with DIR.
func checkDirectory(dir string) error {
	switch info, err := os.Stat(dir); {
	case err != nil:
		return usageError{err}
	case !info.IsDir():
		return usageError{fmt.Errorf("%s is no directory; name the directory it lies in: %s", dir, filepath.Dir(dir))}
	default:
		return nil
	}
}

func (f *treeFlags) open(ctx context.Context, dir string) (tree git.Tree, sub string, closer func(), err error) {
	if err := checkDirectory(dir); err != nil {
		return nil, "", nil, err
	}
	source, err := openLocal(dir, f.ref)
	if err != nil {
		return nil, "", nil, err
	}
	commit, err := source.Resolve(ctx)
	if err != nil {
		source.Close()
		return nil, "", nil, err
	}
	return commit.Tree, source.Dir(), func() { source.Close() }, nil
}

// source is where commits come from: a git.Repository or a git.Worktree.
type source interface {
	Resolve(context.Context) (*git.Commit, error)
	Watch(context.Context) (<-chan struct{}, error)
	Dir() string
	String() string
	Close() error
}

// limits are those of every source: what can be rendered can be read.
var limits = git.Limits{Blob: render.MaxFile}

// openLocal opens a directory's saved files, or a commit of its repository where ref names one.
func openLocal(dir, ref string) (source, error) {
	if ref == "" {
		return git.OpenWorktree(dir, limits, nil)
	}
	parsed, err := git.ParseRef(ref)
	if err != nil {
		return nil, usageError{err}
	}
	return git.Open(git.Source{URL: dir, Ref: parsed, Limits: limits}, git.Options{})
}

// endsSoon tells the runtime that the process ends with its command: collecting garbage would cost it half its time. Only who has
// much of it needs that.
func endsSoon() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(2000)
	runtime.AddCleanup(new([64]byte), func(percent int) { debug.SetGCPercent(percent) }, 300) // runs with the first collection
}
