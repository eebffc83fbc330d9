package controller

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/pki"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/xds"
)

func kindOf(o kube.Object) kube.Kind {
	switch o.(type) {
	case *gwv1.GatewayClass:
		return kube.GatewayClass
	case *gwv1.Gateway:
		return kube.Gateway
	case *gwv1.HTTPRoute:
		return kube.HTTPRoute
	case *corev1.Namespace:
		return kube.Namespace
	default:
		panic(fmt.Sprintf("an object of type %T", o))
	}
}

// basics are what every story begins with, in namespace a.
func basics() []kube.Object {
	class := &gwv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "c", UID: "c", Generation: 1, ResourceVersion: "1"}}
	class.Spec.ControllerName = Name
	var out []kube.Object
	for i, name := range []string{"g", "idle"} {
		g := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, UID: types.UID(name), Generation: 1, ResourceVersion: strconv.Itoa(2 + i)}}
		g.Spec.GatewayClassName = "c"
		g.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}}
		out = append(out, g)
	}
	return append(out, class, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "a", ResourceVersion: "4"}})
}

// pathRoute is a route of shop.example for one path, and its want.
func pathRoute(name, path string, generation, version int64) (*gwv1.HTTPRoute, Want) {
	r := &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{
		Namespace: "a", Name: name, UID: types.UID(name), Generation: generation, ResourceVersion: strconv.FormatInt(version, 10),
	}}
	r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "g"}}
	r.Spec.Hostnames = []gwv1.Hostname{"shop.example"}
	r.Spec.Rules = []gwv1.HTTPRouteRule{{
		Matches: []gwv1.HTTPRouteMatch{{Path: &gwv1.HTTPPathMatch{Value: &path}}},
		Filters: []gwv1.HTTPRouteFilter{{Type: gwv1.HTTPRouteFilterRequestRedirect, RequestRedirect: &gwv1.HTTPRequestRedirectFilter{}}},
	}}
	return r, Want{
		Group: gwv1.GroupName, Kind: "HTTPRoute", Name: types.NamespacedName{Namespace: "a", Name: name}, UID: r.UID,
		Generation: generation, ResourceVersion: r.ResourceVersion,
	}
}

const (
	soon  = 200 * time.Millisecond // for what is not to come
	limit = 20 * time.Second       // for what is
)

// expect waits for what is wanted and compares.
func (r *fakeReplica) expect(what string, live string, wants ...Want) {
	r.t.Helper()
	got, err := r.wait(limit, wants...)
	if err != nil || describe(got) != live {
		r.t.Errorf("%s: %q, want %q: %v", what, describe(got), live, err)
	}
}

// pending expects that something is waited for.
func (r *fakeReplica) pending(what string, live string, wants ...Want) {
	r.t.Helper()
	got, err := r.wait(soon, wants...)
	if err == nil || describe(got) != live {
		r.t.Errorf("%s: %q, want %q and that it is waited for: %v", what, describe(got), live, err)
	}
}

func describe(l Live) string {
	var parts []string
	for _, g := range l.Gateways {
		parts = append(parts, fmt.Sprintf("%s %d/%d", g.Gateway, g.Acked, g.Total))
	}
	for _, r := range l.Refused {
		parts = append(parts, fmt.Sprintf("%s: %s", r.Object.Name, r.Message))
	}
	return strings.Join(parts, ", ")
}

