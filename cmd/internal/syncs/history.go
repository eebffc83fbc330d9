package syncs

import (
	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// History lists the last commits of a Sync and what became of them, the newest first. The one that is applied has a star.
func (t Teller) History(s *schema.Sync) string {
	if len(s.Status.History) == 0 {
		return "No commit has been tried yet.\n"
	}
	rows := [][]string{{"  REVISION", "SEEN", "RESULT", "LIVE", "COMMIT"}}
	applied := false
	for i := range s.Status.History {
		h := &s.Status.History[i]
		mark := "  "
		if h.Revision == s.Status.Revision && !applied {
			mark, applied = "* ", true
		}
		live := "-"
		switch {
		case h.LiveAfter != "":
			live = "after " + took(h.LiveAfter)
		case h.LiveTime != nil:
			live = "yes"
		}
		rows = append(rows, []string{mark + Short(h.Revision), t.ago(h.Time.Time), string(h.Result), live, who(h)})
		if h.Message != "" {
			rows = append(rows, []string{"    " + h.Message})
		}
	}
	text := term.Fit(0, rows)
	if s.Spec.Pin != "" {
		text += "\nPinned to " + s.Spec.Pin + ".\n" + t.Program + " rollback " + Ref(s) + " --undo   follows " + following(s) + " again\n"
	}
	return text
}
