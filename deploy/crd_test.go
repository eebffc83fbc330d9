package deploy

import (
	"context"
	"strconv"
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
		n += checkRules(t, id, s, 1)
	}
	if n == 0 {
		t.Error("there are no rules")
	}
}

// ruleCost is the most that a rule may cost by the API server's estimate.
const ruleCost = 10_000_000

// checkRules compiles the rules of a schema, which stands at most so many times in an object, and of everything in it, and counts them. In a list
// or map of unknown length (times is 0) a rule costs too much, whatever it is: there is none.
func checkRules(t *testing.T, path string, s *structural.Structural, times uint64) int {
	t.Helper()
	n := len(s.XValidations)
	if n > 0 {
		if times == 0 {
			t.Errorf("%s: a rule in a list or map of unknown length", path)
		}
		_, root := s.Properties["apiVersion"]
		results, err := rules.Compile(s, model.SchemaDeclType(s, root), cel.PerCallLimit,
			environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), rules.NewExpressionsEnvLoader())
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for i, r := range results {
			if r.Error != nil || r.MaxCost*times > ruleCost {
				t.Errorf("%s: rule %q costs %d of %d: %v", path, s.XValidations[i].Rule, r.MaxCost*times, ruleCost, r.Error)
			}
		}
	}
	for name, property := range s.Properties {
		n += checkRules(t, path+"."+name, &property, times)
	}
	if s.Items != nil {
		n += checkRules(t, path+"[]", s.Items, times*most(limits(s).MaxItems))
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		n += checkRules(t, path+"{}", s.AdditionalProperties.Structural, times*most(limits(s).MaxProperties))
	}
	return n
}

// most is a limit, 0 where there is none.
func most(limit *int64) uint64 {
	if limit == nil {
		return 0
	}
	return uint64(*limit)
}

// TestProxyConfigs holds which specs an API server takes, and what it says about the others.
func TestProxyConfigs(t *testing.T) {
	crd := build(t, "crds")["CustomResourceDefinition /proxyconfigs.headgate.dev"].object.(*apiextensionsv1.CustomResourceDefinition)
	checkSpecs(t, checker(t, internalOf(t, crd)), []specCase{
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
	})
}

// TestSyncs holds which specs an API server takes, and what it says about the others.
func TestSyncs(t *testing.T) {
	crd := build(t, "crds")["CustomResourceDefinition /syncs.headgate.dev"].object.(*apiextensionsv1.CustomResourceDefinition)
	check := checker(t, internalOf(t, crd))
	checkSpecs(t, check, []specCase{{`{}`, "spec.url"}, {`{url: ""}`, "spec.url"}})
	for _, c := range []specCase{
		{`https://git.example.com/team-a/shop`, ""},
		{`http://127.0.0.1:3000/a/b.git`, ""},
		{`ssh://git@git.example.com:2222/a/b`, ""},
		{`git@git.example.com:a/b.git`, ""},
		{`https://git.example.com/a@b/c`, ""},
		{`https://ada:secret@git.example.com/a`, "credentials belong"},
		{`https://token@git.example.com/a`, "credentials belong"},
		{`ssh://git:secret@git.example.com/a`, "credentials belong"},
		{`file:///etc`, "spec.url"},
		{`/etc`, "spec.url"},
		{`ftp://example.com/a`, "spec.url"},
		{`https://git.example.com/a b`, "spec.url"},
	} {
		checkSpecs(t, check, []specCase{{"{url: " + strconv.Quote(c.spec) + "}", c.want}})
	}
	for _, c := range syncCases {
		checkSpecs(t, check, []specCase{{"{url: 'https://git.example.com/a', " + c.spec + "}", c.want}})
	}
}

