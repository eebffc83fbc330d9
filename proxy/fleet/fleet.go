package fleet

import (
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/model"
	"headgate.dev/schema"
)

// ABI of this release: the version of Envoy, and a number that goes up with everything else in a pod that a proxy of the
// release before would do without. A test holds it against the pod.
const ABI = "1.40.0-2"

// Input is everything that a fleet depends on.
type Input struct {
	Gateway Gateway
	// Sockets of the Gateway, in any order. Without any there is no Service to be made; one that exists stays as it is, with
	// its addresses.
	Sockets []model.ListenerID
	// Config is what Merge gave.
	Config     schema.ProxyConfigSpec
	Controller Controller
	// Running is the Deployment that exists; the zero value if there is none.
	Running Running
}

// Gateway is what a fleet depends on of its Gateway.
type Gateway struct {
	Name model.Name
	UID  types.UID
	// Class is spec.gatewayClassName.
	Class string
	// Labels and Annotations are those of spec.infrastructure.
	Labels, Annotations map[string]string
	Addresses           Addresses
}

// GatewayOf reads what a fleet depends on.
func GatewayOf(g *gwv1.Gateway) Gateway {
	out := Gateway{
		Name: model.Name{Namespace: g.Namespace, Name: g.Name}, UID: g.UID, Class: string(g.Spec.GatewayClassName),
		Addresses: AddressesOf(g.Spec.Addresses),
	}
	if i := g.Spec.Infrastructure; i != nil {
		out.Labels, out.Annotations = map[string]string{}, map[string]string{}
		for key, value := range i.Labels {
			out.Labels[string(key)] = string(value)
		}
		for key, value := range i.Annotations {
			out.Annotations[string(key)] = string(value)
		}
	}
	return out
}

// Controller is what proxies must know of the controller.
type Controller struct {
	// Image has headgate and Envoy in it.
	Image string
	// XDS and Exchange are where the controller serves configuration and certificates: HOST:PORT.
	XDS, Exchange string
	// Anchors are the certificates (PEM) by which a proxy knows the controller.
	Anchors []byte
}

// Running is what a Deployment says of the release it was made by.
type Running struct {
	Exists bool
	// Image and ABI are the values of ImageAnnotation and ABIAnnotation.
	Image, ABI string
}

// RunningOf reads a Deployment of a fleet; nil is one that does not exist.
func RunningOf(d *appsv1.Deployment) Running {
	if d == nil {
		return Running{}
	}
	return Running{Exists: true, Image: d.Annotations[ImageAnnotation], ABI: d.Annotations[ABIAnnotation]}
}

// Calls tells whether the proxies of a Deployment get their configuration from the controller: it is another one's fleet if not.
func Calls(d *appsv1.Deployment, c Controller) bool {
	for i := range d.Spec.Template.Spec.Containers {
		if slices.Contains(d.Spec.Template.Spec.Containers[i].Args, xdsFlag+c.XDS) {
			return true
		}
	}
	return false
}

// The field managers. The number of replicas has one of its own, which just stops applying when an autoscaler takes over: if
// the first one gave the field up, the API server would set it to 1 before the autoscaler knows.
const (
	Manager         = "headgate"
	ReplicasManager = "headgate-replicas"
)

// Object is an object to apply, with force, as the field manager Manager.
type Object struct {
	*unstructured.Unstructured
	Manager string
}

// Objects gives the objects of a fleet in the order in which they are to be applied. An object that exists and is not Owned by
// the Gateway is somebody else's, and must not be touched.
func Objects(in Input) []Object {
	out := []Object{
		in.object(in.serviceAccount()),
		in.object(in.anchors()),
		in.object(in.deployment()),
	}
	if r := in.replicas(); r != nil {
		out = append(out, Object{r, ReplicasManager})
	}
	if len(in.Sockets) > 0 {
		out = append(out, in.object(in.service()))
	}
	out = append(out, in.object(in.disruptionBudget()))
	if in.Config.Autoscaling != nil {
		out = append(out, in.object(in.autoscaler()))
	}
	return out
}

// Unwanted names what must not be there beside Objects; an object of that name that is not Owned by the Gateway stays.
func Unwanted(in Input) []Ref {
	if in.Config.Autoscaling != nil {
		return nil
	}
	return []Ref{in.ref(autoscalerType)}
}

