package traffic

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"headgate.dev/proxy/model"
)

func edge(port int32, p model.Protocol) *model.Listener {
	return &model.Listener{Gateway: model.Name{Namespace: "infra", Name: "edge"}, Port: port, Protocol: p}
}

func l4(shares ...model.Share) *model.L4Forward {
	return &model.L4Forward{Source: model.Source{Kind: "TCPRoute", Name: model.Name{Namespace: "web", Name: "db"}}, Shares: shares}
}

// tlsEdge has a chain of each kind.
func tlsEdge() *model.Listener {
	l := edge(443, model.TLS)
	end := &model.Termination{Certificates: []model.SecretID{"certificate/infra/a", "certificate/infra/b"}}
	l.Chains = []model.Chain{
		{ServerName: "*.shop.test", Table: "infra/edge/443/*.shop.test", Terminate: &model.Termination{Certificates: end.Certificates[:1], Client: &model.ClientValidation{CA: "ca/ConfigMap/infra/c"}}},
		{ServerName: "*.x.shop.test", Forward: l4(model.Share{Cluster: service("pass"), Weight: 1})},
		{ServerName: "closed.test"},
		{ServerName: "end.test", Terminate: &model.Termination{Certificates: end.Certificates, Client: &model.ClientValidation{CA: "ca/ConfigMap/infra/c", Optional: true}}, Forward: l4(model.Share{Cluster: service("a"), Weight: 3}, model.Share{Weight: 1})},
		{ServerName: "shop.test", Table: "infra/edge/443/shop.test", Terminate: end},
	}
	return l
}

func TestConnect(t *testing.T) {
	anyName := tlsEdge()
	anyName.Chains = append(anyName.Chains, model.Chain{ServerName: "*", Table: "infra/edge/443/*"})
	http := edge(80, model.HTTP)
	http.Table = "infra/edge/80"
	tcp := edge(5432, model.TCP)
	tcp.Forward = l4(model.Share{Cluster: service("db"), Weight: 1})
	for _, c := range []struct {
		l            *model.Listener
		name         string
		chain, table string
		reason       string
	}{
		{tlsEdge(), "shop.test", "shop.test", "infra/edge/443/shop.test", "the server name is the listener's"},
		{tlsEdge(), "SHOP.test", "shop.test", "infra/edge/443/shop.test", "the server name is the listener's"},
		{tlsEdge(), "a.shop.test", "*.shop.test", "infra/edge/443/*.shop.test", "the server name matches *.shop.test"},
		{tlsEdge(), "a.b.shop.test", "*.shop.test", "infra/edge/443/*.shop.test", "the server name matches *.shop.test"},
		{tlsEdge(), "a.x.shop.test", "*.x.shop.test", "", "the server name matches *.x.shop.test"},
		{tlsEdge(), "closed.test", "closed.test", "", "the listener for closed.test has no route"},
		{tlsEdge(), "other.test", "", "", "no listener of port 443 takes the server name other.test"},
		{tlsEdge(), "", "", "", "no listener of port 443 takes a connection without a server name"},
		{anyName, "other.test", "*", "infra/edge/443/*", "no other listener of the port takes the server name other.test"},
		{anyName, "", "*", "infra/edge/443/*", "no other listener of the port takes a connection without a server name"},
		{http, "x", "", "infra/edge/80", ""},
		{tcp, "", "", "", ""},
		{edge(5433, model.TCP), "", "", "", "no route has the port"},
	} {
		got := Connect(c.l, c.name)
		chain := ""
		if got.Chain != nil {
			chain = got.Chain.ServerName
		}
		if chain != c.chain || string(got.Table) != c.table || got.Reason != c.reason {
			t.Errorf("%d %q: chain %s, table %s, %s; want %s, %s, %s", c.l.Port, c.name, chain, got.Table, got.Reason, c.chain, c.table, c.reason)
		}
	}
	for host, want := range map[string]string{
		"Shop.Test:443": "shop.test", "shop.test.": "shop.test", "127.0.0.1:443": "", "[::1]:443": "", "::1": "", "x": "x",
	} {
		if got := ServerName(host); got != want {
			t.Errorf("the server name of %s is %q, want %q", host, got, want)
		}
	}
}

func TestMisdirected(t *testing.T) {
	table := &model.Table{Protocol: model.HTTPS, Misdirected: []string{"*", "*.shop.test", "b.own.test", "shop.test"}}
	hosts := func(name string) *model.Host {
		if name == "own.test" || name == "*.own.test" || name == "*.deep.shop.test" {
			return &model.Host{ID: model.HostID{Name: name}}
		}
		return nil
	}
	for host, want := range map[string]string{
		"own.test": "own.test", "a.own.test": "*.own.test", "x.deep.SHOP.test:443": "*.deep.shop.test", // own
		"B.own.test.": "-b.own.test", "shop.test:80": "-shop.test", "a.shop.test": "-*.shop.test", "other": "-*",
	} {
		e := Explain(table, hosts, Request{Host: host})
		got := ""
		if e.Host != nil {
			got = e.Host.ID.Name
		} else if h, elsewhere := FindHost(table, hosts, host); h == nil {
			got = "-" + elsewhere
		}
		if got != want || (e.Status == 421) != (want[0] == '-') {
			t.Errorf("%s: %s with %d, want %s", host, got, e.Status, want)
		}
	}
}

