package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"headgate.dev/cmd/internal/cluster"
)

// programName is what the user calls the program: a file kubectl-headgate on the PATH is kubectl's plugin `kubectl headgate`
// (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/).
func programName(file string) string {
	if strings.HasPrefix(filepath.Base(file), "kubectl-headgate") {
		return "kubectl headgate"
	}
	return "headgate"
}

// program is what commands for a cluster are part of.
func (s streams) program(root *cobra.Command) cluster.Program {
	return cluster.Program{Out: s.out, Err: s.err, Getenv: s.getenv, Name: root.DisplayName()}
}
