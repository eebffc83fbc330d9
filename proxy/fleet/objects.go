package fleet

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (in *Input) serviceAccount() *corev1.ServiceAccount {
	no := false
	return &corev1.ServiceAccount{TypeMeta: serviceAccountType, ObjectMeta: in.meta(), AutomountServiceAccountToken: &no}
}

// anchors is what a proxy trusts. The kubelet brings a change into running pods.
func (in *Input) anchors() *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta: configMapType, ObjectMeta: in.meta(), Data: map[string]string{anchorsFile: string(in.Controller.Anchors)},
	}
}

// replicas is the Deployment with nothing but its size; nil when an autoscaler has taken over. A fleet that does not exist
// yet starts with what its autoscaler would give it at least.
func (in *Input) replicas() *unstructured.Unstructured {
	var n int32 = defaultReplicas
	switch a := in.Config.Autoscaling; {
	case a != nil && in.Running.Exists:
		return nil
	case a != nil:
		n = in.fewest()
	case in.Config.Replicas != nil:
		n = *in.Config.Replicas
	}
	ref := in.ref(deploymentType)
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": ref.APIVersion,
		"kind":       ref.Kind,
		"metadata":   map[string]any{"namespace": ref.Namespace, "name": ref.Name.Name},
		"spec":       map[string]any{"replicas": int64(n)},
	}}
}

// disruptionBudget lets nodes be drained, one proxy at a time. A proxy that is not ready serves nobody and may go.
func (in *Input) disruptionBudget() *policyv1.PodDisruptionBudget {
	one := intstr.FromInt32(1)
	always := policyv1.AlwaysAllow
	return &policyv1.PodDisruptionBudget{
		TypeMeta: disruptionBudgetType, ObjectMeta: in.meta(),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable:             &one,
			Selector:                   &metav1.LabelSelector{MatchLabels: selector(&in.Gateway)},
			UnhealthyPodEvictionPolicy: &always,
		},
	}
}

// fewest is the lower bound of the autoscaler.
func (in *Input) fewest() int32 {
	a := in.Config.Autoscaling
	if a.Min != nil {
		return *a.Min
	}
	return min(defaultReplicas, a.Max)
}

func (in *Input) autoscaler() *autoscalingv2.HorizontalPodAutoscaler {
	a := in.Config.Autoscaling
	target, least := in.ref(deploymentType), in.fewest()
	var use int32 = defaultCPU
	if a.CPU != nil {
		use = *a.CPU
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta: autoscalerType, ObjectMeta: in.meta(),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{
				APIVersion: target.APIVersion, Kind: target.Kind, Name: target.Name.Name,
			},
			MinReplicas: &least,
			MaxReplicas: a.Max,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{
					Name: corev1.ResourceCPU,
					Target: autoscalingv2.MetricTarget{
						Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &use,
					},
				},
			}},
		},
	}
}