// All names everything that a fleet can have, in the order in which it is to be taken down when the Gateway stays and its fleet
// goes: first the Service, so that no client is sent to pods that go.
func All(gateway model.Name, class string) []Ref {
	in := Input{Gateway: Gateway{Name: gateway, Class: class}}
	var out []Ref
	for _, t := range []metav1.TypeMeta{
		serviceType, autoscalerType, deploymentType, disruptionBudgetType, configMapType, serviceAccountType,
	} {
		out = append(out, in.ref(t))
	}
	return out
}

// Owned tells whether an object belongs to the Gateway with that UID.
func Owned(o metav1.Object, gateway types.UID) bool {
	owner := metav1.GetControllerOfNoCopy(o)
	return owner != nil && owner.UID == gateway
}

// ClaimedBy gives the name of the Gateway, of the pod's own namespace, that a pod says it serves; empty for a pod of no fleet.
// Whether it does is what Serves tells, with the Gateway's class.
func ClaimedBy(pod *corev1.Pod) string {
	if pod.Labels[nameLabel] != AppName {
		return ""
	}
	return pod.Annotations[GatewayAnnotation]
}

// Serves tells whether a pod is one of the fleet of a Gateway: by its namespace, its ServiceAccount and what every pod of the fleet
// has on it. Whoever may make pods in that namespace can make one that does.
func Serves(pod *corev1.Pod, gateway model.Name, class string) bool {
	for key, value := range selector(&Gateway{Name: gateway, Class: class}) {
		if pod.Labels[key] != value {
			return false
		}
	}
	return pod.Namespace == gateway.Namespace && ClaimedBy(pod) == gateway.Name &&
		pod.Spec.ServiceAccountName == Name(gateway.Name, class)
}

var (
	serviceAccountType   = metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}
	configMapType        = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
	serviceType          = metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}
	deploymentType       = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}
	disruptionBudgetType = metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}
	autoscalerType       = metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"}
)

func (in *Input) ref(t metav1.TypeMeta) Ref {
	return Ref{
		APIVersion: t.APIVersion, Kind: t.Kind,
		Name: model.Name{Namespace: in.Gateway.Name.Namespace, Name: Name(in.Gateway.Name.Name, in.Gateway.Class)},
	}
}

// meta gives the metadata that every object of the fleet has.
func (in *Input) meta() metav1.ObjectMeta {
	controller := true
	return metav1.ObjectMeta{
		Namespace:   in.Gateway.Name.Namespace,
		Name:        Name(in.Gateway.Name.Name, in.Gateway.Class),
		Labels:      in.labels(),
		Annotations: in.annotations(),
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: gwv1.GroupVersion.String(), Kind: "Gateway", Name: in.Gateway.Name.Name, UID: in.Gateway.UID,
			Controller: &controller,
		}},
	}
}

// labels gives the labels of everything: the config's, over them the Gateway's, over them ours.
func (in *Input) labels() map[string]string {
	out := map[string]string{}
	for key, value := range in.Config.Labels {
		out[key] = string(value)
	}
	maps.Copy(out, in.Gateway.Labels)
	maps.Copy(out, selector(&in.Gateway))
	maps.Copy(out, map[string]string{
		ClassLabel:                     labelValue(in.Gateway.Class),
		"app.kubernetes.io/component":  "proxy",
		"app.kubernetes.io/part-of":    "headgate",
		"app.kubernetes.io/managed-by": "headgate",
	})
	return out
}

// annotations gives the annotations of everything. Those that mean something on a Service alone stay there (GEP-1762 lets us): on
// the pods, a new one would restart every proxy.
func (in *Input) annotations() map[string]string {
	out := in.allAnnotations()
	maps.DeleteFunc(out, func(key, _ string) bool {
		return strings.HasPrefix(key, "service.beta.kubernetes.io/") || strings.HasPrefix(key, "service.kubernetes.io/")
	})
	return out
}

func (in *Input) allAnnotations() map[string]string {
	out := map[string]string{}
	maps.Copy(out, in.Config.Annotations)
	maps.Copy(out, in.Gateway.Annotations)
	out[GatewayAnnotation] = in.Gateway.Name.Name
	return out
}

// object turns a typed object into one that has only what was set.
func (in *Input) object(o runtime.Object) Object {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		panic(err) // the types of k8s.io/api can all be converted
	}
	delete(content, "status")
	return Object{&unstructured.Unstructured{Object: content}, Manager}
}