// TestReplicas: two replicas with a proxy each, of which one leads.
func TestReplicas(t *testing.T) {
	authority := newAuthority(t)
	a, b := newFakeReplica(t, "a", authority), newFakeReplica(t, "b", authority)
	both := func(objects ...kube.Object) { a.sees(objects...); b.sees(objects...) }
	both(basics()...)
	p, _ := a.connect(authority, "p", "/bad")
	q, _ := b.connect(authority, "q", "/bad")
	stop := a.follow(b)
	gateway := types.NamespacedName{Namespace: "a", Name: "g"}
	a.tracker.ready(gateway, "g", 2)

	one, want := pathRoute("one", "/one", 1, 10)
	both(one)
	a.expect("a route", "a/g 2/2", want)
	a.expect("its Gateway, and one of another kind", "a/g 2/2", want, Want{Group: gwv1.GroupName, Kind: "Gateway", Name: gateway, UID: "g", Generation: 1}, Want{Group: "apps", Kind: "Deployment", UID: "d"})
	a.pending("a Gateway that nobody serves", "a/idle 0/0", Want{Group: gwv1.GroupName, Kind: "Gateway", Name: types.NamespacedName{Namespace: "a", Name: "idle"}, UID: "idle", Generation: 1})

	q.pause()
	one, want = pathRoute("one", "/uno", 2, 11)
	both(one)
	a.pending("one does not answer", "a/g 1/2", want)
	q.resume()
	a.expect("it answers", "a/g 2/2", want)

	one, want = pathRoute("one", "/eins", 3, 12)
	a.sees(one)
	a.pending("one replica has not seen it", "a/g 1/2", want)
	b.sees(one)
	a.expect("it has", "a/g 2/2", want)

	stop()
	a.pending("the replica is not heard and its proxy is not known", "a/g 1/2", want)
	one, want = pathRoute("one", "/ein", 4, 13)
	both(one)
	a.pending("nothing is known of what it does", "a/g 1/2", want)
	a.follow(b)
	a.expect("it is heard again", "a/g 2/2", want)

	two, wantTwo := pathRoute("two", "/two", 1, 20)
	bad, wantBad := pathRoute("one", "/bad", 5, 21)
	both(two)
	a.expect("another route of the host", "a/g 2/2", wantTwo)
	both(bad)
	a.expect("a route that is refused", "a/g 0/2, a/one: not /bad", wantBad)
	two, wantTwo = pathRoute("two", "/dos", 2, 22)
	both(two)
	a.expect("the other one goes on", "a/g 2/2", wantTwo)
	if v := a.tracker.route(kube.Ref{Kind: kube.HTTPRoute, Name: want.Name}, 5, gateway); v.refused != "not /bad" || v.live {
		t.Errorf("the refused route is %+v", v)
	}
	for _, proxy := range []*fakeProxy{p, q} {
		if !proxy.serves("/ein") || !proxy.serves("/dos") || proxy.serves("/bad") {
			t.Error("the refused route is not served as it was before, beside the other one")
		}
	}
	good, wantGood := pathRoute("one", "/good", 6, 23)
	both(good)
	a.expect("it is mended", "a/g 2/2", wantGood)

	name := wantGood.Name
	wantGood.Removed = true
	a.pending("it is to be removed", "", wantGood)
	a.loses(kube.HTTPRoute, name, 30)
	a.pending("one replica does not know", "a/g 1/2", wantGood)
	b.loses(kube.HTTPRoute, name, 30)
	a.expect("it is removed", "a/g 2/2", wantGood)
	if p.serves("/good") || q.serves("/good") {
		t.Error("it is served all the same")
	}
}

// A proxy that goes from one replica to another counts once, and has what it has.
func TestProxyMoves(t *testing.T) {
	authority := newAuthority(t)
	a, b := newFakeReplica(t, "a", authority), newFakeReplica(t, "b", authority)
	for _, r := range []*fakeReplica{a, b} {
		r.sees(basics()...)
	}
	a.follow(b)
	_, stop := b.connect(authority, "p", "")
	one, want := pathRoute("one", "/one", 1, 10)
	a.sees(one)
	b.sees(one)
	a.expect("at one", "a/g 1/1", want)
	stop()
	one, want = pathRoute("one", "/uno", 2, 11)
	a.sees(one)
	b.sees(one)
	a.pending("at none", "a/g 0/1", want)
	a.connect(authority, "p", "")
	a.expect("at the other", "a/g 1/1", want)
}

