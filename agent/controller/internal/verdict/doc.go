// Package verdict finds the words for what becomes of commits and previews: what their host is told of a commit, and people of a preview. It is pure.
package verdict