var syncCases = []specCase{
	{`ref: {branch: main}`, ""},
	{`ref: {branch: release/1.4, commit: 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2}`, ""},
	{`ref: {semver: ">=1.2.0 <2"}`, ""},
	{`ref: {name: refs/pull/4/head}`, ""},
	{`ref: {name: main}`, "spec.ref.name"},
	{`ref: {branch: -x}`, "spec.ref.branch"},
	{`ref: {branch: main, tag: v1}`, "name one of"},
	{`ref: {tag: v1, commit: 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2}`, "stands alone"},
	{`ref: {commit: 4f2a9c1}`, "spec.ref.commit"},
	{`path: clusters/prod`, ""},
	{`path: ./clusters/..prod`, ""},
	{`path: /etc`, "spec.path"},
	{`path: a/../../b`, "does not leave"},
	{`path: ..`, "does not leave"},
	{`gateway: infra/public`, ""},
	{`gateway: infra/public#https`, ""},
	{`gateway: public`, ""},
	{`gateway: a/b/c`, "spec.gateway"},
	{`interval: 30s, timeout: 1m30s`, ""},
	{`interval: 500ms`, "1s at least"},
	{`interval: 25h`, "a day at most"},
	{`interval: 1d`, "spec.interval"},
	{`timeout: 0s`, "1s at least"},
	{`secretRef: {name: shop-git}, proxy: {url: "http://proxy.example.com:3128", secretRef: {name: proxy}}`, ""},
	{`secretRef: {}`, "spec.secretRef.name"},
	{`proxy: {url: "http://ada:x@proxy.example.com"}`, "spec.proxy.url"},
	{`proxy: {url: "socks5://proxy.example.com"}`, ""},
	{`proxy: {url: "ftp://proxy.example.com"}`, "spec.proxy.url"},
	{`verify: {secretRef: {name: keys}}`, ""},
	{`verify: {mode: TagAndHEAD, secretRef: {name: keys}}`, ""},
	{`verify: {mode: HEAD}`, "spec.verify.secretRef"},
	{`verify: {mode: head, secretRef: {name: keys}}`, "spec.verify.mode"},
	{`monotonic: true, prune: false, suspend: true, wait: false, force: true, deletionPolicy: Orphan`, ""},
	{`deletionPolicy: Keep`, "spec.deletionPolicy"},
	{`dependsOn: [{name: platform, namespace: infra}, {name: other}]`, ""},
	{`dependsOn: [{namespace: infra}]`, "spec.dependsOn[0].name"},
	{`serviceAccountName: shop-deployer, targetNamespace: shop`, ""},
	{`serviceAccountName: "Not One"`, "spec.serviceAccountName"},
	{`targetNamespace: a.b`, "spec.targetNamespace"},
	{`substitute: {variables: {REGION: eu, _x: ""}, from: [{kind: ConfigMap, name: a}, {kind: Secret, name: b, optional: true}]}`, ""},
	{`substitute: {variables: {"1A": eu}}`, "no digit in front"},
	{`substitute: {variables: {"A-B": eu}}`, "no digit in front"},
	{`substitute: {variables: {A: 3}}`, "spec.substitute.variables"},
	{`substitute: {from: [{kind: Service, name: a}]}`, "from[0].kind"},
	{`ignore: [{target: {group: apps, kind: Deployment, name: "shop-*"}, fields: [/spec/replicas]}, {weights: true}]`, ""},
	{`ignore: [{fields: [/metadata/annotations/example.com~1a]}]`, ""},
	{`ignore: [{target: {kind: Deployment}}]`, "fields or weights"},
	{`ignore: [{fields: []}]`, "spec.ignore[0].fields"},
	{`ignore: [{fields: [spec.replicas]}]`, "fields[0]"},
	{`ignore: [{fields: [/a~2]}]`, "fields[0]"},
	{`pin: 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2`, ""},
	{`pin: HEAD`, "spec.pin"},
	{`drift: {policy: correct, severity: critical, pause: {until: "2026-12-24T06:00:00Z", reason: moving}}`, ""},
	{`drift: {rules: [{target: {kind: HTTPRoute, name: "shop-*"}, fields: ["/spec/rules/*/timeouts"], managers: ["kubectl*"], policy: alert, severity: info}]}`, ""},
	{`drift: {policy: Correct}`, "spec.drift.policy"},
	{`drift: {rules: [{managers: [a]}]}`, "rules[0].policy"},
	{`drift: {rules: [{fields: [spec], policy: ignore}]}`, "fields[0]"},
	{`drift: {rules: [{fields: [], policy: ignore}]}`, "rules[0].fields"},
	{`drift: {pause: {reason: later}}`, "pause.until"},
	{`notify: [{name: on-call, type: Alertmanager, url: "http://alertmanager.monitoring:9093", events: [drift, stale], severity: critical, kinds: [HTTPRoute]}]`, ""},
	{`notify: [{name: a, type: Slack, secretRef: {name: slack}}, {name: b, type: CommitStatus}, {name: c, type: Event, template: "{{.Title}}"}]`, ""},
	{`notify: [{name: a, type: Slack}]`, "url says where to"},
	{`notify: [{name: a, type: Event, url: "http://a"}]`, "neither url nor secretRef"},
	{`notify: [{name: a, type: Mail, url: "http://a"}]`, "notify[0].type"},
	{`notify: [{name: a, type: Webhook, url: "http://ada:x@a/b"}]`, "notify[0].url"},
	{`notify: [{name: a, type: Webhook, url: "file:///etc"}]`, "notify[0].url"},
	{`notify: [{name: a, type: Webhook, url: "http://a", events: [everything]}]`, "events[0]"},
	{`branch: main`, "spec.branch"},
}

