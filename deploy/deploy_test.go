package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"headgate.dev/schema"
)

// decoder decodes every kind that we install and refuses a field that the kind does not have.
func decoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionv1.AddToScheme, appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
		rbacv1.AddToScheme, apiextensionsv1.AddToScheme, gwv1.Install, schema.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// manifest is one document, as text and as an object.
type manifest struct {
	text   []byte
	object runtime.Object
}

// id is kind, namespace and name.
func (m *manifest) id(t *testing.T) string {
	t.Helper()
	var o struct {
		Kind     string
		Metadata struct{ Namespace, Name string }
	}
	if err := yaml.Unmarshal(m.text, &o); err != nil {
		t.Fatal(err)
	}
	return o.Kind + " " + o.Metadata.Namespace + "/" + o.Metadata.Name
}

func (m *manifest) content(t *testing.T) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := yaml.Unmarshal(m.text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// read decodes a stream strictly.
func read(t *testing.T, stream []byte) map[string]*manifest {
	t.Helper()
	d := decoder(t)
	out := map[string]*manifest{}
	for _, text := range bytes.Split(append([]byte("\n"), stream...), []byte("\n---")) {
		if only := map[string]any{}; yaml.Unmarshal(text, &only) == nil && len(only) == 0 {
			continue
		}
		o, _, err := d.Decode(jsonOf(t, text), nil, nil)
		if err != nil {
			t.Errorf("%v in\n%.400s", err, text)
			continue
		}
		m := &manifest{text, o}
		id := m.id(t)
		if out[id] != nil {
			t.Errorf("%s is there twice", id)
		}
		out[id] = m
	}
	return out
}

func jsonOf(t *testing.T, text []byte) []byte {
	t.Helper()
	out, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatalf("%v in\n%.400s", err, text)
	}
	return out
}

// built keeps what build gave, which nobody changes.
var built = map[string]map[string]*manifest{}

// build builds a directory as `kubectl kustomize` does.
func build(t *testing.T, dir string) map[string]*manifest {
	t.Helper()
	if all := built[dir]; all != nil {
		return maps.Clone(all)
	}
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	built[dir] = read(t, text)
	return maps.Clone(built[dir])
}

// helm is the program that renders the chart, built by TestMain.
var helm string

