package xds

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/live"
)

// envoyModel is a proxy as far as the protocol goes: it asks for the endpoints of its clusters, the routes of its scopes
// and the secrets of its clusters and listeners, ignores what it did not ask for, drops without an answer what is of a type
// that it never asked for, waits for the endpoints of a changed cluster without asking, applies nothing of a response with
// a bad resource (or a part of it), and forgets what it no longer needs. Messages take their time.
type envoyModel struct {
	rnd      *rand.Rand
	has      [envoy.NumTypes]map[string]string
	routes   map[string]string      // scope: its table
	secrets  map[envoy.Key][]string // by cluster or listener: what it names
	wanted   [envoy.NumTypes]map[string]bool
	warming  map[string]bool
	opened   [envoy.NumTypes]bool // on this stream
	requests []*discovery.DeltaDiscoveryRequest
	incoming []response
}

func newModel(rnd *rand.Rand) *envoyModel {
	m := &envoyModel{rnd: rnd, routes: map[string]string{}, secrets: map[envoy.Key][]string{}, warming: map[string]bool{}}
	for t := range m.has {
		m.has[t], m.wanted[t] = map[string]string{}, map[string]bool{}
	}
	return m
}

// connect opens a stream: what was under way is lost.
func (m *envoyModel) connect() {
	m.requests, m.incoming, m.opened = nil, nil, [envoy.NumTypes]bool{}
	for t := range envoy.NumTypes {
		wild := t == envoy.ClusterType || t == envoy.ListenerType || t == envoy.ScopeType
		if wild || len(m.wanted[t]) > 0 {
			m.ask(t, slices.Sorted(maps.Keys(m.wanted[t])), nil)
		}
	}
}

func (m *envoyModel) ask(t envoy.Type, add, drop []string) {
	req := &discovery.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesSubscribe: add, ResourceNamesUnsubscribe: drop}
	if !m.opened[t] {
		m.opened[t] = true
		req.InitialResourceVersions = maps.Clone(m.has[t])
		req.ResourceNamesUnsubscribe = nil
	}
	m.requests = append(m.requests, req)
}

// receive takes the oldest response.
func (m *envoyModel) receive() {
	r := m.incoming[0]
	m.incoming = m.incoming[1:]
	if !m.opened[r.typ] {
		return
	}
	ack := &discovery.DeltaDiscoveryRequest{TypeUrl: r.typ.URL(), ResponseNonce: strconv.FormatUint(r.nonce, 10)}
	bad := slices.IndexFunc(r.writes, func(w *resource) bool { return strings.HasPrefix(w.version, "bad") })
	apply := r.writes
	if bad >= 0 {
		ack.ErrorDetail = &status.Status{Message: "bad"}
		apply = r.writes[:bad*m.rnd.IntN(2)]
	}
	for _, w := range apply {
		m.apply(w)
	}
	for _, name := range r.removed {
		m.remove(r.typ, name)
	}
	m.requests = append(m.requests, ack)
}

func (m *envoyModel) apply(w *resource) {
	if w.Type == envoy.EndpointType || w.Type == envoy.RouteType || w.Type == envoy.SecretType {
		if m.wanted[w.Type][w.Name] {
			m.has[w.Type][w.Name] = w.version
			if w.Type == envoy.EndpointType {
				delete(m.warming, w.Name)
			}
		}
		return
	}
	changed := m.has[w.Type][w.Name] != w.version
	m.has[w.Type][w.Name] = w.version
	if w.Type != envoy.ScopeType {
		m.nameSecrets(w.Key, w.needs)
	}
	switch w.Type {
	case envoy.ClusterType:
		if changed {
			m.warming[w.Name] = true
		}
		m.want(envoy.EndpointType, w.Name)
	case envoy.ScopeType:
		old := m.routes[w.Name]
		child := strings.Join(w.needs, "")
		m.routes[w.Name] = child
		if old != child {
			m.unwantRoutes(old)
		}
		m.want(envoy.RouteType, child)
	}
}

