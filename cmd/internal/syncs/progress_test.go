package syncs

import (
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestProgress follows a Sync through the states of a file, and says what is printed at each.
func TestProgress(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/progress/live.txt")
	if err != nil {
		t.Fatal(err)
	}
	runs := map[string]*Progress{}
	outcomes := map[Outcome]string{Underway: "", Done: "done\n", Failed: "failed\n"}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		in, want := archive.Files[i], archive.Files[i+1]
		run, _, _ := strings.Cut(in.Name, " ")
		if runs[run] == nil {
			runs[run] = &Progress{Request: "now", Before: "main@sha1:51be7aa0b6d7a8892c1d3e4f5a6b7c8d9e0f1a24"}
		}
		lines, outcome := runs[run].Next(teller, &read(t, in.Data)[0])
		got := outcomes[outcome]
		if len(lines) > 0 {
			got = strings.Join(lines, "\n") + "\n" + got
		}
		if got != string(want.Data) {
			t.Errorf("%s: got\n%swanted\n%s", in.Name, got, want.Data)
		}
	}
}

func TestCommit(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/live.txtar")
	if err != nil {
		t.Fatal(err)
	}
	s := read(t, archive.Files[0].Data)[0]
	const applied, before = "4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2", "51be7aa0b6d7a8892c1d3e4f5a6b7c8d9e0f1a24"
	for text, want := range map[string]string{
		applied: applied, "4F2A": applied, "main@4f2a9c1": applied, "main@sha1:" + before: before, "51be7aa": before,
		"0123456789012345678901234567890123456789": "0123456789012345678901234567890123456789",
	} {
		if got, err := Commit(&s, text); got != want || err != nil {
			t.Errorf("%s: got %s, %v; expected %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "4f2", "main", "abcdef0", applied + "0", "4f2a9c1-x"} {
		if got, err := Commit(&s, text); err == nil {
			t.Errorf("%s: got %s, expected an error", text, got)
		}
	}
	if h, ok := Before(&s); !ok || Hash(h.Revision) != before {
		t.Errorf("the commit to go back to is %s, expected %s", h.Revision, before)
	}
	s.Spec.Pin = before
	if h, ok := Before(&s); ok {
		t.Errorf("from the oldest there is no way back, got %s", h.Revision)
	}
}
