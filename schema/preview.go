package schema

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KindPreview is the kind of a Preview, a custom resource.
const KindPreview = "Preview"

// Conditions of a Preview.
const (
	// PreviewReady is True while the preview's objects are applied as the head wants them and its workloads are healthy.
	PreviewReady = "Ready"
	// PreviewLive is True while every ready Envoy concerned has acknowledged them.
	PreviewLive = "Live"
)

// Preview is what one open pull request, or one branch, would make of production, served beside it. Headgate makes and removes it for a Sync that has
// previews; deleting it ends the preview until the next push.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=previews,shortName=hgp,categories=headgate
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.revision`
// +kubebuilder:printcolumn:name="Live",type=string,JSONPath=`.status.conditions[?(@.type=="Live")].status`
// +kubebuilder:printcolumn:name="Author",type=string,JSONPath=`.spec.author`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Preview struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is previewed.
	//
	// +kubebuilder:validation:Required
	Spec PreviewSpec `json:"spec"`
	// Status is what is so.
	//
	// +optional
	Status PreviewStatus `json:"status,omitempty"`
}

// PreviewList is a list of Previews, as the API server gives it.
//
// +kubebuilder:object:root=true
type PreviewList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Preview `json:"items"`
}

// PreviewSpec says what is previewed. Headgate writes it, all but pin.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:XValidation:rule="self.sync == oldSelf.sync && self.name == oldSelf.name",message="a preview stays that of its Sync and its name"
// +kubebuilder:validation:XValidation:rule="has(self.number) != has(self.branch)",message="a preview is of a pull request or of a branch"
type PreviewSpec struct {
	// Sync of the same namespace.
	//
	// Required.
	// Limits: 1 to 63 characters.
	// Example: shop
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Sync string `json:"sync"`
	// Name is what the preview is called in hosts and headers.
	//
	// Required.
	// Limits: a DNS label of at most 40 characters.
	// Example: pr-42
	//
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// Number of the pull request.
	//
	// Limits: 1 at least.
	// Example: 42
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	Number int64 `json:"number,omitempty"`
	// Branch that is previewed, where it is no pull request.
	//
	// Limits: at most 255 characters.
	// Example: feature/cart
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Branch string `json:"branch,omitempty"`
	// Author of the pull request, as the host names them.
	//
	// Limits: at most 255 characters.
	// Example: ada
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Author string `json:"author,omitempty"`
	// Commit is the head.
	//
	// Required.
	// Limits: 40 hexadecimal digits in lower case.
	// Example: 8c1d22f10b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
	//
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}$`
	Commit string `json:"commit"`
	// Base is the merge base: what the head is compared with.
	//
	// Required.
	// Limits: 40 hexadecimal digits in lower case.
	// Example: 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
	//
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}$`
	Base string `json:"base"`
	// Fork: the head is of another repository, and may do less.
	//
	// Default: false.
	// Example: true
	//
	// +optional
	Fork bool `json:"fork,omitempty"`
	// Pin keeps the preview from ending by age, until it is false again. It still ends with the pull request.
	//
	// Default: false.
	// Example: true
	//
	// +optional
	Pin bool `json:"pin,omitempty"`
}

// PreviewStatus is the status of a Preview.
//
// +kubebuilder:object:generate=true
type PreviewStatus struct {
	// ObservedGeneration is the generation of the Preview that the status is about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready and Live.
	//
	// Limits: at most 16.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// URL of the first service that the change touches.
	//
	// Example: https://shop-pr-42.preview.example.com
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	URL string `json:"url,omitempty"`
	// Sites are the services that the change touches.
	//
	// Limits: at most 64; there may be more, which then are not listed.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Sites []PreviewSite `json:"sites,omitempty"`
	// Revision that is applied.
	//
	// Example: pr-42@sha1:8c1d22f10b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Revision string `json:"revision,omitempty"`
	// Pushed is when the head was first seen.
	//
	// +optional
	Pushed *metav1.Time `json:"pushed,omitempty"`
	// Refusals are parts of the change that have no place in a preview, each with its place and the rule's name.
	//
	// Limits: at most 32; there may be more, which then are not listed.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	Refusals []string `json:"refusals,omitempty"`
}

// PreviewSite is a service that the change touches.
//
// +kubebuilder:object:generate=true
type PreviewSite struct {
	// Service is its name.
	//
	// +kubebuilder:validation:MaxLength=253
	Service string `json:"service"`
	// Namespace it is in.
	//
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// Host of the preview; none where it answers by header alone.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`
}
