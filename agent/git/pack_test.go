package git

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"headgate.dev/agent/git/internal/pack"
)

func TestMeasureRealPack(t *testing.T) {
	dir := newRepo(t)
	for range 5 {
		commit(t, dir, "a.yaml", readFile(t, dir, "a.yaml")+strings.Repeat("line\n", 100))
	}
	cmd := exec.Command("git", "pack-objects", "--all", "--stdout", "-q", "--delta-base-offset")
	cmd.Dir, cmd.Env = dir, gitEnv
	content, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	s, err := pack.Measure(bytes.NewReader(content))
	if err != nil || s.Objects != 18 || s.Largest != 2505 {
		t.Errorf("%+v, %v", s, err)
	}
}
