package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cgroupMounts takes the mounted hierarchies out of /proc/self/mounts: those of version 1, and the one of version 2.
func cgroupMounts(mounts string) (v1 []string, v2 string) {
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		switch f[2] {
		case "cgroup":
			v1 = append(v1, f[1])
		case "cgroup2":
			v2 = f[1]
		}
	}
	return v1, v2
}

// makeCgroup makes a group of the name at the root of every hierarchy.
func makeCgroup(name string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	v1, v2 := cgroupMounts(string(mounts))
	if len(v1) == 0 && v2 == "" {
		return errors.New("no cgroup hierarchy is mounted")
	}
	for _, root := range v1 {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			return err
		}
		if err := inherit(root, name); err != nil {
			return err
		}
	}
	if v2 == "" || len(v1) > 0 { // beside version 1, version 2 has no controllers
		return nil
	}
	if err := os.MkdirAll(filepath.Join(v2, name), 0o755); err != nil {
		return err
	}
	for _, dir := range []string{v2, filepath.Join(v2, name)} {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+cpu +cpuset +memory +pids"), 0o644); err != nil {
			return fmt.Errorf("handing controllers to the pods: %w; the root of the cgroup namespace must hold no process", err)
		}
	}
	return nil
}

// inherit fills in the processors and memory nodes of a new version 1 cpuset, without which no process can enter it.
func inherit(root, name string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(root, file))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, name, file), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroup removes the group and all below it, in which nothing runs any more.
func removeCgroup(name string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	v1, v2 := cgroupMounts(string(mounts))
	for _, root := range append(v1, v2) {
		if root == "" {
			continue
		}
		var dirs []string
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, dir := range slices.Backward(dirs) { // the innermost first
			if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("removing control group: %w", err)
			}
		}
	}
	return nil
}
