package schema

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KindSync is the kind of a Sync, a custom resource.
const KindSync = "Sync"

// Conditions of a Sync. Ready, Reconciling and Stalled are those of kstatus.
const (
	// SyncReady is True while the wanted revision is applied and, where wait is not off, its objects are healthy.
	SyncReady = "Ready"
	// SyncReconciling is True while a revision is on its way into the cluster; else it is not there.
	SyncReconciling = "Reconciling"
	// SyncStalled is True when nothing gets better without somebody changing the repository or the Sync; else it is not there.
	SyncStalled = "Stalled"
	// SyncLive is True while every ready Envoy concerned has acknowledged all that the applied revision wrote and removed.
	SyncLive = "Live"
)

// Sync says: this repository, this reference, this path are what runs. What is at the Git reference is rendered, applied, pruned and
// followed until the last Envoy has it. The name is also a label of everything that the Sync owns, and so has 63 characters at most.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=syncs,shortName=hgs,categories=headgate
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.revision`
// +kubebuilder:printcolumn:name="Live",type=string,JSONPath=`.status.conditions[?(@.type=="Live")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="URL",type=string,priority=1,JSONPath=`.spec.url`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,priority=1,JSONPath=`.spec.suspend`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name is a label's value: 63 characters at most"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.startsWith('preview.')",message="a name that begins with preview. is that of a preview's objects"
type Sync struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	//
	// +kubebuilder:validation:Required
	Spec SyncSpec `json:"spec"`
	// Status is what is so.
	//
	// +optional
	Status SyncStatus `json:"status,omitempty"`
}

// SyncList is a list of Syncs, as the API server gives it.
//
// +kubebuilder:object:root=true
type SyncList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Sync `json:"items"`
}

