package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"headgate.dev/cmd/internal/lab"
)

func host(i int) string { return fmt.Sprintf("svc-%d.test", i) }

func file(i int) string { return fmt.Sprintf("svc-%d/service.yaml", i) }

func spec(i int, service string) string {
	return fmt.Sprintf("apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: svc-%d}\nspec:\n"+
		"  hosts: [%s]\n  service: %s\n  port: 8080\n", i, host(i), service)
}

// tree makes a repository of n services, one directory each: plain, or each listed by a root kustomization that sets a
// namespace and labels.
func tree(dir string, n int, kustomized bool) (*lab.Repo, error) {
	repo, err := lab.NewRepo(dir)
	if err != nil {
		return nil, err
	}
	var root strings.Builder
	root.WriteString("namespace: shop\nlabels:\n- pairs: {team: shop}\nresources:\n")
	for i := range n {
		if err := repo.Write(file(i), spec(i, fmt.Sprintf("svc-%d", i))); err != nil {
			return nil, err
		}
		if kustomized {
			if err := repo.Write(fmt.Sprintf("svc-%d/kustomization.yaml", i), "resources: [service.yaml]\n"); err != nil {
				return nil, err
			}
		}
		fmt.Fprintf(&root, "- svc-%d\n", i)
	}
	if kustomized {
		if err := repo.Write("kustomization.yaml", root.String()); err != nil {
			return nil, err
		}
	}
	_, err = repo.Commit("Begin")
	return repo, err
}

// memory reads the resident memory of a process and of its children together, in MiB.
func memory(pid int) (own, children float64) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		var p int
		if _, err := fmt.Sscan(e.Name(), &p); err != nil {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		if err != nil {
			continue
		}
		switch {
		case p == pid:
			own = field(string(status), "VmRSS:") / 1024
		case field(string(status), "PPid:") == float64(pid):
			children += field(string(status), "VmRSS:") / 1024
		}
	}
	return own, children
}

// idle measures the share of a core that a process uses over three seconds in which nothing is asked of it.
func idle(pid int) float64 {
	const span = 3 * time.Second
	before := cpu(pid)
	<-time.After(span)
	return (cpu(pid) - before) / span.Seconds()
}

// cpu is the CPU time of a process in seconds: fields 14 and 15 of /proc/PID/stat, in hundredths.
func cpu(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system float64
	if _, err := fmt.Sscan(fields[11], &user); err != nil {
		return 0
	}
	if _, err := fmt.Sscan(fields[12], &system); err != nil {
		return 0
	}
	return (user + system) / 100
}

// field reads a number of /proc/PID/status.
func field(status, name string) float64 {
	_, rest, _ := strings.Cut(status, "\n"+name)
	var v float64
	if _, err := fmt.Sscan(rest, &v); err != nil {
		return 0
	}
	return v
}
