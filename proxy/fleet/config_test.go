package fleet

import (
	"reflect"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"headgate.dev/schema"
)

func TestMerge(t *testing.T) {
	for _, c := range []struct{ name, class, gateway, want string }{
		{"nothing", ``, ``, `{}`},
		{"only the class", `{replicas: 3}`, ``, `{replicas: 3}`},
		{"only the Gateway", ``, `{replicas: 3}`, `{replicas: 3}`},
		{"the Gateway wins", `{replicas: 3, image: a, concurrency: 2}`, `{replicas: 0, image: b}`, `{replicas: 0, image: b, concurrency: 2}`},
		{"a number ends the autoscaling", `{autoscaling: {max: 9}}`, `{replicas: 1}`, `{replicas: 1}`},
		{"autoscaling ends the number", `{replicas: 1}`, `{autoscaling: {max: 9}}`, `{autoscaling: {max: 9}}`},
		{"autoscaling by field", `{autoscaling: {min: 2, max: 9, cpu: 50}}`, `{autoscaling: {max: 20}}`, `{autoscaling: {min: 2, max: 20, cpu: 50}}`},
		{"a bound that does not fit", `{autoscaling: {min: 5, max: 9}}`, `{autoscaling: {max: 3}}`, `{autoscaling: {max: 3}}`},
		{
			"inside drain and logging", `{drain: {delay: 1s, timeout: 2s}, logging: {format: json}}`, `{drain: {timeout: 9s}, logging: {level: debug}}`,
			`{drain: {delay: 1s, timeout: 9s}, logging: {level: debug, format: json}}`,
		},
		{
			"inside service", `{service: {type: NodePort, annotations: {a: "1", b: "2"}, staticAddresses: External}}`,
			`{service: {annotations: {b: "3"}, staticAddresses: Requested}}`,
			`{service: {type: NodePort, annotations: {a: "1", b: "3"}, staticAddresses: Requested}}`,
		},
		{
			"foreign addresses are the class's to give", `{service: {type: NodePort}}`, `{service: {staticAddresses: External}}`,
			`{service: {type: NodePort}}`,
		},
		{"foreign addresses without a class", ``, `{service: {staticAddresses: External}}`, `{service: {}}`},
		{
			"labels add up, others are one value", `{labels: {a: "1"}, nodeSelector: {x: "1"}, tolerations: [{key: a}]}`,
			`{labels: {b: "2"}, nodeSelector: {y: "2"}, tolerations: []}`, `{labels: {a: "1", b: "2"}, nodeSelector: {y: "2"}, tolerations: []}`,
		},
	} {
		class, gateway, want := read(t, c.class), read(t, c.gateway), read(t, c.want)
		before := class.DeepCopy()
		got := Merge(class, gateway)
		if !reflect.DeepEqual(&got, want) {
			text, _ := yaml.Marshal(got)
			t.Errorf("%s: got\n%s", c.name, text)
		}
		if !reflect.DeepEqual(class, before) {
			t.Errorf("%s: the class's config was changed", c.name)
		}
	}
}

// TestMergeKnowsEveryField fails when a field was added to the type and not to Merge.
func TestMergeKnowsEveryField(t *testing.T) {
	full := readCase(t, "testdata/full.txtar")
	var class, own schema.ProxyConfig
	full.decode(t, "class.yaml", &class)
	full.decode(t, "config.yaml", &own)
	both := Merge(&class.Spec, &own.Spec)
	both.Concurrency = new(int32)
	both.Service.StaticAddresses = schema.AddressesRequested
	for _, replicas := range []bool{true, false} {
		one := both.DeepCopy()
		if replicas {
			one.Autoscaling, one.Replicas = nil, new(int32)
		}
		v := reflect.ValueOf(*one)
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Replicas" && name != "Autoscaling" {
				t.Errorf("the case does not set %s", name)
			}
		}
		if got := Merge(nil, one); !reflect.DeepEqual(&got, one) {
			t.Errorf("merging into nothing gives %+v, want %+v", got, one)
		}
	}
}

func read(t *testing.T, text string) *schema.ProxyConfigSpec {
	t.Helper()
	if text == "" {
		return nil
	}
	out := &schema.ProxyConfigSpec{}
	if err := yaml.UnmarshalStrict([]byte(text), out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDrain(t *testing.T) {
	for _, c := range []struct {
		drain          *schema.ProxyDrain
		delay, timeout time.Duration
		grace          int64
	}{
		{nil, 5 * time.Second, time.Minute, 70},
		{&schema.ProxyDrain{Delay: "0s", Timeout: "500ms"}, 0, 500 * time.Millisecond, 6},
		{&schema.ProxyDrain{Delay: "nonsense", Timeout: "9999h"}, 5 * time.Second, time.Minute, 70},
	} {
		in := basic()
		in.Config.Drain = c.drain
		if delay, timeout := drain(&in.Config); delay != c.delay || timeout != c.timeout {
			t.Errorf("%+v: %s and %s", c.drain, delay, timeout)
		}
		if got := *deploymentOf(t, in).Spec.Template.Spec.TerminationGracePeriodSeconds; got != c.grace {
			t.Errorf("%+v: a grace of %d s, want %d", c.drain, got, c.grace)
		}
	}
}
