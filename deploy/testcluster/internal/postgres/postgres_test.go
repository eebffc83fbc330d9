package postgres

import (
	"strings"
	"testing"
)

// What a server needs is in the image, and the compiler of queries is not.
func TestImage(t *testing.T) {
	i, err := Image(t.Context(), "headgate.local/postgres:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{"/bin/postgres", "/bin/initdb", "/bin/sh", "/libc.so.6", "/postgres.bki", "/dict_snowball.so", "/Etc/UTC"} {
		found := false
		for path := range i.Files {
			found = found || strings.HasSuffix(path, wanted)
		}
		if !found {
			t.Errorf("the image has no %s", wanted)
		}
	}
	for path := range i.Files {
		if strings.Contains(path, "llvmjit.so") || strings.Contains(path, "/man/") {
			t.Errorf("the image has %s", path)
		}
	}
	if entry := i.Texts["/entry.sh"]; !strings.Contains(entry, "/bin/initdb") || strings.Contains(entry, "BIN") {
		t.Errorf("the entry is\n%s", entry)
	}
}
