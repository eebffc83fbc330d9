// Package version chooses among the tags of a repository.
package version

import (
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Highest picks the tag with the highest version inside the range. tags maps full names to ids.
func Highest(constraint string, tags map[string]string) (string, bool) {
	c, err := semver.NewConstraint(constraint)
	if err != nil {
		return "", false
	}
	var best *semver.Version
	bestName := ""
	for name := range tags {
		v, err := semver.NewVersion(strings.TrimPrefix(name, "refs/tags/"))
		if err != nil || !c.Check(v) {
			continue
		}
		// Versions that differ in build metadata only, or in a leading "v", are equal: the greater name, so that it is always the same.
		if best == nil || v.Compare(best) > 0 || v.Equal(best) && name > bestName {
			best, bestName = v, name
		}
	}
	return bestName, best != nil
}
