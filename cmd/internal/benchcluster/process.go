package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// process is a process of a pod, by its ID on this machine, which sees those of the cluster.
type process int

// find finds the process of a pod with a name.
func find(pod *corev1.Pod, name string) (process, error) {
	entries, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return 0, err
	}
	uid := string(pod.UID)
	for _, comm := range entries {
		dir := filepath.Dir(comm)
		text, err := os.ReadFile(comm)
		if err != nil || strings.TrimSpace(string(text)) != name {
			continue // it may have ended
		}
		group, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !strings.Contains(strings.ReplaceAll(string(group), "_", "-"), uid) {
			continue
		}
		n, err := strconv.Atoi(filepath.Base(dir))
		return process(n), err
	}
	return 0, fmt.Errorf("pod %s has no process %s that this machine can see", pod.Name, name)
}

// pod gives the one pod with a label.
func (c *cluster) pod(ctx context.Context, namespace string, labels client.MatchingLabels) (*corev1.Pod, error) {
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(namespace), labels); err != nil {
		return nil, err
	}
	var running []*corev1.Pod
	for i := range pods.Items {
		if p := &pods.Items[i]; p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
			running = append(running, p)
		}
	}
	if len(running) != 1 {
		return nil, fmt.Errorf("%d pods in %s with %v, want 1", len(running), namespace, labels)
	}
	return running[0], nil
}

// memory gives what is in RAM now, and what was at most, in MiB.
func (p process) memory() (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", int(p)))
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) < 2 || (f[0] != "VmRSS:" && f[0] != "VmHWM:") {
			continue
		}
		kib, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			return 0, 0, err
		}
		if f[0] == "VmRSS:" {
			now = kib / 1024
		} else {
			most = kib / 1024
		}
	}
	return now, most, nil
}

// cpu is the processor time that was used.
func (p process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", int(p)))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), ") ") // a name may have spaces
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, errors.New("the kernel tells no times of a process")
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}
