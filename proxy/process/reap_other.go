//go:build unix && !linux

package process

import (
	"context"
	"os/exec"
)

// Reaper collects nothing: pods are Linux.
type Reaper struct{}

// Run waits for the end of the context.
func (r *Reaper) Run(ctx context.Context) { <-ctx.Done() }

func (r *Reaper) start(cmd *exec.Cmd) error { return cmd.Start() }

func (r *Reaper) waited(int) {}
