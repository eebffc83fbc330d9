package deploy

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	readVerbs  = "get list watch"
	fleetVerbs = "create delete get list patch watch"
)

// clusterPermissions is everything that the controller may do in the whole cluster: "group/resource" to verbs.
var clusterPermissions = map[string]string{
	"gateway.networking.k8s.io/backendtlspolicies": readVerbs,
	"gateway.networking.k8s.io/gatewayclasses":     readVerbs,
	"gateway.networking.k8s.io/gateways":           readVerbs,
	"gateway.networking.k8s.io/grpcroutes":         readVerbs,
	"gateway.networking.k8s.io/httproutes":         readVerbs,
	"gateway.networking.k8s.io/listenersets":       readVerbs,
	"gateway.networking.k8s.io/referencegrants":    readVerbs,
	"gateway.networking.k8s.io/tcproutes":          readVerbs,
	"gateway.networking.k8s.io/tlsroutes":          readVerbs,
	"gateway.networking.k8s.io/udproutes":          readVerbs,

	"gateway.networking.k8s.io/backendtlspolicies/status": "update",
	"gateway.networking.k8s.io/gatewayclasses/status":     "update",
	"gateway.networking.k8s.io/gateways/status":           "update",
	"gateway.networking.k8s.io/grpcroutes/status":         "update",
	"gateway.networking.k8s.io/httproutes/status":         "update",
	"gateway.networking.k8s.io/listenersets/status":       "update",
	"gateway.networking.k8s.io/tcproutes/status":          "update",
	"gateway.networking.k8s.io/tlsroutes/status":          "update",
	"gateway.networking.k8s.io/udproutes/status":          "update",

	"headgate.dev/proxyconfigs":       readVerbs,
	"/namespaces":                     readVerbs,
	"/secrets":                        readVerbs,
	"discovery.k8s.io/endpointslices": readVerbs,
	"apiextensions.k8s.io/customresourcedefinitions": readVerbs,

	"/configmaps":                          fleetVerbs,
	"/serviceaccounts":                     "create delete get impersonate list patch watch",
	"/services":                            fleetVerbs,
	"apps/deployments":                     fleetVerbs,
	"autoscaling/horizontalpodautoscalers": fleetVerbs,
	"policy/poddisruptionbudgets":          fleetVerbs,

	"headgate.dev/syncs":        "get list patch watch",
	"headgate.dev/syncs/status": "patch",

	"headgate.dev/previews":        "create delete get list patch watch",
	"headgate.dev/previews/status": "patch",

	"authentication.k8s.io/tokenreviews": "create",
	"/pods":                              "get",
	"/events":                            "create patch",
	"events.k8s.io/events":               "create patch",
}

// ownPermissions is what it may do besides in its own namespace.
var ownPermissions = map[string]string{
	"coordination.k8s.io/leases": "create get update",
	"/secrets":                   "create update",
}

func TestPermissions(t *testing.T) {
	all := build(t, "default")
	check(t, "ClusterRole", all["ClusterRole /headgate"].object.(*rbacv1.ClusterRole).Rules, clusterPermissions)
	check(t, "Role", all["Role headgate-system/headgate"].object.(*rbacv1.Role).Rules, ownPermissions)
	for id := range all {
		if strings.Contains(id, "Role") && !strings.HasSuffix(id, "/headgate") {
			t.Errorf("%s is not checked", id)
		}
	}
}

func check(t *testing.T, what string, rules []rbacv1.PolicyRule, want map[string]string) {
	t.Helper()
	got := map[string][]string{}
	for _, r := range rules {
		if len(r.NonResourceURLs) > 0 || len(r.ResourceNames) > 0 || len(r.APIGroups) == 0 || len(r.Resources) == 0 {
			t.Errorf("%s: a rule that is not checked: %v", what, r)
		}
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				key := fmt.Sprintf("%s/%s", group, resource)
				got[key] = append(got[key], r.Verbs...)
			}
		}
	}
	for key, verbs := range got {
		slices.Sort(verbs)
		if have := strings.Join(verbs, " "); have != want[key] {
			t.Errorf("%s: %s may be %s, want %q", what, key, have, want[key])
		}
	}
	for key := range want {
		if got[key] == nil {
			t.Errorf("%s: nothing about %s", what, key)
		}
	}
}

// TestEveryRuleHasItsReason holds that a comment stands above each rule.
func TestEveryRuleHasItsReason(t *testing.T) {
	rule := regexp.MustCompile(`^- apiGroups:`)
	for _, file := range []string{"rbac/clusterrole.yaml", "rbac/role.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if rule.MatchString(line) && !strings.HasPrefix(lines[i-1], "# ") {
				t.Errorf("%s:%d: a rule without its reason", file, i+1)
			}
		}
	}
}

// copyTo copies Files.
func copyTo(to filesys.FileSystem) error {
	return fs.WalkDir(Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := Files.ReadFile(path)
		if err != nil {
			return err
		}
		return to.WriteFile(path, data)
	})
}
