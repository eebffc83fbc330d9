package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"headgate.dev/cmd/internal/lab"
)

// TestReadme runs every command of the README's shell blocks on a copy of the examples, the way a reader would; those of
// make are run by continuous integration itself. Of the READMEs of the examples it runs the commands of headgate; their
// requests are answered by what serves the examples (cmd/internal/local).
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	must(t, err)
	lines := shellLines(string(text))
	readmes, err := filepath.Glob("../../examples/*/README.md")
	must(t, err)
	for _, readme := range readmes {
		if name := filepath.Base(filepath.Dir(readme)); !strings.Contains(string(text), "(examples/"+name+")") {
			t.Errorf("the README says nothing of examples/%s", name)
		}
		text, err := os.ReadFile(readme)
		must(t, err)
		for _, line := range shellLines(string(text)) {
			if strings.HasPrefix(line, "bin/headgate ") {
				lines = append(lines, line)
			}
		}
	}
	port, err := lab.FreePort()
	must(t, err)
	repo := newRepo(t, nil)
	must(t, os.CopyFS(filepath.Join(repo.Dir, "examples"), os.DirFS("../../examples")))
	_, err = repo.Commit("Add the examples")
	must(t, err)
	exe, err := os.Executable()
	must(t, err)
	must(t, os.Mkdir(filepath.Join(repo.Dir, "bin"), 0o755))
	must(t, os.Symlink(exe, filepath.Join(repo.Dir, "bin", "headgate")))

	ran := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "make ") {
			continue
		}
		if strings.Contains(line, " up ") {
			line += " --once --port 80=" + itoa(port) + " --envoy " + envoyForTests(t)
		}
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = repo.Dir
		cmd.Env = append(os.Environ(), "HEADGATE_BE_THE_PROGRAM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		ran++
	}
	if ran < 5 {
		t.Errorf("only %d commands were found in the README", ran)
	}
}

// shellLines gives the lines of all ```sh blocks.
func shellLines(markdown string) (lines []string) {
	in := false
	for _, line := range strings.Split(markdown, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			in = line == "```sh"
		case in && line != "":
			lines = append(lines, line)
		}
	}
	return lines
}
