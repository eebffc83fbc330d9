package source

import "strings"

// DidYouMean ends a message about an unknown name: it names the nearest of the known names, or all of them where none is near and they are few.
func DidYouMean(name string, known []string) string {
	switch best := Nearest(name, known); {
	case best != "":
		return "; did you mean \"" + best + "\"?"
	case len(known) <= 24:
		return "; known here: " + strings.Join(known, ", ")
	}
	return ""
}

// Nearest gives the first of the known names that is nearest to a name and near enough to be meant by it, upper and lower
// case apart; empty when none is.
func Nearest(name string, known []string) string {
	best, bestDistance := "", 1+max(1, len(name)/3)
	for _, k := range known {
		if d := EditDistance(strings.ToLower(name), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// EditDistance counts the letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
// Names longer than any field are far from all of them.
func EditDistance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var rows [3][longest + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