// Nobody without the certificate of a controller learns what replicas tell each other.
func TestProxiesMayNotFollow(t *testing.T) {
	authority, other := newAuthority(t), newAuthority(t)
	a := newFakeReplica(t, "a", authority)
	stranger, err := pki.NewDoor(other, pki.Controller{Namespace: "headgate-system", Pod: "b"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	strange, err := stranger.Call()
	if err != nil {
		t.Fatal(err)
	}
	strange.InsecureSkipVerify = true
	nothing := proxyTLS(t, authority, pki.Proxy{Namespace: "a", Gateway: "g", Pod: "p"})
	nothing.Certificates = nil
	proxy := proxyTLS(t, authority, pki.Proxy{Namespace: "a", Gateway: "g", Pod: "p"})
	for name, c := range map[string]struct {
		config *tls.Config
		says   string
	}{
		"a proxy":                  {proxy, "which is no controller"},
		"a controller of others":   {strange, ""},
		"one without certificates": {nothing, ""},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		err := xds.Follow(ctx, a.address, c.config, func([]byte) error { return errors.New("it was told something") })
		cancel()
		if err == nil || strings.Contains(err.Error(), "told something") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVerdicts: what is written about a route, and when.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name         string
		v            verdict
		there, stale bool
		want         string
		again        time.Duration
	}{
		{"acknowledged", verdict{live: true}, false, false, "True Acknowledged", 0},
		{"refused", verdict{refused: "no"}, true, false, "False Refused", 0},
		{"refused for its port", verdict{refused: "cannot bind '[::]:1': Address already in use"}, true, false, "False Refused", 0},
		{"new, with an Envoy", verdict{served: true, age: time.Second}, false, false, "", patience - time.Second},
		{"new, for long", verdict{served: true, age: patience}, false, false, "False Pending", 0},
		{"new, without an Envoy", verdict{age: time.Hour}, false, false, "", 0},
		{"after a restart", verdict{served: true, age: time.Hour}, true, false, "", 0},
		{"a new generation, without an Envoy", verdict{age: 0}, true, true, "", pace},
		{"a new generation, for a while", verdict{age: pace}, true, true, "False Pending", 0},
	} {
		got, again := c.v.condition(c.there, c.stale)
		said := ""
		if got != nil {
			said = string(got.Status) + " " + got.Reason
			if got.Type != condition.Live {
				t.Errorf("%s: type %s", c.name, got.Type)
			}
		}
		if said != c.want || again != c.again {
			t.Errorf("%s: %q again after %s, want %q, %s", c.name, said, again, c.want, c.again)
		}
	}
}

// TestFleetCount: the counts of a Gateway change when they are known and others.
func TestFleetCount(t *testing.T) {
	now := time.Unix(1000, 0)
	at := func(p ...uint64) live.Proxy { return live.Proxy{Point: p, Behind: true, Ready: true} }
	var c fleetCount
	for _, s := range []struct {
		name         string
		missing      int
		proxies      []live.Proxy
		after        time.Duration
		changed      bool
		acked, total int
	}{
		{"after a restart, none has called", 2, nil, 0, false, 0, 0},
		{"one has", 1, []live.Proxy{at(5)}, time.Second, false, 0, 0},
		{"all have", 0, []live.Proxy{at(5), at(6)}, time.Second, true, 2, 2},
		{"nothing is new", 0, []live.Proxy{at(9), at(6)}, time.Second, false, 2, 2},
		{"one stays behind", 0, []live.Proxy{at(4), at(6)}, time.Second, true, 1, 2},
		{"one is missing", 1, []live.Proxy{at(6)}, time.Second, false, 1, 2},
		{"it has been for long", 1, []live.Proxy{at(6)}, startup, false, 1, 2},
		{"it is not there any more", 0, []live.Proxy{at(6)}, time.Second, true, 1, 1},
	} {
		now = now.Add(s.after)
		changed := c.count(&live.Standing{Proxies: s.proxies, Missing: s.missing}, live.Point{5}, now)
		if changed != s.changed || c.acked != s.acked || c.total != s.total {
			t.Errorf("%s: changed %v, %d of %d; want %v, %d of %d", s.name, changed, c.acked, c.total, s.changed, s.acked, s.total)
		}
	}
}

// Reports of other releases, and such as make no sense, are not taken.
func TestReportsOnTheWire(t *testing.T) {
	r := live.Report{Point: live.Point{1, 2}, Whole: true, Fleets: map[string][]live.Proxy{
		"a/g": {{Name: "p", Ready: true, Refused: []live.RefusedObject{{Object: objectOf(kube.Ref{Kind: kube.HTTPRoute, Name: types.NamespacedName{Namespace: "a", Name: "r"}}), Message: "no"}}}},
	}}
	text, err := encodeReport(&r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeReport(text)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(r) {
		t.Errorf("%v: %v", got, err)
	}
	for _, bad := range []string{
		"{", strings.Replace(string(text), "GatewayClass ", "GatewayClass Future ", 1), strings.Replace(string(text), `"stream":2`, `"stream":99`, 1),
		strings.Replace(string(text), `"stream":2`, `"stream":-1`, 1),
	} {
		if got, err := decodeReport([]byte(bad)); err == nil {
			t.Errorf("%s: %v", bad, got)
		}
	}
}

// TestUnseenRemoval: a route is removed while one of two replicas does not watch. What a later list told that replica counts as live when
// its proxies have it, and not because they have acknowledged what it read before.
func TestUnseenRemoval(t *testing.T) {
	authority := newAuthority(t)
	a, b := newFakeReplica(t, "a", authority), newFakeReplica(t, "b", authority)
	a.follow(b)
	route, want := pathRoute("one", "/eins", 1, 10)
	for _, r := range []*fakeReplica{a, b} {
		r.sees(basics()...)
		r.sees(route)
	}
	gateway := types.NamespacedName{Namespace: "a", Name: "g"}
	a.tracker.ready(gateway, "g", 2)
	p, _ := a.connect(authority, "p", "")
	q, _ := b.connect(authority, "q", "")
	a.expect("it is there", "a/g 2/2", want)
	want.Removed = true
	a.loop.inbox.Put(kube.Change{Kind: kube.HTTPRoute, Name: want.Name, Unseen: true})
	a.pending("nobody knows as of when", "", want)
	list := live.Point(nil).With(int(kube.HTTPRoute), 30)
	a.loop.inbox.PutUpTo(list)
	a.tracker.known(list, time.Now().Add(time.Minute))
	a.pending("the other replica does not know", "a/g 1/2", want)
	b.loses(kube.HTTPRoute, want.Name, 25)
	b.loop.inbox.PutUpTo(list)
	a.expect("it is removed", "a/g 2/2", want)
	if p.serves("/eins") || q.serves("/eins") {
		t.Error("it is served all the same")
	}
}
