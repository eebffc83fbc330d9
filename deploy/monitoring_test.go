package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMetricsExist holds that each metric that a rule or the dashboard names is one that the program has.
func TestMetricsExist(t *testing.T) {
	have := map[string]bool{}
	declared := regexp.MustCompile(`(?:Name: +|NewDesc\()"(headgate_[a-z_]+)"`)
	for _, dir := range []string{"../agent", "../proxy"} {
		err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			for _, m := range declared.FindAllStringSubmatch(string(data), -1) {
				have[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"headgate_drift_open", "headgate_drift_detect_seconds", "headgate_drift_corrected_total", "headgate_alerts_total"} {
		if !have[name] {
			t.Errorf("the program has no %s", name)
		}
	}
	metric := regexp.MustCompile(`headgate_[a-z_]+`)
	for _, file := range []string{"monitoring/headgate.rules.yaml", "monitoring/headgate.rules.test.yaml", "monitoring/dashboard.json"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := metric.FindAllString(string(data), -1)
		if len(names) < 3 {
			t.Errorf("%s names %d metrics", file, len(names))
		}
		for _, name := range names {
			if !have[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s names %s, which is not there", file, name)
			}
		}
	}
	var dashboard struct{ Panels []json.RawMessage }
	data, err := os.ReadFile("monitoring/dashboard.json")
	if err != nil || json.Unmarshal(data, &dashboard) != nil || len(dashboard.Panels) == 0 {
		t.Error("the dashboard is no dashboard")
	}
}
