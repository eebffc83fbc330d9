package resolve

import (
	"strings"
	"testing"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func TestCheckRegex(t *testing.T) {
	for _, good := range []string{"/a", ".*", "/[a-z]{1,900}", `(?i)/\p{Greek}+\pL`, `\p{Lu}\P{Any}`, "(?P<x>a)(?<y>b)", `\Qa.b\E`, ".{1000}", `\\p{x}`, strings.Repeat(`\pL`, 8)} {
		if f := checkRegex(good); f != nil {
			t.Errorf("%q is refused: %s", good, f.message)
		}
	}
	for _, bad := range []string{"", "[", "a**", "(?=a)", `\1`, `\p{Letter}`, `\p{greek}`, `\pL{1000}`, "a\x00", "\xff", `\p{^Cn}`, `(a{2000})`} {
		if checkRegex(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"0s": 0, "1h2m3s4ms": time.Hour + 2*time.Minute + 3*time.Second + 4*time.Millisecond, "99999s": 99999 * time.Second, "500ms": 500 * time.Millisecond} {
		d := gwv1.Duration(text)
		if got, f := duration(&d, "x"); f != nil || *got != want {
			t.Errorf("%s: %v, %v", text, got, f)
		}
	}
	for _, text := range []string{"1", "s", "1.5s", "-1s", "100000s", "1h1m1s1ms1s", "1us", "1 s"} {
		d := gwv1.Duration(text)
		if got, f := duration(&d, "x"); f == nil {
			t.Errorf("%q is taken as %s", text, got)
		}
	}
}

func TestOrigins(t *testing.T) {
	for o, want := range map[string]bool{
		"*": true, "https://a.example": true, "http://*": true, "https://*.a.example:8443": true, "http://10.0.0.1:80": true, "https://*a.example": true,
		"": false, "a.example": false, "ftp://a": false, "https://": false, "https://a:": false, "https://a:b": false, "https://a/b": false, "https://a.*": false, "https://*.": false,
	} {
		if got := validOrigin(o); got != want {
			t.Errorf("validOrigin(%q) = %v", o, got)
		}
	}
}
