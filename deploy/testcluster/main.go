//go:build linux

// Testcluster runs a real one-node Kubernetes for tests, in namespaces of its own, from Go modules and a few Debian packages.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"headgate.dev/deploy/testcluster/internal/node"
)

func main() {
	if len(os.Args) == 3 && (os.Args[1] == node.InitCommand || os.Args[1] == node.SuperviseCommand) {
		inside(os.Args[1], os.Args[2])
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
		os.Exit(1)
	}
}

// inside is what this program does as a process of the node.
func inside(command, dir string) {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	run := node.Init
	if command == node.SuperviseCommand {
		run = node.Supervise
	}
	if err := run(dir); err != nil {
		log.Fatalf("node: %v", err)
	}
}
