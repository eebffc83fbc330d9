// Package cluster has the commands that speak with the API server of a cluster: about Syncs, and as the user that the kubeconfig names. Each
// makes one or a few typed calls, without asking the API server first what kinds it has. What is printed is package syncs's.
package cluster

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"headgate.dev/cmd/internal/syncs"
	"headgate.dev/cmd/internal/term"
)

// Program is what commands write to, and what they are part of.
type Program struct {
	Out, Err io.Writer
	Getenv   func(string) string
	// Name is what the user calls the program: "headgate", or "kubectl headgate" as a plugin.
	Name string
}

func (p Program) style() term.Style { return term.StyleOf(p.Out, p.Getenv) }

func (p Program) teller() syncs.Teller {
	return syncs.Teller{Program: p.Name, Now: time.Now(), Style: p.style()}
}

// Commands gives all of them.
func Commands(p Program) []*cobra.Command {
	all := []*cobra.Command{
		createCommand(p), getCommand(p), statusCommand(p), historyCommand(p), syncCommand(p), rollbackCommand(p),
		suspendCommand(p), resumeCommand(p), driftCommand(p), notifyCommand(p),
	}
	for _, c := range all {
		c.GroupID = Group
	}
	return all
}

// Group is the ID of the group of these commands in the help.
const Group = "cluster"
