package deploy

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	rules "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// internalOf gives a definition as the API server has it inside.
func internalOf(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition) *apiextensions.CustomResourceDefinition {
	t.Helper()
	crd = crd.DeepCopy()
	apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	out := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, out, nil); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDefinitionsAreGood asks what an API server asks about the schemas of our custom resources: that they are structural, and that
// their rules compile and cost no more than it allows.
func TestDefinitionsAreGood(t *testing.T) {
	n := 0
	for id, m := range build(t, "crds") {
		schema := internalOf(t, m.object.(*apiextensionsv1.CustomResourceDefinition)).Spec.Validation.OpenAPIV3Schema
		s, err := structural.NewStructural(schema)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		for _, err := range structural.ValidateStructural(nil, s) {
			t.Errorf("%s: %v", id, err)
		}
		n += checkRules(t, id, s, false)
	}
	if n == 0 {
		t.Error("there are no rules")
	}
}

// ruleCost is the most that a rule may cost by the API server's estimate.
const ruleCost = 10_000_000

// checkRules compiles the rules of a schema and of everything in it, and counts them. In a list or map of unknown length a rule costs
// too much, whatever it is: there is none.
func checkRules(t *testing.T, path string, s *structural.Structural, repeated bool) int {
	t.Helper()
	n := len(s.XValidations)
	if n > 0 {
		if repeated {
			t.Errorf("%s: a rule that is not costed", path)
		}
		results, err := rules.Compile(s, model.SchemaDeclType(s, false), cel.PerCallLimit,
			environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), rules.NewExpressionsEnvLoader())
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for i, r := range results {
			if r.Error != nil || r.MaxCost > ruleCost {
				t.Errorf("%s: rule %q costs %d of %d: %v", path, s.XValidations[i].Rule, r.MaxCost, ruleCost, r.Error)
			}
		}
	}
	for name, property := range s.Properties {
		n += checkRules(t, path+"."+name, &property, repeated)
	}
	if s.Items != nil {
		n += checkRules(t, path+"[]", s.Items, true)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		n += checkRules(t, path+"{}", s.AdditionalProperties.Structural, true)
	}
	return n
}

// TestProxyConfigs holds which specs an API server takes, and what it says about the others.
func TestProxyConfigs(t *testing.T) {
	crd := build(t, "crds")["CustomResourceDefinition /proxyconfigs.headgate.dev"].object.(*apiextensionsv1.CustomResourceDefinition)
	check := checker(t, internalOf(t, crd))
	for _, c := range []struct{ spec, want string }{
		{`{}`, ""},
		{`{replicas: 0}`, ""},
		{`{replicas: -1}`, "spec.replicas"},
		{`{replicas: 2, autoscaling: {max: 3}}`, "exclude each other"},
		{`{autoscaling: {min: 3, max: 3, cpu: 80}}`, ""},
		{`{autoscaling: {min: 4, max: 3}}`, "min is above max"},
		{`{autoscaling: {min: 4}}`, "spec.autoscaling.max"},
		{`{autoscaling: {max: 3, memory: 80}}`, "spec.autoscaling.memory"},
		{`{concurrency: 0}`, "spec.concurrency"},
		{`{image: ""}`, "spec.image"},
		{`{drain: {delay: 0s, timeout: 1m30s}}`, ""},
		{`{drain: {timeout: 1.5s}}`, "spec.drain.timeout"},
		{`{drain: {timeout: 2h}}`, "an hour at most"},
		{`{drain: {timeout: 30}}`, "spec.drain.timeout"},
		{`{logging: {level: debug, format: text}}`, ""},
		{`{logging: {level: loud}}`, "spec.logging.level"},
		{`{service: {type: ExternalName}}`, "spec.service.type"},
		{`{service: {type: ClusterIP, externalTrafficPolicy: Local}}`, "externalTrafficPolicy needs"},
		{`{service: {externalTrafficPolicy: Local, loadBalancerClass: example.com/a, ipFamilies: [IPv6, IPv4], ipFamilyPolicy: RequireDualStack}}`, ""},
		{`{service: {type: NodePort, loadBalancerClass: example.com/a}}`, "loadBalancerClass needs"},
		{`{service: {type: NodePort, loadBalancerSourceRanges: [192.0.2.0/24]}}`, "loadBalancerSourceRanges needs"},
		{`{service: {ipFamilies: [IPX]}}`, "spec.service.ipFamilies"},
		{`{service: {staticAddresses: Stolen}}`, "spec.service.staticAddresses"},
		{`{labels: {team: edge, example.com/tier: ""}}`, ""},
		{`{labels: {headgate.dev/x: y}}`, "set by headgate itself"},
		{`{labels: {gateway.networking.k8s.io/gateway-name: y}}`, "set by headgate itself"},
		{`{labels: {"a b": y}}`, "a key is not one of a label"},
		{`{labels: {a: "not a value"}}`, "spec.labels.a"},
		{`{labels: {a: ` + strings.Repeat("x", 64) + `}}`, "spec.labels.a"},
		{`{annotations: {Example.com/Owner: "anything at all: {}"}}`, ""},
		{`{annotations: {headgate.dev/x: y}}`, "set by headgate itself"},
		{`{annotations: {"/x": y}}`, "a key is not one of an annotation"},
		{`{resources: {requests: {cpu: 5m, memory: 16Mi}, limits: {cpu: "1.5"}}}`, ""},
		{`{resources: {requests: {cpu: much}}}`, "spec.resources.requests"},
		{`{tolerations: [{operator: Exists}], topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}`, ""},
		{`{topologySpreadConstraints: [{maxSkew: 1}]}`, "topologyKey"},
		{`{affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: a, namespaceSelector: {}}]}}}`, ""},
		{`{replica: 3}`, "spec.replica"},
	} {
		switch got := check(c.spec); {
		case c.want == "" && got != "":
			t.Errorf("%s is refused: %s", c.spec, got)
		case c.want != "" && !strings.Contains(got, c.want):
			t.Errorf("%s: %q, want %q", c.spec, got, c.want)
		}
	}
}

// checker gives what an API server says about a spec: nothing, or everything that is wrong.
func checker(t *testing.T, crd *apiextensions.CustomResourceDefinition) func(spec string) string {
	t.Helper()
	schema := crd.Spec.Validation.OpenAPIV3Schema
	s, err := structural.NewStructural(schema)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(schema)
	if err != nil {
		t.Fatal(err)
	}
	expressions := rules.NewValidator(s, true, cel.PerCallLimit)
	return func(spec string) string {
		object := map[string]any{}
		text := "{apiVersion: headgate.dev/v1alpha1, kind: ProxyConfig, metadata: {name: edge}, spec: " + spec + "}"
		// Numbers become what they are in the API server, int64 where they are whole.
		if err := json.Unmarshal(jsonOf(t, []byte(text)), &object); err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		var out []string
		for _, unknown := range pruning.PruneWithOptions(object, s, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
			out = append(out, unknown+": unknown field")
		}
		errs := validation.ValidateCustomResource(nil, object, validator)
		broken, _ := expressions.Validate(context.Background(), field.NewPath(""), s, object, nil, cel.RuntimeCELCostBudget)
		for _, err := range append(errs, broken...) {
			out = append(out, err.Error())
		}
		return strings.Join(out, "; ")
	}
}
