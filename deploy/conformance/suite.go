//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const profiles = "GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP"

// arguments are those of the suite. Nothing in them changes what it asserts, how long it waits or what it skips.
func arguments(o options) []string {
	run := "^TestConformance$"
	args := []string{
		"-gateway-class=" + o.class, "-conformance-profiles=" + profiles,
		"-usable-address=" + o.usable, "-unusable-address=" + o.unusable,
		"-organization=headgate", "-project=headgate", "-url=https://headgate.dev", "-version=" + o.version, "-contact=hello@headgate.dev",
		"-mode=default",
	}
	if o.features == "all" {
		args = append(args, "-supported-features="+strings.Join(allFeatures(), ","))
	}
	if o.keep {
		args = append(args, "-cleanup-base-resources=false")
	}
	if o.run != "" {
		// Tests left out in this way are counted as passed in a report.
		run += "/" + o.run
	} else {
		args = append(args, "-report-output="+filepath.Join(o.out, "report.yaml"))
	}
	return append(args, "-test.v=test2json", "-test.timeout="+o.timeout.String(), "-test.parallel="+strconv.Itoa(o.parallel), "-test.run="+run)
}

// runSuite runs the suite and returns the results by test. That tests fail is no error; that the suite could not begin is.
func runSuite(ctx context.Context, o options, c cluster, p programs) (map[string]result, error) {
	kubeconfig, err := c.do(ctx, nil, "kubeconfig")
	if err != nil {
		return nil, err
	}
	events, err := os.Create(filepath.Join(o.out, "events.json"))
	if err != nil {
		return nil, err
	}
	defer events.Close()
	suite, convert := exec.CommandContext(ctx, p.suite, arguments(o)...), exec.CommandContext(ctx, "go", "tool", "test2json", "-t")
	suite.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	convert.Env = append(os.Environ(), "GOTOOLCHAIN=auto")
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	suite.Stdout, suite.Stderr, convert.Stdin, convert.Stderr = write, write, read, os.Stderr
	lines, err := convert.StdoutPipe()
	if err == nil {
		err = convert.Start()
	}
	if err == nil {
		err = suite.Start()
	}
	if err = errors.Join(err, read.Close(), write.Close()); err != nil {
		return nil, fmt.Errorf("starting the suite: %w", err)
	}
	collected, err := collect(io.TeeReader(lines, events), filepath.Join(o.out, "tests"))
	err = errors.Join(err, convert.Wait())
	suiteErr := suite.Wait() // not 0 when a test fails
	if err != nil {
		return nil, fmt.Errorf("reading what the suite says: %w", err)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if suiteErr != nil && !collected.begun() {
		return nil, fmt.Errorf("the suite did not begin: %w: %s", suiteErr, collected.suite.firstError())
	}
	return collected.results(), nil
}

// collect reads events and writes the log of each test into dir, saying on the way what became of it.
func collect(events io.Reader, dir string) (*collection, error) {
	all := newCollection()
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadString('\n')
		if done := all.add(line); done != nil {
			fmt.Fprintf(os.Stderr, "%3d  %-4s %6.1f s  %s\n", all.finished, done.Outcome, done.Seconds, done.Name)
			if err := os.WriteFile(filepath.Join(dir, done.Name+".log"), []byte(done.log.String()), 0o644); err != nil {
				return nil, err
			}
		}
		if errors.Is(err, io.EOF) {
			return all, writeRest(all, dir)
		}
		if err != nil {
			return nil, err
		}
	}
}

// writeRest writes the logs of the tests that did not end, and of the suite itself.
func writeRest(all *collection, dir string) error {
	for name, r := range all.tests {
		if r.Outcome == "" {
			if err := os.WriteFile(filepath.Join(dir, name+".log"), []byte(r.log.String()), 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "suite.log"), []byte(all.suite.log.String()), 0o644)
}

func logFile(out, test string) string { return filepath.Join(out, "tests", test+".log") }
