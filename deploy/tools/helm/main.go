// Command helm renders a chart as Helm's own template command does, with the libraries of Helm and nothing of a cluster.
//
//	helm CHART NAMESPACE [VALUES]
//
// CHART is a directory, VALUES a file of values that go over the chart's own. The manifests are written to standard output, first
// those of the directory crds, which Helm installs where they are missing and never touches again.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return fmt.Errorf("arguments: CHART NAMESPACE [VALUES]")
	}
	chart, err := loader.LoadDir(args[0])
	if err != nil {
		return fmt.Errorf("reading the chart: %w", err)
	}
	own := chartutil.Values{}
	if len(args) == 3 {
		if own, err = chartutil.ReadValuesFile(args[2]); err != nil {
			return fmt.Errorf("reading the values: %w", err)
		}
	}
	release := chartutil.ReleaseOptions{Name: "headgate", Namespace: args[1], Revision: 1, IsInstall: true}
	// Checks the values against values.schema.json, too.
	values, err := chartutil.ToRenderValues(chart, own, release, chartutil.DefaultCapabilities)
	if err != nil {
		return fmt.Errorf("reading the values: %w", err)
	}
	files, err := engine.Render(chart, values)
	if err != nil {
		return fmt.Errorf("rendering the chart: %w", err)
	}
	for _, crd := range chart.CRDObjects() {
		fmt.Printf("---\n# %s\n%s\n", crd.Filename, crd.File.Data)
	}
	var names []string
	for name, text := range files {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(text) != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Printf("---\n# %s\n%s\n", name, files[name])
	}
	return nil
}
