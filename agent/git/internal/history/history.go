// Package history walks from commits to their parents.
package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Parents gives the parents of a commit; there is none of one that is not here.
type Parents func(hash string) (parents []string, here bool, err error)

// Edge gives the first commits on each way from head over parents that are not here, sorted. seen is told each parent, and ends the walk early by false.
func Edge(ctx context.Context, head string, of Parents, seen func(parent string) bool) ([]string, error) {
	edge, known := map[string]bool{}, map[string]bool{head: true}
	for next := []string{head}; len(next) > 0; {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("reading the history at %s: %w", head, err)
		}
		at := next[len(next)-1]
		next = next[:len(next)-1]
		parents, here, err := of(at)
		if err != nil {
			return nil, fmt.Errorf("reading the history at %s: %w", at, err)
		}
		if !here {
			edge[at] = true
		}
		for _, parent := range parents {
			if !seen(parent) {
				return nil, nil
			}
			if !known[parent] {
				known[parent] = true
				next = append(next, parent)
			}
		}
	}
	return slices.Sorted(maps.Keys(edge)), nil
}
