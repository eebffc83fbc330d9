package fleet

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for _, c := range []struct{ gateway, class, want string }{
		{"public", "headgate", "public-headgate"},
		{"same-namespace-with-https-listener", "headgate", "same-namespace-with-https-listener-headgate"},
		{"my.gateway", "headgate", "my-gateway-headgate-beef341870"},
		{"1st", "headgate", "gateway-1st-headgate-91e00cf3d4"},
		{"public", "a-0123456789", "public-a-0123456789-6b31d53159"},
		{strings.Repeat("a", 54), "headgate", strings.Repeat("a", 54) + "-headgate"},
		{strings.Repeat("a", 55), "headgate", strings.Repeat("a", 52) + "-28efc9f78c"},
	} {
		if got := Name(c.gateway, c.class); got != c.want {
			t.Errorf("%s of class %s: %s, want %s", c.gateway, c.class, got, c.want)
		}
	}
}

// TestNamesAreApart holds that a name is good for a Service and that no two Gateways of one class share one, whatever they are called.
func TestNamesAreApart(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	good := regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	seen := map[string]string{}
	for i := range 20_000 {
		gateway := randomName(random)
		if i%2 == 1 {
			// What another Gateway's name became, as the name of a Gateway.
			gateway = strings.TrimSuffix(Name(gateway, "headgate"), "-headgate")
		}
		name := Name(gateway, "headgate")
		if len(name) > maxName || !good.MatchString(name) {
			t.Fatalf("%q becomes %q, which is no name of a Service", gateway, name)
		}
		if other, ok := seen[name]; ok && other != gateway {
			t.Fatalf("%q and %q are both %q", gateway, other, name)
		}
		seen[name] = gateway
		if v := labelValue(gateway); len(v) > maxName {
			t.Fatalf("%q is no value of a label", v)
		}
	}
}

func randomName(random *rand.Rand) string {
	const first, rest = "abc019", "ab0.-"
	length := 1 + random.IntN(8)
	if random.IntN(3) == 0 {
		length = 50 + random.IntN(203)
	}
	var b strings.Builder
	b.WriteByte(first[random.IntN(len(first))])
	for b.Len() < length-1 {
		c := rest[random.IntN(len(rest))]
		if last := b.String()[b.Len()-1]; c == '.' && (last == '.' || last == '-') || c == '-' && last == '.' {
			c = 'z'
		}
		b.WriteByte(c)
	}
	return b.String() + "x"
}

// TestLabelOfALongName is the example of GEP-1762.
func TestLabelOfALongName(t *testing.T) {
	got := labelValue("example-very-very-very-very-very-very-very-very-very-long-gateway-name")
	if want := "example-very-very-ve-65cb6f84bc9e50270d0a6c2f845fd98c6fe8d89f"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func ExampleName() {
	fmt.Println(Name("public", "headgate"))
	// Output: public-headgate
}
