package fleet

import (
	"maps"
	"time"

	"headgate.dev/schema"
)

// What is done where no config says otherwise; package schema documents the values.
const (
	defaultReplicas = 2
	defaultCPU      = 75 // percent of the requests
	defaultDelay    = 5 * time.Second
	defaultTimeout  = time.Minute
	defaultLevel    = "warning"
	defaultFormat   = "json"
	// longestDrain bounds what a config that no API server has checked may say.
	longestDrain = time.Hour
)

// Merge gives what the config of a class and the one of a Gateway say together; nil says nothing. The Gateway's wins, field by
// field, also inside autoscaling, drain, logging and service; labels and annotations add up; every other list or map is one
// value. What only a class may say (staticAddresses: External) does not count in the Gateway's. The result shares nothing with
// the arguments.
func Merge(class, gateway *schema.ProxyConfigSpec) schema.ProxyConfigSpec {
	var out schema.ProxyConfigSpec
	if class != nil {
		class.DeepCopyInto(&out)
	}
	if gateway == nil {
		return out
	}
	over := gateway.DeepCopy()
	if over.Replicas != nil {
		out.Replicas, out.Autoscaling = over.Replicas, nil
	}
	if over.Autoscaling != nil {
		out.Replicas = nil
		out.Autoscaling = mergeAutoscaling(out.Autoscaling, over.Autoscaling)
	}
	mergePod(&out, over)
	out.Drain = mergeStruct(out.Drain, over.Drain, mergeDrain)
	out.Logging = mergeStruct(out.Logging, over.Logging, mergeLogging)
	out.Service = mergeStruct(out.Service, over.Service, mergeService)
	out.Labels = sum(out.Labels, over.Labels)
	out.Annotations = sum(out.Annotations, over.Annotations)
	return out
}

func mergePod(out, over *schema.ProxyConfigSpec) {
	set(&out.Image, over.Image)
	setSlice(&out.ImagePullSecrets, over.ImagePullSecrets)
	setPointer(&out.Resources, over.Resources)
	setPointer(&out.Concurrency, over.Concurrency)
	if over.NodeSelector != nil {
		out.NodeSelector = over.NodeSelector
	}
	setPointer(&out.Affinity, over.Affinity)
	setSlice(&out.Tolerations, over.Tolerations)
	setSlice(&out.TopologySpreadConstraints, over.TopologySpreadConstraints)
	set(&out.PriorityClassName, over.PriorityClassName)
}

// mergeAutoscaling takes a bound of the class only where it fits to those of the Gateway.
func mergeAutoscaling(out, over *schema.ProxyAutoscaling) *schema.ProxyAutoscaling {
	if out == nil {
		return over
	}
	out.Max = over.Max
	setPointer(&out.Min, over.Min)
	if out.Min != nil && *out.Min > out.Max {
		out.Min = nil
	}
	setPointer(&out.CPU, over.CPU)
	return out
}

func mergeDrain(out, over *schema.ProxyDrain) {
	set(&out.Delay, over.Delay)
	set(&out.Timeout, over.Timeout)
}

func mergeLogging(out, over *schema.ProxyLogging) {
	set(&out.Level, over.Level)
	set(&out.Format, over.Format)
}

func mergeService(out, over *schema.ProxyService) {
	set(&out.Type, over.Type)
	out.Annotations = sum(out.Annotations, over.Annotations)
	set(&out.ExternalTrafficPolicy, over.ExternalTrafficPolicy)
	setPointer(&out.LoadBalancerClass, over.LoadBalancerClass)
	setSlice(&out.LoadBalancerSourceRanges, over.LoadBalancerSourceRanges)
	setPointer(&out.IPFamilyPolicy, over.IPFamilyPolicy)
	setSlice(&out.IPFamilies, over.IPFamilies)
	if over.StaticAddresses != schema.AddressesExternal {
		set(&out.StaticAddresses, over.StaticAddresses)
	}
}

// mergeStruct merges into a struct that may not be there yet, since merge drops what does not count.
func mergeStruct[T any](out, over *T, merge func(out, over *T)) *T {
	if over == nil {
		return out
	}
	if out == nil {
		out = new(T)
	}
	merge(out, over)
	return out
}

func set[T comparable](out *T, over T) {
	var zero T
	if over != zero {
		*out = over
	}
}

func setPointer[T any](out **T, over *T) {
	if over != nil {
		*out = over
	}
}

func setSlice[T any](out *[]T, over []T) {
	if over != nil {
		*out = over
	}
}

func sum[V any](out, over map[string]V) map[string]V {
	if out == nil {
		return over
	}
	maps.Copy(out, over)
	return out
}

// drain gives delay and timeout of a fleet.
func drain(c *schema.ProxyConfigSpec) (delay, timeout time.Duration) {
	d := c.Drain
	if d == nil {
		d = &schema.ProxyDrain{}
	}
	return duration(d.Delay, defaultDelay), duration(d.Timeout, defaultTimeout)
}

// duration reads a duration that an API server has checked; anything else counts as not said.
func duration(d schema.ProxyDuration, standard time.Duration) time.Duration {
	v, err := time.ParseDuration(string(d))
	if err != nil || v < 0 || v > longestDrain {
		return standard
	}
	return v
}
