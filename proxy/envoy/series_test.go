package envoy_test

import (
	"strings"
	"testing"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/process"
)

// TestSeries: what a proxy tells a scraper does not grow with the number of Services, but for those that have traffic.
func TestSeries(t *testing.T) {
	w := zoneWorld{web: l4Cluster("web", model.HTTP), raw: l4Cluster("raw", model.TCP)}
	resources := w.resources(t)
	const services = 1000
	for i := range services {
		id := oneRoute(i).Routes[0].Forward.Backends[0].Cluster
		cluster, err := envoy.Cluster(&model.Cluster{ID: id}, envoy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		endpoints, err := envoy.Endpoints(&model.Endpoints{Cluster: id, List: []model.Endpoint{{Address: closedPort(t)}}})
		if err != nil {
			t.Fatal(err)
		}
		resources = append(append(resources, cluster, endpoints), envoy.Host(oneRoute(i), envoy.Options{}).Resources...)
	}
	p := start(t, resources)
	all, withTraffic := p.series(t)
	if all > 1000 || withTraffic > 0 {
		t.Errorf("%d series with %d Services, %d of them of clusters", all, services, withTraffic)
	}
	if a := p.get(t, "GET", oneRoute(7).ID.Name, "/"); a.status != 503 {
		t.Errorf("a Service whose endpoint is closed answers %d", a.status)
	}
	after, withTraffic := p.series(t)
	if withTraffic < 1 || withTraffic > 5 || after > 1000 {
		t.Errorf("%d series after a request to one of them, %d of clusters", after, withTraffic)
	}
	t.Logf("%d series, then %d, of which %d are of the Service with traffic", all, after, withTraffic)
}

// series counts what a scrape brings, and how much of it is of Services.
func (p *proxy) series(t *testing.T) (all, clusters int) {
	t.Helper()
	var text strings.Builder
	if err := process.NewAdmin("unix", p.socket).Metrics(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if line[0] == '#' {
			continue
		}
		all++
		if strings.Contains(line, "envoy_cluster_name=") && !strings.Contains(line, `"xds"`) {
			clusters++
		}
	}
	return all, clusters
}
