//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"headgate.dev/deploy/testcluster/internal/cluster"
	"headgate.dev/deploy/testcluster/internal/node"
	"headgate.dev/deploy/testcluster/internal/pin"
	"headgate.dev/deploy/testcluster/internal/progress"
)

// tool is what the commands share: the cluster that --dir names, and the printer of progress.
type tool struct {
	dir     string
	print   *progress.Printer
	cluster *cluster.Cluster
}

func root() *cobra.Command {
	t := &tool{print: progress.New(os.Stderr)}
	c := &cobra.Command{
		Use:   "testcluster",
		Short: "A real one-node Kubernetes for tests",
		Long: `A real one-node Kubernetes for tests: etcd, API server, controller manager, scheduler, kubelet, kube-proxy, containerd and
CoreDNS, built from Go modules; runc, the CNI plugins and nft come from Debian.

It runs in namespaces of its own. On the host there are one interface, one route, and processes that all end with the first of them.
The host reaches nodes, pods, Services and load balancers at their own addresses; pods reach the host at the first address of
the network (` + "`testcluster status`" + ` names it). Nothing inside reaches anything else, so images are loaded, never pulled.`,
		Example: `  testcluster up
  export KUBECONFIG=$(testcluster kubeconfig)
  testcluster kubectl get pods -A
  testcluster load-image image.tar
  testcluster down`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return t.open() },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	c.PersistentFlags().StringVar(&t.dir, "dir", "", "state of the cluster; a second directory is a second cluster (default: $HEADGATE_TESTCLUSTER_DIR, else in the user's state)")
	c.AddCommand(t.up(), t.down(), t.status(), t.build(), t.loadImage(), t.loadProgram(), t.loadPostgres(), t.crds(), t.exec(), t.kubectl(), t.kubeconfig(), t.packages(), t.pin())
	return c
}

// open finds the state and reads the versions.
func (t *tool) open() error {
	versions, err := pin.Parse(versionsFile)
	if err != nil {
		return err
	}
	if t.dir == "" {
		t.dir = os.Getenv("HEADGATE_TESTCLUSTER_DIR")
	}
	if t.dir == "" {
		if t.dir, err = defaultDir(); err != nil {
			return err
		}
	}
	layout, err := node.NewLayout(t.dir)
	if err != nil {
		return err
	}
	t.cluster = &cluster.Cluster{Layout: layout, Versions: versions, Progress: t.print.Say, PauseSource: pauseSource}
	return nil
}

func defaultDir() (string, error) {
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "headgate", "testcluster"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for the cluster's state: %w; say --dir", err)
	}
	return filepath.Join(home, ".local", "state", "headgate", "testcluster"), nil
}

func (t *tool) up() *cobra.Command {
	var o cluster.Options
	c := &cobra.Command{
		Use:   "up",
		Short: "Take the cluster up, or mend it; builds what the cache lacks",
		Long: `Takes the cluster up and returns when a test can begin: the node is ready and DNS answers. A second time it only looks after what
is there. The first build takes about ten minutes of two cores; a start from the cache takes seconds.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			start := time.Now()
			err := t.cluster.Up(cmd.Context(), o)
			t.print.Done()
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "cluster up after %s\n", time.Since(start).Round(100*time.Millisecond))
			fmt.Println(t.cluster.Layout.Kubeconfig())
			return nil
		},
	}
	c.Flags().BoolVar(&o.DualStack, "dual-stack", false, "give everything an IPv6 address too; pods then start a second or two later")
	c.Flags().IntVar(&o.Slot, "slot", -1, "which eighth of 198.18.0.0/15 is the cluster's network, 0 to 7; -1 takes a free one")
	return c
}

func (t *tool) down() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster and forget its state; logs and cache stay",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t.print.Say("node", "stopping")
			err := t.cluster.Down(cmd.Context())
			t.print.Done()
			return err
		},
	}
}

func (t *tool) status() *cobra.Command {
	output := "table"
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what runs, where, and how much memory it takes",
		Long:  "Shows what runs. Exits with 1 unless the cluster is ready.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %s: only table and json exist", output)
			}
			s, err := t.cluster.Status(cmd.Context(), time.Now())
			if err != nil {
				return err
			}
			if output == "table" {
				fmt.Print(s.Table())
			} else if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
				return err
			}
			if s.State != "ready" {
				return fmt.Errorf("the cluster is not ready but %s", s.State)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&output, "output", "o", output, "table or json")
	return c
}

func (t *tool) build() *cobra.Command {
	return &cobra.Command{
		Use:   "build",
		Short: "Build what the cache lacks, and print the directories of the programs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bin, err := t.cluster.Build(cmd.Context())
			t.print.Done()
			if err != nil {
				return err
			}
			fmt.Println(strings.Join(bin, "\n"))
			return nil
		},
	}
}

func (t *tool) loadImage() *cobra.Command {
	name := ""
	c := &cobra.Command{
		Use:   "load-image PATH",
		Short: "Load an image from an archive or an OCI layout into the node",
		Long: `Loads an image from an archive (OCI or docker format) or from the directory of an OCI image layout, and prints the names under which
pods can use it. Give such containers imagePullPolicy Never or IfNotPresent.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t.print.Say("image", "loading "+args[0])
			names, err := t.cluster.LoadImage(cmd.Context(), args[0], name)
			t.print.Done()
			if err != nil {
				return err
			}
			for _, n := range names {
				fmt.Println(n)
			}
			return nil
		},
	}
	c.Flags().StringVar(&name, "name", "", "full name for the image, as in headgate.local/headgate:dev, when the archive has none")
	return c
}

