package hostname_test

import (
	"strings"
	"testing"

	"headgate.dev/proxy/resolve/hostname"
)

func TestHostnames(t *testing.T) {
	for _, c := range [][3]string{
		{"", "", "*"}, {"", "a.b", "a.b"}, {"*.b", "", "*.b"}, {"a.b", "a.b", "a.b"}, {"*.b", "a.b", "a.b"}, {"a.b", "*.b", "a.b"},
		{"*.b", "x.a.b", "x.a.b"}, {"*.b", "*.a.b", "*.a.b"}, {"*.a.b", "*.b", "*.a.b"}, {"*.b", "b", ""}, {"*.b", "ab", ""}, {"*.b", ".b", ""}, {"a.b", "c.b", ""}, {"*.a.b", "*.c.b", ""},
	} {
		if got, ok := hostname.Intersect(c[0], c[1]); got != c[2] || ok != (c[2] != "") {
			t.Errorf("%q and %q: %q, %v, want %q", c[0], c[1], got, ok, c[2])
		}
	}
	order := []string{"", "*.com", "*.example.com", "*.a.example.com", "a.b", "shop.example.com"}
	for i := 1; i < len(order); i++ {
		if hostname.Specificity(order[i-1]) >= hostname.Specificity(order[i]) {
			t.Errorf("%q is not less specific than %q", order[i-1], order[i])
		}
	}
	long := strings.Repeat("a", 63)
	for h, want := range map[string]bool{
		"a": true, "a.b": true, "*.a": true, "localhost": true, "1.example": true, long: true, "xn--bcher-kva.example": true,
		"": false, "*": false, "*.": false, "a..b": false, "-a": false, "a-": false, "10.0.0.1": false, "a.b.": false, "a_b": false, "*.*.a": false, "a.*": false,
		long + "a": false, strings.Repeat("a.", 127) + "a": false, "a:80": false,
	} {
		if got := hostname.Valid(h); got != want {
			t.Errorf("Valid(%q) = %v", h, got)
		}
	}
}