// SyncSpec is the spec of a Sync.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:XValidation:rule="!has(self.proxy) || self.url.startsWith('http') || self.proxy.url.startsWith('socks5')",message="the way to ssh leads through a socks5 proxy only"
type SyncSpec struct {
	// URL of the repository: https, http, ssh, or user@host:path. User and password belong in the Secret that secretRef names.
	//
	// Required.
	// Limits: 1 to 2048 characters; no password in it.
	// Example: https://git.example.com/team-a/shop
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^((https?|ssh)://[^\s/]+(/\S*)?|[^\s/:@]+@[^\s/:@]+:\S+)$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https?://[^/]*@') && !self.matches('^ssh://[^/@]*:[^/@]*@')",message="credentials belong in the Secret that secretRef names, not in the URL"
	URL string `json:"url"`
	// Ref is what of the repository to follow.
	//
	// Default: the repository's own default branch.
	// Example: {branch: main}
	//
	// +optional
	Ref *SyncRef `json:"ref,omitempty"`
	// Path is the directory of the repository that is rendered.
	//
	// Default: the whole repository.
	// Limits: at most 1024 characters; without a slash in front and without "..".
	// Example: clusters/prod
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[^/\\]`
	// +kubebuilder:validation:XValidation:rule="!self.matches('(^|/)[.][.](/|$)')",message="a path does not leave the repository"
	Path string `json:"path,omitempty"`
	// Gateway is the Gateway of every spec that names none, as in a spec: a namespace and a name, a listener behind "#".
	//
	// Default: the default Gateway of the tree, else that of the cluster.
	// Limits: at most 400 characters.
	// Example: infra/public#https
	//
	// +optional
	// +kubebuilder:validation:MaxLength=400
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?(#[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	Gateway string `json:"gateway,omitempty"`
	// Interval between two looks at the repository when no webhook says that something is new. Each wait is up to a tenth longer or
	// shorter, so that many Syncs do not look at the same moment.
	//
	// Default: 1m.
	// Limits: a duration of Gateway API from 1s to 24h.
	// Example: 30s
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s')",message="an interval is 1s at least"
	Interval SyncDuration `json:"interval,omitempty"`
	// SecretRef names the Secret of the same namespace with what the repository asks for: username and password, bearerToken, identity
	// and known_hosts (both for ssh), githubAppID, githubAppInstallationID and githubAppPrivateKey (a GitHub App), ca.crt, tls.crt and tls.key.
	//
	// Default: the repository is read without credentials.
	// Example: {name: shop-git}
	//
	// +optional
	SecretRef *SyncSecret `json:"secretRef,omitempty"`
	// Proxy is what the repository is reached through.
	//
	// Example: {url: "http://proxy.example.com:3128"}
	//
	// +optional
	Proxy *SyncProxy `json:"proxy,omitempty"`
	// Verify lets only signed commits through.
	//
	// Example: {mode: HEAD, secretRef: {name: maintainers}}
	//
	// +optional
	Verify *SyncVerify `json:"verify,omitempty"`
	// Forge is the Git host as more than a repository: it tells of pushes by webhooks, and is told what became of a commit.
	//
	// Default: the repository is looked at every interval, and the host is told nothing.
	// Example: {kind: gitea, secretRef: {name: shop-forge}, hookSecretRef: {name: shop-hook}}
	//
	// +optional
	Forge *SyncForge `json:"forge,omitempty"`
	// Monotonic refuses a commit that does not have the applied one among its ancestors: no way back by a forced push. A pin is
	// still followed.
	//
	// Default: false.
	// Example: true
	//
	// +optional
	Monotonic bool `json:"monotonic,omitempty"`
	// Prune removes what the Sync owns and Git has no longer. Where it is false such objects stay, and are removed when it becomes true.
	// One with the annotation headgate.dev/prune: disabled always stays.
	//
	// Default: true.
	// Example: false
	//
	// +optional
	Prune *bool `json:"prune,omitempty"`
	// DeletionPolicy says what happens to what the Sync owns when the Sync is deleted: Delete removes it, WaitForTermination waits until
	// the last object is gone, Orphan leaves it, and MirrorPrune is Delete or Orphan as prune says.
	//
	// Default: MirrorPrune.
	// Limits: MirrorPrune, Delete, WaitForTermination or Orphan.
	// Example: Orphan
	//
	// +optional
	// +kubebuilder:validation:Enum=MirrorPrune;Delete;WaitForTermination;Orphan
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// Suspend stops everything that the Sync does, until it is false again. What is applied stays.
	//
	// Default: false.
	// Example: true
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// DependsOn are Syncs that must be Ready before anything of this one is applied.
	//
	// Limits: at most 32.
	// Example: [{name: platform, namespace: infra}]
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	DependsOn []SyncReference `json:"dependsOn,omitempty"`
	// ServiceAccountName is the account of the same namespace as which the Sync does everything in the cluster, reading included.
	//
	// Default: the controller's default account; where it has none, the Sync is refused.
	// Limits: at most 253 characters.
	// Example: shop-deployer
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// TargetNamespace is the one namespace that the repository's objects may be in, and is that of those that name none. An object that
	// names another one is refused.
	//
	// Default: the Sync's own namespace for objects that name none; others are free.
	// Limits: at most 63 characters.
	// Example: shop
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	TargetNamespace string `json:"targetNamespace,omitempty"`
	// Timeout of one commit: fetch, render, apply and, where there is one, the wait.
	//
	// Default: 5m.
	// Limits: a duration of Gateway API from 1s to 24h.
	// Example: 2m
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s')",message="a timeout is 1s at least"
	Timeout SyncDuration `json:"timeout,omitempty"`
	// Wait lets a commit be Ready only once all its objects are healthy.
	//
	// Default: true.
	// Example: false
	//
	// +optional
	Wait *bool `json:"wait,omitempty"`
	// Force deletes an object and makes it again where the change is to a field that cannot be changed. Without it, such a commit fails.
	//
	// Default: false.
	// Example: true
	//
	// +optional
	Force bool `json:"force,omitempty"`
	// Substitute puts values in the place of ${NAME} in the repository's files. A name that has no value is an error.
	//
	// Default: nothing is substituted.
	// Example: {variables: {REGION: eu}, from: [{kind: ConfigMap, name: cluster}]}
	//
	// +optional
	Substitute *SyncSubstitute `json:"substitute,omitempty"`
	// Ignore leaves fields to others: they get the repository's value when the object is made, and keep what they have after that.
	//
	// Limits: at most 64.
	// Example: [{target: {kind: Deployment}, fields: [/spec/replicas]}]
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(i, has(i.fields) || (has(i.weights) && i.weights))",message="fields or weights say what is left to others"
	Ignore []SyncIgnore `json:"ignore,omitempty"`
	// Drift says what is done when others change what the Sync owns.
	//
	// Default: people are told.
	// Example: {policy: correct, rules: [{managers: [kubectl*], policy: alert}]}
	//
	// +optional
	Drift *SyncDrift `json:"drift,omitempty"`
	// Notify says who is told about what.
	//
	// Default: Kubernetes Events and the status alone.
	// Limits: at most 8.
	// Example: [{name: on-call, type: Alertmanager, url: "http://alertmanager.monitoring:9093", events: [drift, stale]}]
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Notify []SyncNotify `json:"notify,omitempty"`
	// Pin is a commit to go to and stay at, whatever the reference says: a rollback, until it is taken away.
	//
	// Limits: 40 hexadecimal digits in lower case.
	// Example: 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
	//
	// +optional
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}$`
	Pin string `json:"pin,omitempty"`
	// Previews serves what open pull requests would change beside what runs.
	//
	// Default: there are none.
	// Example: {pullRequests: {}, domain: preview.example.com}
	//
	// +optional
	Previews *SyncPreviews `json:"previews,omitempty"`
}

// SyncDuration is a duration of Gateway API (GEP-2257) up to a day.
//
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
// +kubebuilder:validation:MaxLength=24
// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('24h')",message="a day at most"
type SyncDuration string

// DeletionPolicy says what happens to what a Sync owns when the Sync is deleted.
type DeletionPolicy string

// Values of DeletionPolicy.
const (
	DeletionMirrorPrune DeletionPolicy = "MirrorPrune"
	DeletionDelete      DeletionPolicy = "Delete"
	DeletionWait        DeletionPolicy = "WaitForTermination"
	DeletionOrphan      DeletionPolicy = "Orphan"
)

// SyncRef is what of a repository to follow: one of branch, tag, semver and name; a commit alone or beside the branch it is on.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:XValidation:rule="[has(self.branch), has(self.tag), has(self.semver), has(self.name)].filter(x, x).size() <= 1",message="name one of branch, tag, semver and name"
// +kubebuilder:validation:XValidation:rule="!has(self.commit) || !(has(self.tag) || has(self.semver) || has(self.name))",message="a commit stands alone or beside a branch"
type SyncRef struct {
	// Branch to follow.
	//
	// Limits: 1 to 255 characters.
	// Example: main
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[^-\s][^\s]*$`
	Branch string `json:"branch,omitempty"`
	// Tag to follow, wherever it is moved to.
	//
	// Limits: 1 to 255 characters.
	// Example: v1.4.0
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[^-\s][^\s]*$`
	Tag string `json:"tag,omitempty"`
	// SemVer is a range of versions: the highest tag inside it is followed.
	//
	// Limits: 1 to 255 characters.
	// Example: ">=1.2.0 <2"
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	SemVer string `json:"semver,omitempty"`
	// Commit to stay at.
	//
	// Limits: 40 hexadecimal digits in lower case.
	// Example: 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
	//
	// +optional
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}$`
	Commit string `json:"commit,omitempty"`
	// Name of a reference in full.
	//
	// Limits: 1 to 255 characters, "refs/" in front.
	// Example: refs/heads/release/1.4
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^refs/[^\s]+$`
	Name string `json:"name,omitempty"`
}

