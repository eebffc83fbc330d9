package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	writers   = 16                   // objects written at a time while routes are made
	loadEvery = 5 * time.Millisecond // 200 requests a second
	ruleEvery = 200 * time.Millisecond
	rules     = 60
	idleFor   = 10 * time.Second
)

// gatewayTimes creates Gateways as they are by themselves, and removes them.
func (c *cluster) gatewayTimes(ctx context.Context, r *report) error {
	var serving, programmed []time.Duration
	for i := range c.gateways {
		g := gateway(fmt.Sprintf("fresh-%d", i), false)
		start := time.Now()
		if err := c.Create(ctx, g); err != nil {
			return err
		}
		served, err := c.awaitGateway(ctx, g)
		if err != nil {
			return err
		}
		serving, programmed = append(serving, served.Sub(start)), append(programmed, time.Since(start))
		if err := c.Delete(ctx, g); err != nil {
			return err
		}
		if err := c.podsGo(ctx, g.Name); err != nil {
			return err
		}
	}
	r.Gateways, r.Programmed = timesOf(serving), timesOf(programmed)
	return nil
}

// awaitGateway returns when a Gateway serves and its status says so, and when it served.
func (c *cluster) awaitGateway(ctx context.Context, g *gwv1.Gateway) (served time.Time, err error) {
	err = until(ctx, patience, func() error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		if served.IsZero() && len(g.Status.Addresses) > 0 {
			if code, _, err := ask(ctx, g.Status.Addresses[0].Value, "nobody.example"); err == nil && code == http.StatusNotFound {
				served = time.Now()
			}
		}
		if served.IsZero() || !meta.IsStatusConditionTrue(g.Status.Conditions, string(gwv1.GatewayConditionProgrammed)) {
			return fmt.Errorf("%s does not serve: %+v", g.Name, g.Status.Conditions)
		}
		return nil
	})
	return served, err
}

// podsGo waits until the proxies of a Gateway have left: they would take processor time from the next one.
func (c *cluster) podsGo(ctx context.Context, gateway string) error {
	return until(ctx, patience, func() error {
		_, err := c.pod(ctx, namespace, client.MatchingLabels{gatewayLabel: gateway})
		if err != nil && strings.HasPrefix(err.Error(), "0 pods") {
			return nil
		}
		return errors.Join(errors.New("its proxies are still there"), err)
	})
}

// gatewayLabel is on every object of a fleet (GEP-1762).
const gatewayLabel = "gateway.networking.k8s.io/gateway-name"

// measure makes as many routes as are missing, and measures everything with them.
func (c *cluster) measure(ctx context.Context, r *report, n int) error {
	s := &size{Routes: n}
	r.Sizes = append(r.Sizes, s)
	for _, step := range []struct {
		name string
		do   func(context.Context, *size) error
	}{
		{"making routes", c.grow}, {"new routes", c.newRoutes}, {"backends", c.backends}, {"endpoints", c.endpoints},
		{"rules under load", c.rulesUnderLoad}, {"one change a second", c.steadily}, {"memory", c.memory}, {"time series", c.series},
	} {
		say("%d routes: %s", n, step.name)
		if err := step.do(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func routeName(i int) string { return fmt.Sprintf("r-%05d", i) }

// grow writes Services, endpoints and routes, and waits until the status of the Gateway counts them all.
func (c *cluster) grow(ctx context.Context, s *size) error {
	start := time.Now()
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := c.n; i < s.Routes; i++ {
		group.Go(func() error {
			name := routeName(i)
			return errors.Join(c.backend(within, name, 0), c.Create(within, route(name, name)))
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.n = s.Routes
	last := time.Now()
	s.Written = last.Sub(start).Seconds()
	g := &gwv1.Gateway{}
	err := until(ctx, patience, func() error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(gateway(gatewayName, true)), g); err != nil {
			return err
		}
		if len(g.Status.Listeners) != 1 || int(g.Status.Listeners[0].AttachedRoutes) != c.n {
			return fmt.Errorf("the Gateway counts %+v, not %d routes", g.Status.Listeners, c.n)
		}
		return nil
	})
	s.StatusAfter = milliseconds(time.Since(last))
	return err
}

// newRoutes makes routes to Services that no route has named yet.
func (c *cluster) newRoutes(ctx context.Context, s *size) error {
	var all []time.Duration
	for i := range c.rounds {
		if err := c.backend(ctx, fmt.Sprintf("new-%d", i), 0); err != nil {
			return err
		}
	}
	for i := range c.rounds {
		name := fmt.Sprintf("new-%d", i)
		start := time.Now()
		if err := c.Create(ctx, route(name, name)); err != nil {
			return err
		}
		odd, err := c.answers(ctx, name, "0")
		if err != nil {
			return err
		}
		s.NewRouteOdd += odd
		all = append(all, time.Since(start))
	}
	s.NewRoute = timesOf(all)
	return c.removeNew(ctx)
}

// removeNew takes the new routes away again, so that the number of routes stays what it is called.
func (c *cluster) removeNew(ctx context.Context) error {
	for i := range c.rounds {
		name := fmt.Sprintf("new-%d", i)
		for _, o := range []client.Object{route(name, name), &discoveryv1.EndpointSlice{ObjectMeta: at(name)}, service(name)} {
			if err := client.IgnoreNotFound(c.Delete(ctx, o)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cluster) controller(ctx context.Context) (process, error) {
	pod, err := c.pod(ctx, systemNamespace, client.MatchingLabels{"app.kubernetes.io/component": "controller"})
	if err != nil {
		return 0, err
	}
	return find(pod, "headgate")
}

// memory reads what the processes have.
func (c *cluster) memory(ctx context.Context, s *size) error {
	controller, err := c.controller(ctx)
	if err != nil {
		return err
	}
	if s.Controller, s.ControllerMost, err = controller.memory(); err != nil {
		return err
	}
	pod, err := c.pod(ctx, namespace, client.MatchingLabels{gatewayLabel: gatewayName})
	if err != nil {
		return err
	}
	envoy, err1 := find(pod, "envoy")
	first, err2 := find(pod, "headgate")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if s.Envoy, _, err = envoy.memory(); err != nil {
		return err
	}
	s.PID1, _, err = first.memory()
	return err
}

// series counts what a proxy tells a scraper.
func (c *cluster) series(ctx context.Context, s *size) error {
	pod, err := c.pod(ctx, namespace, client.MatchingLabels{gatewayLabel: gatewayName})
	if err != nil {
		return err
	}
	port := pod.Spec.Containers[0].Ports[0].ContainerPort
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(pod.Status.PodIP, fmt.Sprint(port))+"/metrics", nil)
	if err != nil {
		return err
	}
	response, err := visitor.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if line := lines.Text(); line != "" && !strings.HasPrefix(line, "#") {
			s.Series++
		}
	}
	s.WithTraffic = len(c.asked)
	return lines.Err()
}