func (m *envoyModel) remove(t envoy.Type, name string) {
	if t == envoy.RouteType && m.wanted[t][name] {
		return // Envoy ignores it
	}
	delete(m.has[t], name)
	m.nameSecrets(envoy.Key{Type: t, Name: name}, nil)
	switch t {
	case envoy.ClusterType:
		delete(m.warming, name)
		m.unwant(envoy.EndpointType, name)
	case envoy.ScopeType:
		old := m.routes[name]
		delete(m.routes, name)
		m.unwantRoutes(old)
	}
}

// nameSecrets makes a cluster or listener name secrets, and no others.
func (m *envoyModel) nameSecrets(k envoy.Key, names []string) {
	old := m.secrets[k]
	m.secrets[k] = names
	for _, name := range names {
		m.want(envoy.SecretType, name)
	}
	for _, name := range old {
		used := func(names []string) bool { return slices.Contains(names, name) }
		if !slices.ContainsFunc(slices.Collect(maps.Values(m.secrets)), used) {
			m.unwant(envoy.SecretType, name)
		}
	}
}

func (m *envoyModel) want(t envoy.Type, name string) {
	if name != "" && !m.wanted[t][name] {
		m.wanted[t][name] = true
		m.ask(t, []string{name}, nil)
	}
}

func (m *envoyModel) unwantRoutes(name string) {
	for _, n := range m.routes {
		if n == name {
			return
		}
	}
	m.unwant(envoy.RouteType, name)
}

func (m *envoyModel) unwant(t envoy.Type, name string) {
	if m.wanted[t][name] {
		delete(m.wanted[t], name)
		delete(m.has[t], name)
		m.ask(t, nil, []string{name})
	}
}

// converge is a fleet and one proxy under random events.
type converge struct {
	t       *testing.T
	rnd     *rand.Rand
	state   *state
	live    *live.Fleet[envoy.Key]
	session *session
	model   *envoyModel
	now     time.Time
	log     []string

	unsettled []string // by the last session
}

func (c *converge) note(format string, a ...any) { c.log = append(c.log, fmt.Sprintf(format, a...)) }

// publish changes some random keys.
func (c *converge) publish() {
	var changes []Change
	for range 1 + c.rnd.IntN(4) {
		ch := c.randomChange()
		c.note("publish %d: %s/%s=%q", c.state.epoch+1, ch.Type, ch.Name, ch.Version)
		changes = append(changes, ch)
	}
	changed, owed := c.state.publish(c.state.epoch+1, changes)
	c.live.Publish(c.state.epoch, owed)
	if c.session != nil {
		slices.SortFunc(changed, compareKeys)
		c.session.change(slices.Compact(changed), c.now)
		c.flush()
	}
}

func (c *converge) randomChange() Change {
	ch := Change{Key: envoy.Key{Type: envoy.Type(c.rnd.IntN(int(envoy.NumTypes))), Name: string(rune('a' + c.rnd.IntN(4)))}}
	if c.rnd.IntN(4) == 0 {
		return ch
	}
	ch.Version = fmt.Sprint("v", c.rnd.IntN(3))
	if c.rnd.IntN(8) == 0 {
		ch.Version = "bad"
	}
	ch.Body = []byte{}
	for _, name := range []string{"a", "b", "c", "d"} {
		if (ch.Type == envoy.ClusterType || ch.Type == envoy.ListenerType) && c.rnd.IntN(4) == 0 {
			ch.Secrets, ch.Version = append(ch.Secrets, name), ch.Version+name
		}
	}
	if ch.Type == envoy.ScopeType {
		body, err := proto.Marshal(&route.ScopedRouteConfiguration{RouteConfigurationName: string(rune('a' + c.rnd.IntN(4)))})
		if err != nil {
			c.t.Fatal(err)
		}
		ch.Body, ch.Version = body, ch.Version+string(body)
	}
	return ch
}

// flush puts what the session wants sent on the wire.
func (c *converge) flush() {
	for _, r := range c.session.take().responses {
		for _, w := range r.writes {
			c.note("sent #%d %s/%s=%q", r.nonce, r.typ, w.Name, w.version)
		}
		for _, n := range r.removed {
			c.note("sent #%d %s/%s removed", r.nonce, r.typ, n)
		}
		c.model.incoming = append(c.model.incoming, r)
	}
}