// TestMain builds it once, with the modules that it has for itself.
func TestMain(m *testing.M) {
	code, err := func() (int, error) {
		dir, err := os.MkdirTemp("", "headgate-deploy-")
		if err != nil {
			return 1, err
		}
		defer os.RemoveAll(dir) //nolint:errcheck // it is the system's temporary directory
		helm = filepath.Join(dir, "helm")
		build := exec.Command("go", "-C", "tools/helm", "build", "-o", helm, ".")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return 1, fmt.Errorf("building tools/helm: %w", err)
		}
		return m.Run(), nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// template renders the chart with Helm's libraries.
func template(t *testing.T, namespace, values string) ([]byte, error) {
	t.Helper()
	chart, err := filepath.Abs("chart")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{chart, namespace}
	if values != "" {
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	out, err := exec.Command(helm, args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, errors.New(string(exit.Stderr))
	}
	return out, err
}

// withoutGatewayAPI takes away what Helm installs from the directory crds.
func withoutGatewayAPI(all map[string]*manifest) (rest, crds map[string]*manifest) {
	rest, crds = map[string]*manifest{}, map[string]*manifest{}
	for id, m := range all {
		if strings.HasSuffix(id, ".gateway.networking.k8s.io") {
			crds[id] = m
		} else {
			rest[id] = m
		}
	}
	return rest, crds
}

func compare(t *testing.T, what string, got, want map[string]*manifest) {
	t.Helper()
	for id, m := range want {
		if got[id] == nil {
			t.Errorf("%s lacks %s", what, id)
		} else if !reflect.DeepEqual(got[id].content(t), m.content(t)) {
			t.Errorf("%s differs in %s:\n%s\nwant\n%s", what, id, got[id].text, m.text)
		}
	}
	for id := range got {
		if want[id] == nil {
			t.Errorf("%s has %s besides", what, id)
		}
	}
}

// TestChartIsTheSame compares the chart with its own values to the kustomize bases. Helm makes the namespace itself.
func TestChartIsTheSame(t *testing.T) {
	text, err := template(t, "headgate-system", "")
	if err != nil {
		t.Fatal(err)
	}
	rest, crds := withoutGatewayAPI(read(t, text))
	want := build(t, "default")
	delete(want, "Namespace /headgate-system")
	compare(t, "the chart", rest, want)

	want = build(t, "gateway-api")
	for id := range want {
		if strings.HasPrefix(id, "ValidatingAdmissionPolicy") {
			delete(want, id) // Helm touches no custom resource again and needs no guard
		}
	}
	compare(t, "the chart's directory crds", crds, want)
}

// TestChartValues sets every value.
func TestChartValues(t *testing.T) {
	text, err := template(t, "edge", `
image: {repository: example.com/headgate, tag: v9, digest: "sha256:`+strings.Repeat("a", 64)+`", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
replicas: 3
logging: {level: debug}
extraArgs: [--pprof-address=127.0.0.1:6060]
resources: {limits: {memory: 1Gi}}
podLabels: {team: edge, app.kubernetes.io/name: mine}
podAnnotations: {example.com/owner: ada}
nodeSelector: {pool: edge}
tolerations: [{operator: Exists}]
affinity: {podAntiAffinity: {}}
priorityClassName: system-cluster-critical
gatewayClass: {name: edge, proxyConfig: {name: class, namespace: edge}}
networkPolicy: {apiServerPorts: [8443], gitPorts: [9418]}
agent: {cacheSize: 1Gi}
`)
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, text)
	d := got["Deployment edge/headgate"].object.(*appsv1.Deployment)
	pod := d.Spec.Template
	c := pod.Spec.Containers[0]
	for what, ok := range map[string]bool{
		"image":       c.Image == "example.com/headgate@sha256:"+strings.Repeat("a", 64),
		"pullPolicy":  c.ImagePullPolicy == corev1.PullAlways,
		"secrets":     len(pod.Spec.ImagePullSecrets) == 1,
		"replicas":    *d.Spec.Replicas == 3,
		"level":       slices.Contains(c.Args, "--log-level=debug"),
		"extraArgs":   slices.Contains(c.Args, "--pprof-address=127.0.0.1:6060"),
		"resources":   c.Resources.Limits.Memory().String() == "1Gi",
		"labels":      pod.Labels["team"] == "edge" && pod.Labels["app.kubernetes.io/name"] == "headgate",
		"annotations": pod.Annotations["example.com/owner"] == "ada",
		"selector":    pod.Spec.NodeSelector["pool"] == "edge",
		"tolerations": len(pod.Spec.Tolerations) == 1,
		"affinity":    pod.Spec.Affinity != nil,
		"cacheSize":   pod.Spec.Volumes[0].EmptyDir.SizeLimit.String() == "1Gi",
		"priority":    pod.Spec.PriorityClassName == "system-cluster-critical",
	} {
		if !ok {
			t.Errorf("%s does not reach the Deployment", what)
		}
	}
	class := got["GatewayClass /edge"].object.(*gwv1.GatewayClass)
	if p := class.Spec.ParametersRef; p == nil || p.Name != "class" || *p.Namespace != "edge" || string(p.Kind) != schema.KindProxyConfig {
		t.Errorf("the class names %+v", p)
	}
	if !bytes.Contains(got["NetworkPolicy edge/headgate"].text, []byte("8443")) {
		t.Error("the network policy does not know the API server's port")
	}
	if !bytes.Contains(got["NetworkPolicy edge/headgate"].text, []byte("9418")) {
		t.Error("the network policy does not know the port of Git hosts")
	}
	for id := range got {
		if strings.Contains(id, "headgate-system") || bytes.Contains(got[id].text, []byte("headgate-system")) {
			t.Errorf("%s names another namespace", id)
		}
	}

	text, err = template(t, "edge", "gatewayClass: {create: false}\nnetworkPolicy: {create: false}\npodDisruptionBudget: {create: false}\n")
	if err != nil {
		t.Fatal(err)
	}
	for id := range read(t, text) {
		for _, kind := range []string{"GatewayClass ", "NetworkPolicy ", "PodDisruptionBudget "} {
			if strings.HasPrefix(id, kind) {
				t.Errorf("%s is there", id)
			}
		}
	}
}

// TestChartRefusesWrongValues holds the values schema.
func TestChartRefusesWrongValues(t *testing.T) {
	for _, values := range []string{
		"replica: 3", "replicas: many", "image: {digest: latest}", "logging: {level: loud}", "extraArgs: [pprof]",
		"gatewayClass: {proxyConfig: {name: a}}", "gatewayClass: {name: UPPER}", "networkPolicy: {apiServerPorts: []}", "agent: {cacheSize: large}",
	} {
		if _, err := template(t, "edge", values); err == nil || !strings.Contains(err.Error(), "schema") {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// TestNothingHasAFinalizer is what makes an uninstall clean.
func TestNothingHasAFinalizer(t *testing.T) {
	for _, dir := range []string{"default", "gateway-api"} {
		for id, m := range build(t, dir) {
			if meta := m.content(t)["metadata"].(map[string]any); meta["finalizers"] != nil {
				t.Errorf("%s has a finalizer", id)
			}
		}
	}
}

// TestControllerIsRestricted holds the controller's pod against the Restricted level of the Pod Security Standards, which its
// namespace enforces, and what we promise beyond it.
func TestControllerIsRestricted(t *testing.T) {
	all := build(t, "default")
	namespace := all["Namespace /headgate-system"].object.(*corev1.Namespace)
	if namespace.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Error("the namespace does not enforce the level")
	}
	pod := all["Deployment headgate-system/headgate"].object.(*appsv1.Deployment).Spec.Template.Spec
	s := pod.SecurityContext
	if !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || len(s.Sysctls) > 0 {
		t.Errorf("the pod: %+v", s)
	}
	if pod.HostNetwork || pod.HostPID || pod.HostIPC || len(pod.InitContainers) > 0 {
		t.Error("the pod has something of the host")
	}
	for _, v := range pod.Volumes {
		if v.EmptyDir == nil || v.EmptyDir.SizeLimit == nil {
			t.Errorf("volume %s is not an empty directory with a limit", v.Name)
		}
	}
	for _, c := range pod.Containers {
		if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem ||
			!slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 || s.Privileged != nil {
			t.Errorf("the container: %+v", s)
		}
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				t.Errorf("a port of the host: %+v", p)
			}
		}
	}
}

// TestVersions holds that the image of the bases is the chart's.
func TestVersions(t *testing.T) {
	text, err := os.ReadFile("chart/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var chart struct{ Version, AppVersion string }
	if err := yaml.Unmarshal(text, &chart); err != nil {
		t.Fatal(err)
	}
	d := build(t, "default")["Deployment headgate-system/headgate"].object.(*appsv1.Deployment)
	if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, ":"+chart.AppVersion) || "v"+chart.Version != chart.AppVersion {
		t.Errorf("image %s, chart %s, application %s", image, chart.Version, chart.AppVersion)
	}
}

// TestFilesAreEverything builds from what the program has in it.
func TestFilesAreEverything(t *testing.T) {
	inMemory := filesys.MakeFsInMemory()
	if err := copyTo(inMemory); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"default", "gateway-api"} {
		m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(inMemory, dir)
		if err != nil {
			t.Fatal(err)
		}
		text, err := m.AsYaml()
		if err != nil {
			t.Fatal(err)
		}
		compare(t, dir, read(t, text), build(t, dir))
	}
}
