package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"headgate.dev/schema"
)

// What a pod and the image in it agree about; see ABI.
const (
	containerName = "proxy"
	user          = 65532
	// Audience is what the pod's token is good for: only the controller's exchange, never the API server.
	Audience      = "headgate"
	tokenDir      = "/var/run/secrets/headgate"
	tokenFile     = "token"
	tokenLifetime = 600 // seconds, the shortest there is; the kubelet renews it
	anchorsDir    = "/etc/headgate/anchors"
	anchorsFile   = "ca.crt"
	runDir        = "/run/headgate"
	// firstHealthPort is where PID 1 answers probes, unless a listener has the port.
	firstHealthPort = 19901
	livePath        = "/livez"
	readyPath       = "/readyz"
	// graceReserve is what a pod has beyond its drain, to end.
	graceReserve = 5 * time.Second
)

// xdsFlag says where a proxy gets its configuration.
const xdsFlag = "--xds="

// deployment has no replicas: they are applied apart.
func (in *Input) deployment() *appsv1.Deployment {
	keep := in.kept()
	meta := in.meta()
	meta.Annotations[ABIAnnotation] = ABI
	meta.Annotations[ImageAnnotation] = keep
	none, surge := intstr.FromInt32(0), intstr.FromString("25%")
	var history int32 = 3
	return &appsv1.Deployment{
		TypeMeta: deploymentType, ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Selector:             &metav1.LabelSelector{MatchLabels: selector(&in.Gateway)},
			RevisionHistoryLimit: &history,
			// A proxy goes only when another one is ready in its place.
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &surge},
			},
			Template: in.pod(cmp.Or(in.Config.Image, keep)),
		},
	}
}

// kept is the controller's image that the fleet has: the one it was made with while that still fits.
func (in *Input) kept() string {
	if in.Running.ABI == ABI && in.Running.Image != "" {
		return in.Running.Image
	}
	return in.Controller.Image
}

func (in *Input) pod(image string) corev1.PodTemplateSpec {
	c := &in.Config
	no, yes, links := false, true, false
	var id int64 = user
	delay, timeout := drain(c)
	grace := int64((delay + timeout + graceReserve + time.Second - 1) / time.Second)
	annotations := in.annotations()
	annotations[ABIAnnotation] = ABI
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: in.labels(), Annotations: annotations},
		Spec: corev1.PodSpec{
			ServiceAccountName:            Name(in.Gateway.Name.Name, in.Gateway.Class),
			AutomountServiceAccountToken:  &no,
			EnableServiceLinks:            &links,
			TerminationGracePeriodSeconds: &grace,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &id, RunAsGroup: &id,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				// Port 80 for a process without any capability. This sysctl is one of the safe ones.
				Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
			},
			Containers:                []corev1.Container{in.container(image, delay, timeout)},
			Volumes:                   in.volumes(),
			ImagePullSecrets:          c.ImagePullSecrets,
			NodeSelector:              c.NodeSelector,
			Affinity:                  c.Affinity,
			Tolerations:               c.Tolerations,
			TopologySpreadConstraints: in.spread(),
			PriorityClassName:         c.PriorityClassName,
		},
	}
}

// container declares no port of a listener: Kubernetes does not need it, and a new listener would restart every proxy.
func (in *Input) container(image string, delay, timeout time.Duration) corev1.Container {
	no, yes := false, true
	port := in.healthPort()
	return corev1.Container{
		Name:      containerName,
		Image:     image,
		Args:      in.args(port, delay, timeout),
		Ports:     []corev1.ContainerPort{{Name: "metrics", ContainerPort: port, Protocol: corev1.ProtocolTCP}},
		Resources: in.resources(),
		// A pod must show within seconds that it cannot serve, may take a minute to start, and is killed when PID 1 has not
		// answered for ten seconds; an Envoy that hangs is given longer by PID 1 itself.
		ReadinessProbe: probe(readyPath, port, 3, 0),
		LivenessProbe:  probe(livePath, port, 10, 50),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "token", MountPath: tokenDir, ReadOnly: true},
			{Name: "anchors", MountPath: anchorsDir, ReadOnly: true},
			{Name: "run", MountPath: runDir},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			ReadOnlyRootFilesystem:   &yes,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
}

