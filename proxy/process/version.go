package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// The version of Envoy that the layout of our configuration is measured with: the same minor version fits.
const (
	wantMajor = 1
	wantMinor = 40
)

// BinaryError says what is wrong with the Envoy binary at Path.
type BinaryError struct {
	Path string
	Err  error
}

func (e *BinaryError) Error() string { return fmt.Sprintf("Envoy binary %s: %v", e.Path, e.Err) }

// Unwrap returns the cause, for example exec.ErrNotFound.
func (e *BinaryError) Unwrap() error { return e.Err }

// "envoy  version: 9e5580.../1.40.0/Clean/RELEASE/BoringSSL"
var versionLine = regexp.MustCompile(`version: [0-9a-f]+/(([0-9]+)\.([0-9]+)\.[0-9]+[^/]*)/`)

// Check tells whether the binary is there and is an Envoy that understands what headgate sends (1.40.x), and returns its
// version ("1.40.0"). A bare name is looked up on PATH. The error is a *BinaryError.
func Check(ctx context.Context, path string) (version string, err error) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		if e := (*exec.Error)(nil); errors.As(err, &e) {
			err = e.Err
		}
		return "", &BinaryError{Path: path, Err: fmt.Errorf("asking for its version: %w", err)}
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", &BinaryError{Path: path, Err: errors.New(`"--version" does not answer as Envoy does`)}
	}
	version = string(m[1])
	major, _ := strconv.Atoi(string(m[2])) // digits, by the expression; too many are no version of ours either
	minor, _ := strconv.Atoi(string(m[3]))
	if major != wantMajor || minor != wantMinor {
		return "", &BinaryError{Path: path, Err: fmt.Errorf("version %s, but %d.%d.x is needed", version, wantMajor, wantMinor)}
	}
	return version, nil
}