// SyncSecret names a Secret of the Sync's namespace.
//
// +kubebuilder:object:generate=true
type SyncSecret struct {
	// Name of the Secret.
	//
	// Required.
	// Limits: 1 to 253 characters.
	// Example: shop-git
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// SyncReference names another Sync.
//
// +kubebuilder:object:generate=true
type SyncReference struct {
	// Name of the Sync.
	//
	// Required.
	// Limits: 1 to 63 characters.
	// Example: platform
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Namespace of the Sync.
	//
	// Default: the Sync's own.
	// Limits: at most 63 characters.
	// Example: infra
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// SyncProxy is what a repository is reached through: an HTTP proxy for one at https or http, a SOCKS5 proxy for any.
//
// +kubebuilder:object:generate=true
type SyncProxy struct {
	// URL of the proxy.
	//
	// Required.
	// Limits: http, https or socks5, 1 to 2048 characters; no password in it.
	// Example: http://proxy.example.com:3128
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^(https?|socks5)://[^\s/@]+/?$`
	URL string `json:"url"`
	// SecretRef names the Secret of the same namespace with the username and password that the proxy asks for.
	//
	// Example: {name: proxy}
	//
	// +optional
	SecretRef *SyncSecret `json:"secretRef,omitempty"`
}

// SyncVerify says whose signatures a commit needs, PGP or SSH.
//
// +kubebuilder:object:generate=true
type SyncVerify struct {
	// Mode says what must be signed: HEAD is the commit, Tag is the annotated tag that led to it, TagAndHEAD both.
	//
	// Default: HEAD.
	// Limits: HEAD, Tag or TagAndHEAD.
	// Example: TagAndHEAD
	//
	// +optional
	// +kubebuilder:validation:Enum=HEAD;Tag;TagAndHEAD
	Mode VerifyMode `json:"mode,omitempty"`
	// SecretRef names the Secret of the same namespace with the keys that count: each value is an armored PGP key ring, or lines as in an
	// authorized_keys file of SSH.
	//
	// Required.
	// Example: {name: maintainers}
	//
	SecretRef SyncSecret `json:"secretRef"`
}

// VerifyMode says what must be signed.
type VerifyMode string

// Values of VerifyMode.
const (
	VerifyHEAD       VerifyMode = "HEAD"
	VerifyTag        VerifyMode = "Tag"
	VerifyTagAndHEAD VerifyMode = "TagAndHEAD"
)

// SyncSubstitute is where the values of ${NAME} come from. What the Sync itself says wins over every object; of the objects a later one
// over an earlier one.
//
// +kubebuilder:object:generate=true
type SyncSubstitute struct {
	// Variables by their names.
	//
	// Limits: at most 64, values of at most 4096 characters; a name has letters, digits and "_", no digit in front.
	// Example: {REGION: eu}
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 128 && k.matches('^[A-Za-z_][A-Za-z0-9_]*$'))",message="a name has letters, digits and _ only, and no digit in front"
	Variables map[string]SyncValue `json:"variables,omitempty"`
	// From are ConfigMaps and Secrets of the same namespace whose keys are names of variables. A value out of a Secret goes into Secrets only.
	//
	// Limits: at most 16.
	// Example: [{kind: ConfigMap, name: cluster}]
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	From []SyncSubstituteFrom `json:"from,omitempty"`
}

// SyncValue is the value of a variable.
//
// +kubebuilder:validation:MaxLength=4096
type SyncValue string

// SyncSubstituteFrom is an object with values.
//
// +kubebuilder:object:generate=true
type SyncSubstituteFrom struct {
	// Kind of the object.
	//
	// Required.
	// Limits: ConfigMap or Secret.
	// Example: ConfigMap
	//
	// +kubebuilder:validation:Enum=ConfigMap;Secret
	Kind string `json:"kind"`
	// Name of the object.
	//
	// Required.
	// Limits: 1 to 253 characters.
	// Example: cluster
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Optional says that the object need not be there.
	//
	// Default: false.
	// Example: true
	//
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// SyncIgnore leaves fields of objects to others.
//
// +kubebuilder:object:generate=true
type SyncIgnore struct {
	// Target says which objects.
	//
	// Default: all objects.
	// Example: {kind: Deployment, name: shop}
	//
	// +optional
	Target SyncSelector `json:"target,omitempty"`
	// Fields as JSON pointers (RFC 6901).
	//
	// Limits: at most 32, of at most 512 characters.
	// Example: [/spec/replicas]
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^(/([^~/]|~[01])*)+$`
	Fields []string `json:"fields,omitempty"`
	// Weights of the backends of routes, for a controller that moves traffic step by step. Everything else of the rule stays Git's.
	//
	// Default: false.
	// Example: true
	//
	// +optional
	Weights bool `json:"weights,omitempty"`
}

// SyncSelector says which objects are meant: those to which everything fits that it says.
//
// +kubebuilder:object:generate=true
type SyncSelector struct {
	// Group of the API; "core" is the group without a name.
	//
	// Default: any.
	// Limits: at most 253 characters.
	// Example: apps
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`
	// Kind of the objects.
	//
	// Default: any.
	// Limits: at most 63 characters.
	// Example: Deployment
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// Namespace of the objects.
	//
	// Default: any.
	// Limits: at most 63 characters.
	// Example: shop
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// Name of the objects; "*" stands for any characters.
	//
	// Default: any.
	// Limits: at most 253 characters.
	// Example: shop-*
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// Labels that the objects have.
	//
	// Default: any.
	// Limits: at most 8.
	// Example: {app: shop}
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Labels map[string]string `json:"labels,omitempty"`
}
