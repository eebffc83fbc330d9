package main

import (
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"headgate.dev/proxy/fleet"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/pki"
	"headgate.dev/schema"
)

// TestFleetRunsThisProxy holds the pods of a fleet against the command that runs in them: every flag is one of `headgate proxy`, the
// files are mounted, the probes ask the port that it serves.
func TestFleetRunsThisProxy(t *testing.T) {
	threads := int32(3)
	in := fleet.Input{
		Gateway:    fleet.Gateway{Name: model.Name{Namespace: "infra", Name: "public"}, UID: "1", Class: "headgate"},
		Controller: fleet.Controller{Image: "headgate", XDS: "headgate.headgate-system.svc:18000", Exchange: "headgate.headgate-system.svc:18001"},
		Config: schema.ProxyConfigSpec{
			Concurrency: &threads,
			Drain:       &schema.ProxyDrain{Delay: "3s", Timeout: "1m30s"},
			Logging:     &schema.ProxyLogging{Level: "debug", Format: "text"},
		},
	}
	var d appsv1.Deployment
	for _, o := range fleet.Objects(in) {
		if o.GetKind() == "Deployment" && o.Manager == fleet.Manager {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &d); err != nil {
				t.Fatal(err)
			}
		}
	}
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]

	root := rootCommand(streams{out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }})
	command, args, err := root.Find(c.Args)
	if err != nil || command.Name() != "proxy" {
		t.Fatalf("%v is no command: %v", c.Args, err)
	}
	if err := command.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	if left := command.Flags().Args(); len(left) > 0 {
		t.Errorf("arguments left: %v", left)
	}
	flag := func(name string) string { return command.Flag(name).Value.String() }
	for name, want := range map[string]string{
		"xds": in.Controller.XDS, "exchange": in.Controller.Exchange, "concurrency": "3",
		"drain-delay": "3s", "drain-timeout": "1m30s", "log-level": "debug", "log-format": "text",
	} {
		if flag(name) != want {
			t.Errorf("--%s is %s, want %s", name, flag(name), want)
		}
	}
	for _, name := range []string{"token", "anchors", "dir"} {
		mounted := false
		for _, m := range c.VolumeMounts {
			mounted = mounted || flag(name) == m.MountPath || strings.HasPrefix(flag(name), m.MountPath+"/")
		}
		if !mounted {
			t.Errorf("--%s=%s is not on a volume", name, flag(name))
		}
	}
	if _, port, ok := strings.Cut(flag("health"), ":"); !ok || port != strconv.Itoa(c.ReadinessProbe.HTTPGet.Port.IntValue()) {
		t.Errorf("--health is %s, and the probes ask %s", flag("health"), c.ReadinessProbe.HTTPGet.Port.String())
	}
	for path, probe := range map[string]string{
		c.LivenessProbe.HTTPGet.Path: "/livez", c.ReadinessProbe.HTTPGet.Path: "/readyz",
	} {
		if path != probe || !strings.Contains(command.Long, path) {
			t.Errorf("%s is probed; the proxy has %s", path, probe)
		}
	}
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace != 98*time.Second {
		t.Errorf("a grace of %s, want delay, timeout and 5 s", grace)
	}
	if fleet.Audience != pki.Audience || !strings.HasPrefix(fleet.ABI, envoyVersion+"-") {
		t.Errorf("audience %s, want %s; ABI %s of Envoy %s", fleet.Audience, pki.Audience, fleet.ABI, envoyVersion)
	}
}