// args is the command line of PID 1; the image's entry point is headgate.
func (in *Input) args(health int32, delay, timeout time.Duration) []string {
	l := in.Config.Logging
	if l == nil {
		l = &schema.ProxyLogging{}
	}
	args := []string{
		"proxy",
		xdsFlag + in.Controller.XDS,
		"--exchange=" + in.Controller.Exchange,
		"--token=" + tokenDir + "/" + tokenFile,
		"--anchors=" + anchorsDir + "/" + anchorsFile,
		"--dir=" + runDir,
		fmt.Sprintf("--health=:%d", health),
		"--drain-delay=" + delay.String(),
		"--drain-timeout=" + timeout.String(),
		"--log-level=" + cmp.Or(l.Level, defaultLevel),
		"--log-format=" + cmp.Or(l.Format, defaultFormat),
	}
	if n := in.concurrency(); n > 0 {
		args = append(args, fmt.Sprintf("--concurrency=%d", n))
	}
	return args
}

// concurrency is 0 where PID 1 is to decide by the machine.
func (in *Input) concurrency() int64 {
	if c := in.Config.Concurrency; c != nil {
		return int64(*c)
	}
	if r := in.Config.Resources; r != nil {
		if limit, ok := r.Limits[corev1.ResourceCPU]; ok {
			return limit.Value() // rounds up
		}
	}
	return 0
}

// healthPort is the first port that no listener has.
func (in *Input) healthPort() int32 {
	var taken []int32
	for _, s := range in.Sockets {
		if !s.UDP {
			taken = append(taken, s.Port)
		}
	}
	port := int32(firstHealthPort)
	for slices.Contains(taken, port) {
		port++
	}
	return port
}

// probe asks once a second, the first time after some seconds. A startup probe would do for that wait too, but a kubelet asks no other
// before that has succeeded, and looks about once a second: a pod would be ready up to a second later.
func probe(path string, port, failures, after int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:        corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(port)}},
		InitialDelaySeconds: after,
		PeriodSeconds:       1,
		TimeoutSeconds:      2,
		FailureThreshold:    failures,
	}
}

// resources fills in the requests that the config says nothing about. A limit is a request too.
func (in *Input) resources() corev1.ResourceRequirements {
	var out corev1.ResourceRequirements
	if r := in.Config.Resources; r != nil {
		r.DeepCopyInto(&out)
	}
	for name, amount := range map[corev1.ResourceName]string{corev1.ResourceCPU: "50m", corev1.ResourceMemory: "96Mi"} {
		_, requested := out.Requests[name]
		_, limited := out.Limits[name]
		if requested || limited {
			continue
		}
		if out.Requests == nil {
			out.Requests = corev1.ResourceList{}
		}
		out.Requests[name] = resource.MustParse(amount)
	}
	return out
}

func (in *Input) volumes() []corev1.Volume {
	var lifetime int64 = tokenLifetime
	room := resource.MustParse("16Mi")
	return []corev1.Volume{
		{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience: Audience, ExpirationSeconds: &lifetime, Path: tokenFile,
			}}},
		}}},
		{Name: "anchors", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: Name(in.Gateway.Name.Name, in.Gateway.Class)},
		}}},
		// In memory, since keys are among the files.
		{Name: "run", VolumeSource: corev1.VolumeSource{
			EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &room},
		}},
	}
}

// spread gives the config's constraints, or over nodes and zones as evenly as can be. Pods of another revision do not count:
// they are about to go.
func (in *Input) spread() []corev1.TopologySpreadConstraint {
	pods := &metav1.LabelSelector{MatchLabels: selector(&in.Gateway)}
	if in.Config.TopologySpreadConstraints == nil {
		var out []corev1.TopologySpreadConstraint
		for _, key := range []string{corev1.LabelHostname, corev1.LabelTopologyZone} {
			out = append(out, corev1.TopologySpreadConstraint{
				MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.ScheduleAnyway,
				LabelSelector: pods, MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
			})
		}
		return out
	}
	out := slices.Clone(in.Config.TopologySpreadConstraints)
	for i := range out {
		if out[i].LabelSelector == nil {
			out[i].LabelSelector = pods
		}
	}
	return out
}
