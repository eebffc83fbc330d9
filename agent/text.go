package agent

import "strings"

// cutRevision takes "main@sha1:4f2a9c1..." apart; the name is empty in "sha1:4f2a9c1...".
func cutRevision(revision string) (name, hash string, ok bool) {
	at := strings.LastIndex(revision, "sha1:")
	if at < 0 {
		return "", "", false
	}
	return strings.TrimSuffix(revision[:at], "@"), revision[at+len("sha1:"):], true
}
