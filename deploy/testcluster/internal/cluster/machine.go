package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"headgate.dev/deploy/testcluster/internal/postgres"
)

// cniDirs are where distributions keep the CNI plugins.
var cniDirs = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// programs of the machine that the node needs, with the Debian package of each.
var programs = [][2]string{{"ip", "iproute2"}, {"mount", "mount"}, {"nft", "nftables"}, {"runc", "runc"}}

// MissingPackages names the Debian packages that the machine lacks.
func MissingPackages() []string {
	var missing []string
	for _, p := range programs {
		if !found(p[0]) {
			missing = append(missing, p[1])
		}
	}
	if _, err := cniDir(); err != nil {
		missing = append(missing, "containernetworking-plugins")
	}
	slices.Sort(missing)
	return missing
}

// testPrograms are programs that tests in the cluster need beside it, with the Debian package of each.
var testPrograms = [][2]string{{"prometheus-alertmanager", "prometheus-alertmanager"}, {"promtool", "prometheus"}}

// MissingForTests names the Debian packages that the cluster does without and that tests need.
func MissingForTests() []string {
	var missing []string
	for _, p := range testPrograms {
		if !found(p[0]) {
			missing = append(missing, p[1])
		}
	}
	if !postgres.Installed() {
		missing = append(missing, "postgresql")
	}
	return missing
}

// found looks where the node looks too, whatever the path of the user.
func found(program string) bool {
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	return slices.ContainsFunc([]string{"/usr/local/sbin", "/usr/sbin", "/sbin"}, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, program))
		return err == nil
	})
}

func cniDir() (string, error) {
	for _, dir := range cniDirs {
		all := true
		for _, plugin := range []string{"ptp", "host-local", "loopback"} {
			_, err := os.Stat(filepath.Join(dir, plugin))
			all = all && err == nil
		}
		if all {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no CNI plugins in %s", strings.Join(cniDirs, ", "))
}

// Fit says whether this machine can run a cluster, and if not, what to do.
func Fit() error {
	if os.Geteuid() != 0 {
		return errors.New("a test cluster needs root: it makes namespaces, mounts and interfaces; run it as root, in a container or virtual machine if you like")
	}
	if missing := MissingPackages(); len(missing) > 0 {
		return fmt.Errorf("missing on this machine: %s; on Debian run `testcluster packages --install` (make cluster-deps)",
			strings.Join(missing, " "))
	}
	return nil
}

// InstallPackages installs what is missing with apt-get and shows what that says.
func InstallPackages(packages []string) error {
	if os.Geteuid() != 0 || !found("apt-get") {
		return fmt.Errorf("installing %s needs root and apt-get; install them with the package manager of this machine", strings.Join(packages, " "))
	}
	if slices.Contains(packages, "postgresql") {
		if err := postgres.WithoutServer(); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-qq", "-y", "--no-install-recommends"}, packages...)} {
		cmd := exec.Command("apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}
