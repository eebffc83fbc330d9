//go:build cluster

package deploy

import (
	"os/exec"
	"testing"
)

// TestClusterRules has Prometheus' own tool check and test the rules. It needs no cluster, but what only make cluster-deps installs.
func TestClusterRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("there is no promtool; make cluster-deps installs it")
	}
	for _, args := range [][]string{{"check", "rules", "headgate.rules.yaml"}, {"test", "rules", "headgate.rules.test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "monitoring"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v: %s", args, err, out)
		}
	}
}