// deliver gives the session the oldest request.
func (c *converge) deliver() {
	req := c.model.requests[0]
	c.model.requests = c.model.requests[1:]
	t, _ := envoy.TypeOf(req.TypeUrl)
	c.note("request %s +%v -%v has %v answers #%s %s", t, req.ResourceNamesSubscribe, req.ResourceNamesUnsubscribe,
		req.InitialResourceVersions, req.ResponseNonce, req.ErrorDetail.GetMessage())
	if c.session == nil {
		c.session = newSession("p", c.state, c.live, time.Second)
		c.session.start(req, c.unsettled)
	}
	c.session.request(req, c.now)
	c.flush()
}

func (c *converge) step() {
	switch n := c.rnd.IntN(20); {
	case n < 4:
		c.publish()
	case n == 4 && c.rnd.IntN(5) == 0:
		c.note("reconnect")
		if c.session != nil {
			c.live.Disconnect("p")
			c.unsettled = c.session.unsettled()
		}
		c.session = nil
		c.model.connect()
	case n == 5 && c.session != nil:
		c.now = c.now.Add(700 * time.Millisecond)
		c.session.expire(c.now)
		c.flush()
	case n < 13 && len(c.model.incoming) > 0:
		c.model.receive()
	case len(c.model.requests) > 0:
		c.deliver()
	}
}

// settle lets everything under way arrive, and time pass.
func (c *converge) settle() {
	for range 3 {
		for len(c.model.requests)+len(c.model.incoming) > 0 {
			if len(c.model.requests) > 0 {
				c.deliver()
				continue
			}
			c.model.receive()
		}
		c.now = c.now.Add(time.Minute)
		c.session.expire(c.now)
		c.flush()
	}
}

// check compares what the proxy has with what it should have.
func (c *converge) check() {
	refused := map[envoy.Key]bool{}
	for _, r := range c.live.Refused(c.state.epoch) {
		refused[r.Key] = true
	}
	want := func(k envoy.Key) string {
		r := c.state.get(k)
		switch {
		case r != nil && !strings.HasPrefix(r.version, "bad"):
			return r.version
		case r == nil && k.Type == envoy.EndpointType && c.state.types[envoy.ClusterType][k.Name] != nil:
			return "none"
		}
		return ""
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		for t := range envoy.NumTypes {
			k := envoy.Key{Type: t, Name: name}
			byName := t == envoy.EndpointType || t == envoy.RouteType || t == envoy.SecretType
			if byName && !c.model.wanted[t][name] {
				continue
			}
			r := c.state.get(k)
			switch {
			case r != nil && strings.HasPrefix(r.version, "bad"):
				if !refused[k] {
					c.fail("%s/%s is bad and not refused", t, name)
				}
			case c.model.has[t][name] != want(k) && (r != nil || !byName):
				c.fail("%s/%s: the proxy has %q, want %q", t, name, c.model.has[t][name], want(k))
			case r == nil && t == envoy.EndpointType && want(k) == "none" && c.model.has[t][name] == "":
				c.fail("EDS/%s: the proxy waits for endpoints", name)
			}
		}
		endpoints := c.state.get(envoy.Key{Type: envoy.EndpointType, Name: name})
		if c.model.warming[name] && (endpoints == nil || !strings.HasPrefix(endpoints.version, "bad")) {
			c.fail("cluster %s warms for lack of its endpoints", name)
		}
	}
	st := c.live.Status(c.state.epoch)
	if !st.Settled() || st.Live() != (len(refused) == 0) {
		c.fail("all is answered, but the status is %+v with %d refused, owed %v", st, len(refused), c.live.Owed("p"))
	}
}

func (c *converge) fail(format string, a ...any) {
	c.t.Fatalf("%s\n%s", fmt.Sprintf(format, a...), strings.Join(c.log[max(0, len(c.log)-200):], "\n"))
}

// Whatever is published, refused, lost and late: in the end the proxy has what it should have, waits for nothing, and
// the status says so.
func TestConverge(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		c := &converge{t: t, rnd: rnd, state: newState(), live: live.NewFleet(compareKeys), model: newModel(rnd)}
		c.note("seed %d", seed)
		c.publish()
		c.model.connect()
		for range 4 {
			for range 40 {
				c.step()
			}
			c.settle()
			c.check()
		}
	}
}
