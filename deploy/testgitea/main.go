//go:build unix

// Testgitea runs a real Gitea for tests, built from its Go module and kept in the user's cache.
//
//	testgitea build        builds it unless the cache has it, and prints where
//	testgitea up DIR       starts a fresh one whose state is in DIR, and prints how to reach it, as JSON
//	testgitea down DIR     stops it and removes DIR
//
// An instance listens on loopback, or on the address of --listen. It has one user, an administrator with a token for everything. The web pages
// have no scripts and styles; API and Git are whole.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testgitea:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("testgitea", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1", "address to listen on, for up")
	flags.Usage = func() { fmt.Fprintln(os.Stderr, "usage: testgitea build | up [--listen ADDRESS] DIR | down DIR") }
	if len(args) == 0 {
		flags.Usage()
		return fmt.Errorf("no command")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if args[0] == "build" && flags.NArg() == 0 {
		program, err := Build(ctx)
		if err == nil {
			fmt.Println(program.Path)
		}
		return err
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return fmt.Errorf("%s: want one directory", args[0])
	}
	dir, err := filepath.Abs(flags.Arg(0))
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		return up(ctx, dir, *listen)
	case "down":
		return Down(dir)
	}
	flags.Usage()
	return fmt.Errorf("%s is no command", args[0])
}

func up(ctx context.Context, dir, listen string) error {
	program, err := Build(ctx)
	if err != nil {
		return err
	}
	instance, err := Up(ctx, program, dir, listen)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(instance)
}
