package pin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// Go is a go command in the directory dir, of the pinned version whatever the user's settings say about toolchains and workspaces.
func (v Versions) Go(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOTOOLCHAIN=go"+v["go"]+"+auto")
	return cmd
}

// Update writes the locks of all components below dir, the source directory of the test cluster, as the versions say.
// It asks the module proxy; log gets a line for each component.
func Update(ctx context.Context, v Versions, dir string, log func(string)) error {
	list, err := Components(v)
	if err != nil {
		return err
	}
	to := filepath.Join(dir, "internal", "pin", "locks")
	if _, err := os.Stat(to); err != nil {
		return fmt.Errorf("%s is not the source of the test cluster: %w", dir, err)
	}
	for _, c := range list {
		log(fmt.Sprintf("%s %s ...", c.Name, c.Version))
		if err := lock(ctx, c, v, to); err != nil {
			return fmt.Errorf("locking %s %s: %w", c.Name, c.Version, err)
		}
	}
	return nil
}

func lock(ctx context.Context, c Component, v Versions, to string) error {
	work, err := os.MkdirTemp("", "testcluster-pin-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary directory
	replaces := ""
	if c.Name == "kubernetes" {
		if replaces, err = staging(ctx, c, v); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"go.mod": modFile(c, v["go"], replaces), c.SourceName: c.Source} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	tidy := v.Go(ctx, work, "mod", "tidy")
	if out, err := tidy.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod tidy: %w\n%s", err, out)
	}
	for from, name := range map[string]string{"go.mod": c.Name + ".mod", "go.sum": c.Name + ".sum"} {
		data, err := os.ReadFile(filepath.Join(work, from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// modFile is the go.mod that a lock starts from.
func modFile(c Component, goVersion, replaces string) string {
	parts := strings.SplitN(goVersion, ".", 3)
	text := fmt.Sprintf("module %s\n\ngo %s.%s.0\n\ntoolchain go%s\n\n", module(c.Name), parts[0], parts[1], goVersion)
	if c.Origin != "" {
		text += fmt.Sprintf("require %s v%s\n\n%s", c.Origin, c.Version, replaces)
	}
	return text
}

var stagingLine = regexp.MustCompile(`(?m)^\s*(?:replace )?(k8s\.io/[a-z-]+) => \./staging/.*$`)

// staging replaces what k8s.io/kubernetes takes from its own tree by the same code as it was published, and keeps its
// GODEBUG settings.
func staging(ctx context.Context, c Component, v Versions) (string, error) {
	out, err := v.Go(ctx, os.TempDir(), "mod", "download", "-json", c.Origin+"@v"+c.Version).Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s@v%s: %w\n%s", c.Origin, c.Version, err, out)
	}
	var got struct{ GoMod string }
	if err := json.Unmarshal(out, &got); err != nil {
		return "", fmt.Errorf("reading the answer of go mod download: %w", err)
	}
	text, err := os.ReadFile(got.GoMod)
	if err != nil {
		return "", err
	}
	return replacements(string(text), c.Version), nil
}

func replacements(gomod, version string) string {
	var b strings.Builder
	if m := regexp.MustCompile(`(?m)^godebug .*$`).FindString(gomod); m != "" {
		b.WriteString(m + "\n\n")
	}
	_, rest, _ := strings.Cut(version, ".")
	for _, m := range stagingLine.FindAllStringSubmatch(gomod, -1) {
		fmt.Fprintf(&b, "replace %s => %s v0.%s\n", m[1], m[1], rest)
	}
	return b.String()
}
