package fleet

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// TestPodsAreRestricted holds the pods of every case against the Restricted level of the Pod Security Standards, and to what
// we promise beyond it.
func TestPodsAreRestricted(t *testing.T) {
	for _, c := range cases(t) {
		d := deploymentOf(t, c.input)
		pod := &d.Spec.Template.Spec
		for _, problem := range slices.Concat(baseline(pod), restricted(pod), ours(pod)) {
			t.Error(problem)
		}
	}
}

// baseline names what the Baseline level does not allow.
func baseline(p *corev1.PodSpec) (out []string) {
	if p.HostNetwork || p.HostPID || p.HostIPC {
		out = append(out, "a namespace of the host")
	}
	safe := []string{"net.ipv4.ip_unprivileged_port_start"}
	for _, s := range p.SecurityContext.Sysctls {
		if !slices.Contains(safe, s.Name) {
			out = append(out, "sysctl "+s.Name)
		}
	}
	for _, c := range p.Containers {
		if s := c.SecurityContext; s.Privileged != nil && *s.Privileged {
			out = append(out, "a privileged container")
		}
		for _, port := range c.Ports {
			if port.HostPort != 0 {
				out = append(out, "a port of the host")
			}
		}
		if c.SecurityContext.ProcMount != nil || c.SecurityContext.SELinuxOptions != nil {
			out = append(out, "proc mount or SELinux options")
		}
	}
	return out
}

// restricted names what the Restricted level does not allow beyond that.
func restricted(p *corev1.PodSpec) (out []string) {
	for _, v := range p.Volumes {
		s := v.VolumeSource
		s.ConfigMap, s.EmptyDir, s.Projected, s.Secret, s.DownwardAPI = nil, nil, nil, nil, nil
		if s != (corev1.VolumeSource{}) {
			out = append(out, "volume "+v.Name)
		}
	}
	pod := p.SecurityContext
	if pod.RunAsNonRoot == nil || !*pod.RunAsNonRoot || pod.RunAsUser == nil || *pod.RunAsUser == 0 {
		out = append(out, "it may run as root")
	}
	if pod.SeccompProfile == nil || pod.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		out = append(out, "no seccomp profile")
	}
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		s := c.SecurityContext
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
			out = append(out, c.Name+": privileges may grow")
		}
		if s == nil || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
			out = append(out, c.Name+": capabilities")
		}
	}
	return out
}

// ours names what we promise and is not so.
func ours(p *corev1.PodSpec) (out []string) {
	if p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken {
		out = append(out, "a token for the API server")
	}
	for _, v := range p.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if t := s.ServiceAccountToken; t != nil && t.Audience != "headgate" {
				out = append(out, "a token for "+t.Audience)
			}
		}
	}
	for _, c := range p.Containers {
		if r := c.SecurityContext.ReadOnlyRootFilesystem; r == nil || !*r {
			out = append(out, c.Name+": the root file system can be written")
		}
		for _, probe := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe} {
			if probe == nil || probe.PeriodSeconds != 1 {
				out = append(out, c.Name+": a probe that is missing or slow")
			}
		}
	}
	return out
}

func deploymentOf(t *testing.T, in Input) *appsv1.Deployment {
	t.Helper()
	for _, o := range Objects(in) {
		if o.GetKind() == "Deployment" && o.Manager == Manager {
			d := &appsv1.Deployment{}
			decodeStrict(t, o, d)
			return d
		}
	}
	t.Fatal("no Deployment")
	return nil
}

func decodeStrict(t *testing.T, o Object, into any) {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, into, true); err != nil {
		t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
}
