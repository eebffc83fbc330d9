// Package syncs says for people how the Syncs of a cluster are doing: what the API server has and the time go in, text comes out. It is pure.
package syncs

import (
	"time"

	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// Teller writes about Syncs.
type Teller struct {
	// Program is what the reader calls the program: "headgate", or "kubectl headgate".
	Program string
	// Now is the time that ages count to.
	Now   time.Time
	Style term.Style
}

// Ref is how a command names a Sync, with its namespace: "shop -n team-a".
func Ref(s *schema.Sync) string { return s.Name + " -n " + s.Namespace }
