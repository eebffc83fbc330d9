package pin

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func versions(t *testing.T) Versions {
	t.Helper()
	text, err := os.ReadFile("../../versions.txt")
	if err != nil {
		t.Fatal(err)
	}
	v, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestLocksHoldThePinnedVersions(t *testing.T) {
	v := versions(t)
	list, err := Components(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		for _, want := range []string{c.Origin + " v" + c.Version + "\n", "\ntoolchain go" + v["go"] + "\n"} {
			if !strings.Contains(c.Mod, want) {
				t.Errorf("the lock of %s has no %q: run `go run . pin .` in deploy/testcluster", c.Name, want)
			}
		}
		if !strings.Contains(c.Sum, c.Origin+" v"+c.Version+" h1:") {
			t.Errorf("the lock of %s has no checksum of it", c.Name)
		}
	}
}

// The cluster serves the CRDs that the product is built against, and everything is built by the same Go.
func TestVersionsOfTheProduct(t *testing.T) {
	v := versions(t)
	mod, err := os.ReadFile("../../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{`sigs\.k8s\.io/gateway-api v(\S+)`: v["gateway-api"], `toolchain go(\S+)`: v["go"]} {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(string(mod)); m == nil || m[1] != want {
			t.Errorf("the product has %q, versions.txt %s", m, want)
		}
	}
}

func TestParse(t *testing.T) {
	const whole = "go 1\nkubernetes 2.3.4 # why\n\netcd 3\ncontainerd 4\ncoredns 5\ngateway-api 6\n"
	v, err := Parse(whole)
	if err != nil || v["kubernetes"] != "2.3.4" {
		t.Errorf("%v, %v", v, err)
	}
	for text, want := range map[string]string{
		strings.Replace(whole, "etcd 3\n", "", 1): "no version of etcd",
		whole + "etcd 4\n":                        "line 8",
		whole + "etcd\n":                          "line 8",
		whole + "other 1\n":                       "only",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestKeySaysWhatComesOut(t *testing.T) {
	a := Component{Name: "x", Version: "1", Mod: "m", Sum: "s"}
	seen := map[string]bool{a.Key("linux/amd64"): true}
	for what, b := range map[string]Component{"mod": {Mod: "n", Sum: "s"}, "sum": {Mod: "m", Sum: "t"}, "boundary": {Mod: "ms"},
		"tags": {Mod: "m", Sum: "s", Tags: "t"}, "stamps": {Mod: "m", Sum: "s", Stamps: []string{"a=b"}}} {
		b.Name, b.Version = "x", "1"
		if key := b.Key("linux/amd64"); seen[key] || !strings.HasPrefix(key, "x-1-") {
			t.Errorf("another %s has the key %s again", what, key)
		}
		seen[b.Key("linux/amd64")] = true
	}
	if seen[a.Key("linux/arm64")] {
		t.Error("another platform has the same key")
	}
}

func TestReplacements(t *testing.T) {
	const mod = "module k8s.io/kubernetes\n\ngodebug default=go1.26\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n" +
		"\tother.io/x => ../x\n\tk8s.io/client-go => ./staging/src/k8s.io/client-go\n)\n"
	const want = "godebug default=go1.26\n\nreplace k8s.io/api => k8s.io/api v0.37.2\nreplace k8s.io/client-go => k8s.io/client-go v0.37.2\n"
	if got := replacements(mod, "1.37.2"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