func (t *tool) loadProgram() *cobra.Command {
	return &cobra.Command{
		Use:     "load-program NAME PROGRAM",
		Short:   "Make an image of one static program and load it into the node",
		Example: "  testcluster load-program headgate.local/echo:1 ./echo",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			t.print.Say("image", "loading "+args[0])
			err := t.cluster.LoadProgram(cmd.Context(), args[0], args[1])
			t.print.Done()
			return err
		},
	}
}

func (t *tool) loadPostgres() *cobra.Command {
	return &cobra.Command{
		Use:   "load-postgres NAME",
		Short: "Make an image of this machine's PostgreSQL, from Debian's packages, and load it into the node",
		Long: `Makes an image of the PostgreSQL that Debian's packages have brought to this machine (` + "`testcluster packages --install`" + ` sees to them) and
loads it. A container of it needs POSTGRES_PASSWORD, runs as user 999, and keeps its data in /data, where it expects a volume. Its
superuser is postgres.`,
		Example: "  testcluster load-postgres headgate.local/postgres:1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t.print.Say("image", "loading "+args[0])
			err := t.cluster.LoadPostgres(cmd.Context(), args[0])
			t.print.Done()
			return err
		},
	}
}

func (t *tool) crds() *cobra.Command {
	var o cluster.CRDOptions
	c := &cobra.Command{
		Use:       "crds standard|experimental",
		Short:     "Install the Gateway API CRDs of a channel",
		Args:      cobra.ExactArgs(1),
		ValidArgs: cluster.Channels,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := t.cluster.CRDs(cmd.Context(), args[0], o)
			t.print.Done()
			return err
		},
	}
	c.Flags().BoolVar(&o.Replace, "replace", false, "remove the CRDs of another channel or version first, with all their objects")
	return c
}

func (t *tool) exec() *cobra.Command {
	return &cobra.Command{
		Use:   "exec -- COMMAND [ARGUMENT...]",
		Short: "Run a command in the node's network, with KUBECONFIG set",
		Long: `Runs a command in the node's network namespace, as this user and with this file system. The cluster's own programs (kubectl, ctr) are on
its path. From the host most things work without: see the addresses of ` + "`testcluster status`.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			spec, record, err := t.cluster.Running()
			if err != nil {
				return err
			}
			runtime.LockOSThread() // the namespace is the thread's, and so is what it executes
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", record.PID))
			if err != nil {
				return err
			}
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("entering the node's network: %w", err)
			}
			return t.replace(spec, args)
		},
	}
}

func (t *tool) kubectl() *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl ARGUMENT...",
		Short:              "Run the cluster's kubectl as its administrator",
		DisableFlagParsing: true, // they are kubectl's
		RunE: func(_ *cobra.Command, args []string) error {
			if err := t.open(); err != nil {
				return err
			}
			spec, _, err := t.cluster.Running()
			if err != nil {
				return err
			}
			return t.replace(spec, append([]string{"kubectl"}, args...))
		},
	}
}

// replace makes this process the command, which finds the cluster's programs and its kubeconfig.
func (t *tool) replace(spec node.Spec, args []string) error {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PATH=") || strings.HasPrefix(v, "KUBECONFIG=") })
	search := strings.Join(append(slices.Clone(spec.Bin), os.Getenv("PATH")), ":")
	env = append(env, "PATH="+search, "KUBECONFIG="+t.cluster.Layout.Kubeconfig())
	for _, dir := range filepath.SplitList(search) {
		path := args[0]
		if !strings.Contains(path, "/") {
			path = filepath.Join(dir, args[0])
		}
		if err := unix.Access(path, unix.X_OK); err == nil {
			return fmt.Errorf("running %s: %w", path, unix.Exec(path, args, env))
		}
	}
	return fmt.Errorf("no program %s", args[0])
}

func (t *tool) kubeconfig() *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the administrator's kubeconfig",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, _, err := t.cluster.Running(); err != nil {
				return err
			}
			fmt.Println(t.cluster.Layout.Kubeconfig())
			return nil
		},
	}
}

func (t *tool) packages() *cobra.Command {
	install := false
	c := &cobra.Command{
		Use:   "packages",
		Short: "Print the Debian packages that this machine lacks",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			missing := append(cluster.MissingPackages(), cluster.MissingForTests()...)
			if install && len(missing) > 0 {
				return cluster.InstallPackages(missing)
			}
			for _, p := range missing {
				fmt.Println(p)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&install, "install", false, "install them with apt-get, as root")
	return c
}

func (t *tool) pin() *cobra.Command {
	return &cobra.Command{
		Use:   "pin DIR",
		Short: "Write the locks again after versions.txt changed; DIR is deploy/testcluster",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := pin.Update(cmd.Context(), t.cluster.Versions, args[0], func(line string) { t.print.Say("pin", line) })
			t.print.Done()
			return err
		},
	}
}