// TestSyncNames holds that a name fits in a label, and that a status as the controller writes it is taken.
func TestSyncNames(t *testing.T) {
	crd := build(t, "crds")["CustomResourceDefinition /syncs.headgate.dev"].object.(*apiextensionsv1.CustomResourceDefinition)
	check := objectChecker(t, internalOf(t, crd))
	const head, spec = "{apiVersion: headgate.dev/v1alpha1, kind: Sync, metadata: {name: ", "}, spec: {url: 'https://git.example.com/a'}"
	for _, c := range []specCase{
		{head + strings.Repeat("a", 63) + spec + "}", ""},
		{head + strings.Repeat("a", 64) + spec + "}", "63 characters"},
		{head + "shop" + spec + `, status: {revision: "main@sha1:4f2a9c1", observedGeneration: 3, live: {revision: "main@sha1:4f2a9c1", took: 740ms,
			push: "2026-11-25T09:00:00.123456Z", since: "2026-11-25T09:00:01Z", stages: {fetch: 180ms, ack: 9ms},
			gateways: [{namespace: infra, name: public, acked: 3, total: 3}]}, inventory: {objects: 214, configMaps: [shop-inventory-0]},
			history: [{revision: "main@sha1:4f2a9c1", time: "2026-11-25T09:00:00Z", result: Applied}],
			conditions: [{type: Live, status: "True", reason: Acknowledged, message: "live on 3 of 3 Envoys", lastTransitionTime: "2026-11-25T09:00:00Z"}]}}`, ""},
		{head + "shop" + spec + `, status: {history: [{revision: a, time: "2026-11-25T09:00:00Z", result: Lost}]}}`, "result"},
	} {
		checkSpecs(t, check, []specCase{c})
	}
	columns := []string{}
	for _, c := range crd.Spec.Versions[0].AdditionalPrinterColumns {
		if c.Priority == 0 {
			columns = append(columns, strings.ToUpper(c.Name))
		}
	}
	if got := strings.Join(columns, " "); got != "REVISION LIVE READY MESSAGE AGE" {
		t.Errorf("columns: %s", got)
	}
}

// specCase is a spec and a part of what is said about it; nothing, where it is taken.
type specCase struct{ spec, want string }

func checkSpecs(t *testing.T, check func(string) string, cases []specCase) {
	t.Helper()
	for _, c := range cases {
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
	check := objectChecker(t, crd)
	return func(spec string) string {
		return check("{apiVersion: headgate.dev/v1alpha1, kind: " + crd.Spec.Names.Kind + ", metadata: {name: edge}, spec: " + spec + "}")
	}
}

// objectChecker is checker for a whole object.
func objectChecker(t *testing.T, crd *apiextensions.CustomResourceDefinition) func(text string) string {
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
	return func(text string) string {
		object := map[string]any{}
		// Numbers become what they are in the API server, int64 where they are whole.
		if err := json.Unmarshal(jsonOf(t, []byte(text)), &object); err != nil {
			t.Fatalf("%s: %v", text, err)
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

// limits are what a schema says of sizes; empty where it says nothing.
func limits(s *structural.Structural) structural.ValueValidation {
	if s.ValueValidation == nil {
		return structural.ValueValidation{}
	}
	return *s.ValueValidation
}
