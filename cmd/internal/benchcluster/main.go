// Command benchcluster measures headgate in the test cluster: the installed image, a real API server, real Envoys, requests from this
// machine. `make bench-cluster` runs it. Every figure is of many rounds on an otherwise idle machine; the table goes to standard
// output, and everything to a JSON file.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// options are what the command line says.
type options struct {
	tool, headgate, image, out string
	sizes, syncs               []int
	rounds, gateways, drifting int
	steady                     time.Duration
	keep                       bool
}

func main() {
	var o options
	flag.StringVar(&o.tool, "testcluster", "bin/testcluster", "the tool of the test cluster, which is up")
	flag.StringVar(&o.headgate, "headgate", "bin/headgate", "the program whose install is used")
	flag.StringVar(&o.image, "image", "bin/headgate-image.tar", "the image to measure; its digest lies beside it")
	flag.StringVar(&o.out, "out", "bin/bench-cluster.json", "where all figures go")
	sizes := flag.String("sizes", "100,1000,5000", "numbers of routes that are written by hand, ascending; empty: that is not measured")
	syncs := flag.String("syncs", "100,1000", "numbers of routes that a Sync brings, ascending; empty: that is not measured")
	flag.IntVar(&o.rounds, "rounds", 100, "changes of a kind for each number of routes")
	flag.IntVar(&o.drifting, "drift", 1000, "owned objects for the figures of drift; 0 leaves them out")
	flag.IntVar(&o.gateways, "gateways", 5, "Gateways that are created, one after the other")
	flag.DurationVar(&o.steady, "steady", time.Minute, "how long one change a second is made")
	flag.BoolVar(&o.keep, "keep", false, "leave everything in the cluster afterwards")
	flag.Parse()
	ctrllog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := o.parse(*sizes, *syncs)
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchcluster:", err)
		os.Exit(1)
	}
}

func (o *options) parse(sizes, syncs string) (err error) {
	if o.drifting < 0 {
		return fmt.Errorf("-drift %d: expected a number of objects, 0 for none", o.drifting)
	}
	if o.sizes, err = ascending("-sizes", sizes); err != nil {
		return err
	}
	if o.syncs, err = ascending("-syncs", syncs); err != nil {
		return err
	}
	if o.rounds < 2 || o.gateways < 1 {
		return fmt.Errorf("-rounds %d and -gateways %d: expected at least 2 and 1", o.rounds, o.gateways)
	}
	return nil
}

func ascending(name, text string) (out []int, err error) {
	if text == "" {
		return nil, nil
	}
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || (len(out) > 0 && n <= out[len(out)-1]) {
			return nil, fmt.Errorf("reading %s %q: expected numbers above 0, ascending", name, text)
		}
		out = append(out, n)
	}
	return out, nil
}

// run measures everything. What was measured before an error is written too.
func run(ctx context.Context, o options) (err error) {
	r := newReport(o)
	defer func() {
		if e := r.write(o.out); err == nil {
			err = e
		}
		fmt.Print(r.table())
	}()
	c, err := connect(ctx, o)
	if err != nil {
		return err
	}
	if !o.keep {
		defer func() {
			if e := c.clear(context.WithoutCancel(ctx)); err == nil {
				err = e
			}
		}()
	}
	if err := c.install(ctx); err != nil {
		return fmt.Errorf("installing headgate: %w", err)
	}
	if o.drifting > 0 {
		if err := c.drift(ctx, r); err != nil {
			return fmt.Errorf("measuring drift: %w", err)
		}
		if len(o.sizes)+len(o.syncs) == 0 {
			return nil
		}
		if err := c.install(ctx); err != nil { // so that the figures below are of a process that has done nothing else
			return fmt.Errorf("installing headgate again: %w", err)
		}
	}
	return c.routing(ctx, r)
}

// routing measures everything about Gateways and routes.
func (c *cluster) routing(ctx context.Context, r *report) error {
	say("%d Gateways, one after the other", c.gateways)
	if err := c.gatewayTimes(ctx, r); err != nil {
		return fmt.Errorf("creating Gateways: %w", err)
	}
	if err := c.prepare(ctx); err != nil {
		return fmt.Errorf("preparing the Gateway: %w", err)
	}
	if err := c.measureSyncs(ctx, r); err != nil {
		return fmt.Errorf("following Git: %w", err)
	}
	for _, n := range c.sizes {
		if err := c.measure(ctx, r, n); err != nil {
			return fmt.Errorf("with %d routes: %w", n, err)
		}
	}
	return nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
