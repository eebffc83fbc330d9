package main

import (
	"context"
	"fmt"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// change updates an object as it is now.
func change[O client.Object](ctx context.Context, c *cluster, o O, edit func(O)) error {
	for {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		edit(o)
		if err := c.Update(ctx, o); !apierrors.IsConflict(err) { // the status may have been written meanwhile
			return err
		}
	}
}

// backends has a route name another Service, again and again.
func (c *cluster) backends(ctx context.Context, s *size) error {
	controller, err := c.controller(ctx)
	if err != nil {
		return err
	}
	if s.IdleCores, err = c.cores(ctx, controller, idleFor, func(context.Context) error { return nil }); err != nil {
		return err
	}
	before, err := controller.cpu()
	if err != nil {
		return err
	}
	var all []time.Duration
	began := time.Now()
	for i := range c.rounds {
		name := routeName(i % min(c.n, 10))
		to, answer := "other", "1"
		if i/min(c.n, 10)%2 == 1 {
			to, answer = name, "0"
		}
		start := time.Now()
		if err := change(ctx, c, route(name, name), func(r *gwv1.HTTPRoute) { r.Spec.Rules = []gwv1.HTTPRouteRule{rule("/", to)} }); err != nil {
			return err
		}
		odd, err := c.answers(ctx, name, answer)
		if err != nil {
			return err
		}
		s.BackendOdd += odd
		all = append(all, time.Since(start))
	}
	after, err := controller.cpu()
	if err != nil {
		return err
	}
	idle := time.Duration(s.IdleCores * float64(time.Since(began)))
	s.CPUPerChange = milliseconds(after-before-idle) / float64(c.rounds)
	s.Backend = timesOf(all)
	return nil
}

// endpoints moves the endpoint of a Service, again and again.
func (c *cluster) endpoints(ctx context.Context, s *size) error {
	name := routeName(0)
	if err := change(ctx, c, route(name, name), func(r *gwv1.HTTPRoute) { r.Spec.Rules = []gwv1.HTTPRouteRule{rule("/", name)} }); err != nil {
		return err
	}
	if _, err := c.answers(ctx, name, "0"); err != nil {
		return err
	}
	var all []time.Duration
	for i := range c.rounds {
		number := (i + 1) % 2
		e := &discoveryv1.EndpointSlice{ObjectMeta: at(name)}
		start := time.Now()
		if err := change(ctx, c, e, func(e *discoveryv1.EndpointSlice) { e.Ports[0].Port = &c.ports[number] }); err != nil {
			return err
		}
		odd, err := c.answers(ctx, name, fmt.Sprint(number))
		if err != nil {
			return err
		}
		s.EndpointsOdd += odd
		all = append(all, time.Since(start))
	}
	s.Endpoints = timesOf(all)
	return nil
}

// rulesUnderLoad puts a rule for another path in front of one that is asked all the time, and takes it away.
func (c *cluster) rulesUnderLoad(ctx context.Context, s *size) error {
	name := routeName(min(c.n-1, 20))
	if err := change(ctx, c, route(name, name), func(r *gwv1.HTTPRoute) { r.Spec.Rules = []gwv1.HTTPRouteRule{rule("/", name)} }); err != nil {
		return err
	}
	if _, err := c.answers(ctx, name, "0"); err != nil {
		return err
	}
	var l load
	within, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); l.run(within, c.address, hostOf(name), "0", loadEvery) }()
	err := c.everySoOften(ctx, ruleEvery, rules, func(i int) error {
		return change(ctx, c, route(name, name), func(r *gwv1.HTTPRoute) {
			r.Spec.Rules = []gwv1.HTTPRouteRule{rule("/", name)}
			if i%2 == 0 {
				r.Spec.Rules = []gwv1.HTTPRouteRule{rule("/other", "other"), rule("/", name)}
			}
		})
	})
	cancel()
	<-done
	s.Changes, s.Asked, s.Failed, s.Strays = rules, l.asked, l.failed, l.strays
	return err
}

// everySoOften calls f at a constant rate, and once more after the last.
func (c *cluster) everySoOften(ctx context.Context, every time.Duration, times int, f func(i int) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range times {
		if err := f(i); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// steadily makes one change a second.
func (c *cluster) steadily(ctx context.Context, s *size) error {
	controller, err := c.controller(ctx)
	if err != nil {
		return err
	}
	s.SteadyCores, err = c.cores(ctx, controller, 0, func(ctx context.Context) error {
		return c.everySoOften(ctx, time.Second, int(c.steady/time.Second), func(i int) error {
			name, to := routeName(i%c.n), []string{"other", routeName(i % c.n)}[i%2]
			return change(ctx, c, route(name, name), func(r *gwv1.HTTPRoute) { r.Spec.Rules = []gwv1.HTTPRouteRule{rule("/", to)} })
		})
	})
	return err
}

// cores gives how many cores a process has kept busy while work was done, and for some time after.
func (c *cluster) cores(ctx context.Context, p process, rest time.Duration, work func(context.Context) error) (float64, error) {
	before, err := p.cpu()
	start := time.Now()
	if err != nil {
		return 0, err
	}
	if err := work(ctx); err != nil {
		return 0, err
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-timer.C:
	}
	after, err := p.cpu()
	return (after - before).Seconds() / time.Since(start).Seconds(), err
}
