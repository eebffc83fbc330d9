package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// gatewayProfiles are the profiles that a run covers.
var gatewayProfiles = []suite.ConformanceProfile{
	suite.GatewayHTTPConformanceProfile, suite.GatewayGRPCConformanceProfile, suite.GatewayTLSConformanceProfile,
	suite.GatewayTCPConformanceProfile, suite.GatewayUDPConformanceProfile,
}

// gatewayTests are the suite's tests of Gateways.
func gatewayTests() []suite.ConformanceTest {
	return slices.DeleteFunc(slices.Clone(tests.ConformanceTests), func(t suite.ConformanceTest) bool {
		return slices.Contains(t.Features, features.SupportMesh)
	})
}

// known are the names of the suite's tests of Gateways.
var known = func() map[string]bool {
	names := map[string]bool{}
	for _, t := range gatewayTests() {
		names[t.ShortName] = true
	}
	return names
}()

// allFeatures are the features that a test of Gateways needs, sorted.
func allFeatures() []string {
	all := map[string]bool{}
	for _, t := range gatewayTests() {
		for _, f := range t.Features {
			all[string(f)] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// memberships are the profiles that a test counts in, each with core or extended behind it.
func memberships(t suite.ConformanceTest) []string {
	var in []string
	for _, p := range gatewayProfiles {
		kind := "core"
		for _, f := range t.Features {
			switch {
			case p.CoreFeatures.Has(f):
			case p.ExtendedFeatures.Has(f):
				kind = "extended"
			default:
				kind = ""
			}
			if kind == "" {
				break
			}
		}
		if kind != "" {
			in = append(in, strings.TrimPrefix(string(p.Name), "GATEWAY-")+" "+kind)
		}
	}
	return in
}

// whole adds the tests that a run of all of them did not come to.
func whole(results map[string]result) map[string]result {
	for _, t := range gatewayTests() {
		if _, ok := results[t.ShortName]; !ok {
			results[t.ShortName] = result{Name: t.ShortName}
		}
	}
	return results
}

// table is the summary of a run as Markdown: counts by profile, then each test that did not pass.
func table(results map[string]result, took time.Duration) string {
	total, counts := map[string]int{}, map[string]map[string]int{}
	var bad []string
	for _, t := range gatewayTests() {
		r, ok := results[t.ShortName]
		if !ok {
			continue
		}
		if r.Outcome == "" {
			r.Outcome = "not run"
		}
		in := memberships(t)
		total[r.Outcome]++
		for _, m := range in {
			if counts[m] == nil {
				counts[m] = map[string]int{}
			}
			counts[m][r.Outcome]++
		}
		if r.Outcome != "pass" {
			bad = append(bad, fmt.Sprintf("| %s | %s | %s | %.0f | %s |\n", t.ShortName, r.Outcome, strings.Join(in, ", "), r.Seconds,
				strings.ReplaceAll(r.Reason, "|", `\|`)))
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%d passed, %d failed, %d skipped, %d not run, in %s.\n\n| profile | passed | failed | skipped | not run |\n|---|---|---|---|---|\n",
		total["pass"], total["fail"], total["skip"], total["not run"], took.Round(time.Second))
	for _, p := range gatewayProfiles {
		for _, kind := range []string{"core", "extended"} {
			m := strings.TrimPrefix(string(p.Name), "GATEWAY-") + " " + kind
			if c := counts[m]; c != nil {
				fmt.Fprintf(&out, "| %s | %d | %d | %d | %d |\n", m, c["pass"], c["fail"], c["skip"], c["not run"])
			}
		}
	}
	if len(bad) > 0 {
		slices.Sort(bad)
		out.WriteString("\n| test | outcome | profiles | seconds | first error |\n|---|---|---|---|---|\n" + strings.Join(bad, ""))
	}
	return out.String()
}
