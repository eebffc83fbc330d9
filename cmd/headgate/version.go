package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// envoyVersion is the Envoy that headgate is written for and tested with.
const envoyVersion = "1.40.0"

type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Envoy   string `json:"envoy"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

// buildVersion reads what the Go toolchain stamped into the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: "unknown", Envoy: envoyVersion, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}

func versionCommand(s streams) *cobra.Command {
	output := "text"
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and the Envoy it goes with",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			v := buildVersion()
			if output == "json" {
				return json.NewEncoder(s.out).Encode(v)
			}
			_, err := fmt.Fprintf(s.out, "headgate %s (%s, %s), for Envoy %s\n", v.Version, v.Go, v.System, v.Envoy)
			return err
		},
	}
	c.Flags().StringVarP(&output, "output", "o", output, "text or json")
	mustComplete(c, "output", "text", "json")
	return c
}

// mustComplete registers the values of a flag; it can only go wrong for a flag that does not exist.
func mustComplete(c *cobra.Command, flag string, values ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, fixed(values...)); err != nil {
		panic(err)
	}
}