func lines(rows []Row) (out []string) {
	for _, r := range rows {
		out = append(out, r.Listener+" "+r.Host+" "+r.Request+" → "+r.Answer)
		for _, d := range r.Details {
			out = append(out, "  "+d)
		}
	}
	return out
}

func TestListenerRows(t *testing.T) {
	tcp, udp := edge(5432, model.TCP), edge(53, model.UDP)
	tcp.Forward = l4(model.Share{Cluster: service("db"), Weight: 9}, model.Share{Weight: 1})
	udp.Forward = l4(model.Share{Cluster: service("dns"), Weight: 5}, model.Share{Cluster: service("no"), Weight: 0})
	var got []string
	for _, l := range []*model.Listener{nil, edge(80, model.HTTP), tcp, udp, edge(54, model.UDP), tlsEdge()} {
		got = append(got, lines(ListenerRows(l))...)
	}
	want := []string{
		"tcp:5432 * tcp:5432 → db:80 (90 %), closed (10 %)",
		"udp:53 * udp:53 → dns:80",
		"udp:54 * udp:54 → dropped",
		"https:443 *.shop.test https:443 → by its hosts", "  certificate infra/a", "  client certificates required, by ConfigMap/infra/c",
		"tls:443 *.x.shop.test tls:443 → pass:80", "  TLS is passed through",
		"tls:443 closed.test tls:443 → closed", "  TLS is passed through",
		"tls:443 end.test tls:443 → a:80 (75 %), closed (25 %)", "  certificate infra/a, infra/b", "  client certificates asked for, not required, by ConfigMap/infra/c",
		"https:443 shop.test https:443 → by its hosts", "  certificate infra/a, infra/b",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	before, after := tlsEdge(), tlsEdge()
	after.Chains[0].Terminate = &model.Termination{Certificates: before.Chains[0].Terminate.Certificates}
	if changes := Diff(ListenerRows(before), ListenerRows(after)); len(changes) != 1 || changes[0].After.Host != "*.shop.test" {
		t.Errorf("clients need no certificate any more: %+v", changes)
	}
}

func TestGRPCRows(t *testing.T) {
	call := func(kind model.PathKind, path string) model.Match {
		return model.Match{GRPC: true, PathKind: kind, Path: path}
	}
	withHeader := call(model.PathExact, "/shop.v1.Cart/Add")
	withHeader.Headers = []model.ValueMatch{{Name: "x-tenant", Value: "acme"}}
	h := hostOf(
		model.Route{Match: withHeader, Forward: to(model.Backend{Cluster: service("cart"), Weight: 1}, model.Backend{Weight: 1})},
		model.Route{Match: call(model.PathPrefix, "/shop.v1.Cart"), Status: 503},
		model.Route{Match: call(model.PathRegex, "/[^/]+/Get"), Status: 500},
		model.Route{Match: call(model.PathRegex, "/[^/]+/(?:Get.*)"), Forward: to(model.Backend{Cluster: service("cart"), Weight: 1})},
		model.Route{Match: call(model.PathPrefix, "/"), Forward: to(model.Backend{Cluster: service("cart"), Weight: 1})},
	)
	h.Port, h.Protocol, h.ID.Table = 443, model.HTTPS, "infra/edge/443/*.test"
	want := []string{
		"https:443 *.test shop.test gRPC shop.v1.Cart/Add x-tenant: acme → cart:80 (50 %), UNAVAILABLE (50 %)",
		"https:443 *.test shop.test gRPC shop.v1.Cart/* → UNAVAILABLE",
		"https:443 *.test shop.test gRPC */Get → UNKNOWN",
		"https:443 *.test shop.test gRPC ~/[^/]+/(?:Get.*) → cart:80",
		"https:443 *.test shop.test gRPC */* → cart:80",
	}
	if diff := cmp.Diff(want, lines(Rows(h))); diff != "" {
		t.Error(diff)
	}
	hosts := func(name string) *model.Host { return map[string]*model.Host{"shop.test": h}[name] }
	table := &model.Table{Protocol: model.HTTPS}
	grpc := Request{Method: "POST", Host: "shop.test", Path: "/shop.v1.Cart/Get", Headers: []model.Header{{Name: "Content-Type", Value: "application/grpc+proto"}}}
	e := Explain(table, hosts, grpc)
	if e.Winner != 1 || !e.GRPC || e.Trials[1].Why != "call shop.v1.Cart/* matches" || e.Trials[2].Why != "a prefix goes before a method of any service" {
		t.Errorf("%+v", e)
	}
	grpc.Headers = nil
	if e := Explain(table, hosts, grpc); e.Status != 404 || e.GRPC || e.Trials[1].Why != "it is no gRPC request: its content-type does not say application/grpc" {
		t.Errorf("%+v", e)
	}
}
