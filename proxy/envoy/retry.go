package envoy

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"

	"headgate.dev/proxy/model"
)

const (
	// retryNotStarted are the failures before a backend began with a request: repeating it is always safe.
	retryNotStarted = "connect-failure,refused-stream,reset-before-request"
	// retryStatus makes the rule's own codes count.
	retryStatus = ",retriable-status-codes"
	// retryTimeout makes an attempt that ran into the backend timeout count. Envoy has no narrower word: connections
	// that break after the request was sent are then repeated too. So it stands only where the rule bounds an attempt.
	retryTimeout = ",reset"

	retryBackoffFloor = time.Millisecond // Envoy's resolution
	retryBackoffCap   = 10               // longest pause, in base intervals
	otherHostAttempts = 5                // draws of a host until one is found that was not tried yet

	// streamIdle is how long a stream may be silent where its rule does not bound the request differently.
	streamIdle = 5 * time.Minute
)

var (
	noTimeout = durationpb.New(0)

	notPreviousHosts = []*routev3.RetryPolicy_RetryHostPredicate{{
		Name: "envoy.retry_host_predicates.previous_hosts",
		ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{
			TypedConfig: mustAny(&previoushostsv3.PreviousHostsPredicate{}),
		},
	}}
)

// forwardAction is what does not depend on the backends: timeouts, retries, mirrors.
//
// A rule that says nothing about its timeout has none: streams and long downloads work, and what is silent for five
// minutes is cut by the stream's idle timeout. An explicit zero takes that bound away too.
func forwardAction(f *model.Forward) (*routev3.RouteAction, error) {
	for _, d := range [...]*time.Duration{f.Timeout, f.BackendTimeout} {
		if d != nil && *d < 0 {
			return nil, fmt.Errorf("timeout %s is negative", *d)
		}
	}
	total, attempt := value(f.Timeout), value(f.BackendTimeout)
	retried := f.Retry != nil && f.Retry.Attempts > 0
	action := &routev3.RouteAction{Timeout: noTimeout, RequestMirrorPolicies: mirrors(f.Mirrors)}
	if retried {
		action.RetryPolicy = retryPolicy(f.Retry, attempt)
	} else if attempt > 0 && (total == 0 || attempt < total) {
		total = attempt // the only attempt
	}
	if total > 0 {
		action.Timeout = durationpb.New(total)
	}
	action.IdleTimeout = idleTimeout(f, max(total, attempt))
	return action, nil
}

// idleTimeout is nil where that of the connection manager fits a rule that bounds requests or attempts by longest.
func idleTimeout(f *model.Forward, longest time.Duration) *durationpb.Duration {
	switch {
	case f.Timeout != nil && *f.Timeout == 0 && longest == 0:
		return noTimeout
	case longest > streamIdle:
		return durationpb.New(longest)
	}
	return nil
}

func retryPolicy(r *model.Retry, attempt time.Duration) *routev3.RetryPolicy {
	policy := &routev3.RetryPolicy{
		RetryOn:                       retryNotStarted,
		NumRetries:                    wrapperspb.UInt32(r.Attempts),
		RetryHostPredicate:            notPreviousHosts,
		HostSelectionRetryMaxAttempts: otherHostAttempts,
	}
	if attempt > 0 {
		policy.RetryOn += retryTimeout
		policy.PerTryTimeout = durationpb.New(attempt)
	}
	if len(r.Codes) > 0 {
		policy.RetryOn += retryStatus
	}
	for _, code := range r.Codes {
		policy.RetriableStatusCodes = append(policy.RetriableStatusCodes, uint32(code))
	}
	if r.Backoff > 0 {
		base := max(r.Backoff, retryBackoffFloor)
		policy.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(base),
			MaxInterval:  durationpb.New(retryBackoffCap * base),
		}
	}
	return policy
}

// value of a timeout, 0 for none.
func value(d *time.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return *d
}
