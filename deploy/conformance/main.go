//go:build linux

// Conformance runs the conformance suite of Gateway API against headgate in the test cluster.
//
// A test is one of the suite's, by its short name. A run is the suite as upstream ships it, once, with all the tests of Gateways or with
// those that --run names; it leaves its files in a directory. The passing list names the tests that must never fail again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// options are the flags.
type options struct {
	testcluster, headgate, image string
	class, channel, controller   string
	features, run, out, list     string
	version, usable, unusable    string
	parallel                     int
	timeout                      time.Duration
	update, keep                 bool
}

func flags() options {
	var o options
	flag.StringVar(&o.testcluster, "testcluster", "bin/testcluster", "the tool of the test cluster, which must be up")
	flag.StringVar(&o.headgate, "headgate", "bin/headgate", "the program that prints what is installed")
	flag.StringVar(&o.image, "image", "bin/headgate-image.tar", "the image of controller and proxies, with its digest beside it")
	flag.StringVar(&o.controller, "controller", "image", "image: install the controller from the image; host: run one beside the suite, under a name of its own; none: it runs already, somewhere")
	flag.StringVar(&o.class, "class", "headgate-conformance", "the GatewayClass; that of class.yaml is made, another one must be there")
	flag.StringVar(&o.channel, "channel", "standard", "the channel of Gateway API's CRDs: standard or experimental")
	flag.StringVar(&o.features, "features", "class", "all: every feature that has a Gateway test; class: what the GatewayClass says it supports")
	flag.StringVar(&o.run, "run", "", "run only tests whose name matches this regular expression; there is no official report then")
	flag.StringVar(&o.out, "out", "bin/conformance", "the directory of the run's files; what is in it is replaced")
	flag.StringVar(&o.list, "list", "deploy/conformance/passing.txt", "the passing list")
	flag.StringVar(&o.version, "version", "dev", "the version of headgate in the report")
	flag.StringVar(&o.usable, "usable-address", "", "an address that a Gateway may ask for (default: one beyond those that the test cluster gives by itself)")
	flag.StringVar(&o.unusable, "unusable-address", "unusable.example.com", "an address that no Gateway can have")
	flag.IntVar(&o.parallel, "parallel", 4, "how many of the tests that may run beside others do")
	flag.DurationVar(&o.timeout, "timeout", time.Hour, "the longest that a run may take")
	flag.BoolVar(&o.update, "update", false, "add the tests that pass now to the passing list")
	flag.BoolVar(&o.keep, "keep", false, "leave the suite's base objects for the next run, which then starts sooner")
	flag.Parse()
	return o
}

func (o options) check() error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %s", flag.Arg(0))
	}
	if !slices.Contains([]string{"image", "host", "none"}, o.controller) || !slices.Contains([]string{"all", "class"}, o.features) {
		return errors.New("--controller is image, host or none, --features is all or class")
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	err := conformance(ctx, flags())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// conformance prepares the cluster, runs the suite, and says what came out of it.
func conformance(ctx context.Context, o options) error {
	if err := o.check(); err != nil {
		return err
	}
	list, err := readList(o.list)
	if err != nil {
		return err
	}
	programs, err := build(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(o.out), os.MkdirAll(filepath.Join(o.out, "tests"), 0o755)); err != nil {
		return err
	}
	c := cluster{tool: o.testcluster}
	stop, err := c.prepare(ctx, o, programs)
	if err != nil {
		return err
	}
	defer stop()
	if o.usable == "" {
		if o.usable, err = c.static(ctx); err != nil {
			return err
		}
	}
	start := time.Now()
	results, err := runSuite(ctx, o, c, programs)
	if err != nil {
		return err
	}
	if o.run == "" {
		results = whole(results)
	}
	return conclude(o, list, results, time.Since(start))
}

// conclude writes the summary and holds the results against the passing list.
func conclude(o options, list []string, results map[string]result, took time.Duration) error {
	summary := table(results, took)
	if err := os.WriteFile(filepath.Join(o.out, "summary.md"), []byte(summary), 0o644); err != nil {
		return err
	}
	fmt.Print("\n", summary)
	regressed, added := compare(list, results)
	if o.update {
		if err := writeList(o.list, append(list, added...)); err != nil {
			return err
		}
	}
	for _, name := range regressed {
		fmt.Fprintf(os.Stderr, "no longer passes: %s; see %s\n", name, logFile(o.out, name))
	}
	if len(added) > 0 && !o.update {
		fmt.Fprintf(os.Stderr, "%d tests pass that are not in %s; --update adds them: %s\n", len(added), o.list, strings.Join(added, " "))
	}
	switch {
	case len(regressed) > 0:
		return fmt.Errorf("%d tests of %s no longer pass", len(regressed), o.list)
	case len(results) == 0:
		return errors.New("no test ran; does --run match one?")
	}
	return nil
}
