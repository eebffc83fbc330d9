package xds

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/live"
)

// TestEpochsThatGoOutTogether publishes two epochs before the stream wakes. What the first brings of its own accord, the
// table behind a new scope, is owed since the first, not since the one it happens to be sent with.
func TestEpochsThatGoOutTogether(t *testing.T) {
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprintf("refused=%t", refused), func(t *testing.T) {
			f := &fleetUnderTest{t: t, state: newState(), live: live.NewFleet(compareKeys)}
			f.publish(1, scopeChange(t, "old", "old"), Change{Key: envoy.Key{Type: envoy.RouteType, Name: "old"}, Version: "1", Body: []byte{}})
			f.session = newSession("p", f.state, f.live, time.Second)
			f.open(envoy.ScopeType)
			f.open(envoy.RouteType, "old")
			f.answer(nil)

			changed := f.publish(2, scopeChange(t, "new", "new"), Change{Key: envoy.Key{Type: envoy.RouteType, Name: "new"}, Version: "1", Body: []byte{}})
			changed = append(changed, f.publish(3, Change{Key: envoy.Key{Type: envoy.RouteType, Name: "old"}, Version: "2", Body: []byte{}})...)
			f.session.change(changed, time.Time{})
			sent := f.session.take().responses
			if len(sent) != 3 || sent[0].typ != envoy.ScopeType || sent[1].writes[0].Name != "new" {
				t.Fatalf("sent %+v", sent)
			}
			f.reply(sent[0], nil)
			if st := f.live.Status(2); st.Pending != 1 {
				t.Errorf("the table of epoch 2 is on its way, and epoch 2 is %+v", st)
			}
			var words *status.Status
			if refused {
				words = &status.Status{Message: "no"}
			}
			f.reply(sent[1], words)
			if st := f.live.Status(2); st.Live() == refused || len(f.live.Refused(2)) != map[bool]int{true: 1}[refused] {
				t.Errorf("answered, epoch 2 is %+v, refused %v", st, f.live.Refused(2))
			}
			if st := f.live.Status(3); st.Pending != 1 {
				t.Errorf("epoch 3 is %+v", st)
			}
		})
	}
}

// fleetUnderTest is one session with what it works on.
type fleetUnderTest struct {
	t       *testing.T
	state   *state
	live    *live.Fleet[envoy.Key]
	session *session
}

func (f *fleetUnderTest) publish(epoch uint64, changes ...Change) []envoy.Key {
	changed, owed := f.state.publish(epoch, changes)
	f.live.Publish(epoch, owed)
	return changed
}

// open asks for a type for the first time.
func (f *fleetUnderTest) open(t envoy.Type, names ...string) {
	req := &discovery.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesSubscribe: names}
	if t == envoy.ScopeType {
		f.session.start(req, nil)
	}
	f.session.request(req, time.Time{})
}

// answer acknowledges everything sent so far.
func (f *fleetUnderTest) answer(words *status.Status) {
	for _, r := range f.session.take().responses {
		f.reply(r, words)
	}
}

func (f *fleetUnderTest) reply(r response, words *status.Status) {
	f.session.request(&discovery.DeltaDiscoveryRequest{
		TypeUrl: r.typ.URL(), ResponseNonce: strconv.FormatUint(r.nonce, 10), ErrorDetail: words}, time.Time{})
}

func scopeChange(t *testing.T, name, routes string) Change {
	t.Helper()
	body, err := proto.Marshal(&route.ScopedRouteConfiguration{RouteConfigurationName: routes})
	if err != nil {
		t.Fatal(err)
	}
	return Change{Key: envoy.Key{Type: envoy.ScopeType, Name: name}, Version: "1", Body: body}
}
