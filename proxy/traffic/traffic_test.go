package traffic

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headgate.dev/proxy/model"
)

func service(name string) model.ClusterID {
	return model.ClusterID{Service: model.Name{Namespace: "web", Name: name}, Port: 80, Protocol: model.HTTP}
}

func hostOf(routes ...model.Route) *model.Host {
	for i := range routes {
		routes[i].Source = model.Source{Kind: "HTTPRoute", Name: model.Name{Namespace: "web", Name: "shop"}, Rule: i}
	}
	return &model.Host{ID: model.HostID{Name: "shop.test"}, Routes: routes}
}

func to(backends ...model.Backend) *model.Forward { return &model.Forward{Backends: backends} }

func TestRows(t *testing.T) {
	five := 5 * time.Second
	h := hostOf(
		model.Route{
			Match:   model.Match{PathKind: model.PathExact, Path: "/x", Method: "GET", Headers: []model.ValueMatch{{Name: "x-ring", Value: "b.*", Regex: true}}},
			Forward: to(model.Backend{Cluster: service("a"), Weight: 9}, model.Backend{Weight: 1}),
		},
		model.Route{
			Match:    model.Match{Path: "/old", Query: []model.ValueMatch{{Name: "q", Value: "1"}}},
			Redirect: &model.Redirect{Scheme: "https", Host: "new.test", Port: 8443, Path: &model.PathEdit{Prefix: true, Value: "/new/"}, Code: 308},
		},
		model.Route{Match: model.Match{Path: "/"}, Redirect: &model.Redirect{Scheme: "https", Code: 301}},
		model.Route{Match: model.Match{PathKind: model.PathExact, Path: "/www"}, Redirect: &model.Redirect{Host: "www.test", Code: 302}},
		model.Route{Match: model.Match{Path: "/p"}, Redirect: &model.Redirect{Port: 8080, Code: 302}},
		model.Route{Match: model.Match{Path: "/here"}, Redirect: &model.Redirect{Code: 302, Path: &model.PathEdit{Value: "/there"}}},
		model.Route{
			Match: model.Match{Path: "/"},
			Forward: &model.Forward{
				Backends: []model.Backend{{Cluster: model.ClusterID{Service: model.Name{Namespace: "other", Name: "b"}, Port: 81}, Weight: 1}},
				Timeout:  &five, Retry: &model.Retry{Attempts: 2, Codes: []int{502, 503}},
				Rewrite: &model.Rewrite{Host: "in.test", Path: &model.PathEdit{Value: "/y"}},
				Mirrors: []model.Mirror{{Cluster: service("m"), Numerator: 1, Denominator: 8}},
			},
			RequestHeaders: &model.HeaderEdit{Remove: []string{"x-r"}, Set: []model.Header{{Name: "x-s", Value: "1"}}, Add: []model.Header{{Name: "x-a", Value: "2"}}},
		},
		model.Route{Match: model.Match{PathKind: model.PathRegex, Path: "/e.*"}, Status: 500},
	)
	var got []string
	for _, r := range Rows(h) {
		got = append(got, r.Host+" "+r.Request+" → "+r.Answer)
		for _, d := range r.Details {
			got = append(got, "  "+d)
		}
	}
	want := []string{
		"shop.test GET =/x x-ring: ~b.* → a:80 (90 %), 500 (10 %)",
		"shop.test /old ?q=1 → 308 https://new.test:8443/new/*",
		"shop.test / → 301 https://shop.test/...",
		"shop.test =/www → 302 http://www.test/www",
		"shop.test /p → 302 http://shop.test:8080/...",
		"shop.test /here → 302 /there",
		"shop.test / → other/b:81",
		"  remove x-r", "  set x-s: 1", "  add x-a: 2",
		"  rewrite in.test/y", "  timeout 5s", "  retry 2 on 502 503", "  mirror 12.5 % to m:80",
		"shop.test ~/e.* → 500",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDiff(t *testing.T) {
	a := model.Route{Match: model.Match{Path: "/a"}, Forward: to(model.Backend{Cluster: service("a"), Weight: 1})}
	b := model.Route{Match: model.Match{Path: "/b"}, Forward: to(model.Backend{Cluster: service("b"), Weight: 1})}
	flipped := model.Route{Match: model.Match{Path: "/a"}, Forward: b.Forward}
	ten := 10 * time.Second
	slower := model.Route{Match: model.Match{Path: "/a"}, Forward: &model.Forward{Backends: a.Forward.Backends, Timeout: &ten}}
	for _, c := range []struct {
		name          string
		before, after *model.Host
		want          []string
	}{
		{"nothing", nil, nil, nil},
		{"host came", nil, hostOf(a), []string{"+ /a a:80"}},
		{"host went", hostOf(a), nil, []string{"- /a a:80"}},
		{"reordered", hostOf(a, b), hostOf(b, a), nil},
		{"backend", hostOf(a, b), hostOf(flipped, b), []string{"~ /a a:80 → b:80"}},
		{"detail", hostOf(a), hostOf(slower), []string{"~ /a a:80 → a:80"}},
		{"the same request twice", hostOf(a, a), hostOf(a), []string{"- /a a:80"}},
		{"one for another", hostOf(a), hostOf(b), []string{"+ /b b:80", "- /a a:80"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, ch := range Diff(Rows(c.before), Rows(c.after)) {
				switch {
				case ch.Before == nil:
					got = append(got, "+ "+ch.After.Request+" "+ch.After.Answer)
				case ch.After == nil:
					got = append(got, "- "+ch.Before.Request+" "+ch.Before.Answer)
				default:
					got = append(got, "~ "+ch.After.Request+" "+ch.Before.Answer+" → "+ch.After.Answer)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
