package schema

// SyncPreviews gives each open pull request, or each branch of some names, a preview: what it changes is served beside production, at a host of its own.
// `headgate up` and `headgate preview diff` do the same for local branches.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:XValidation:rule="has(self.pullRequests) != has(self.branches)",message="previews are of pullRequests or of branches: name one of the two"
// +kubebuilder:validation:XValidation:rule="(has(self.mode) && self.mode == 'header') || has(self.domain)",message="previews by host need a domain"
type SyncPreviews struct {
	// PullRequests that get one. The Sync's forge says where they are. An empty map is all that are open and from the repository itself.
	//
	// Example: {labels: [preview]}
	//
	// +optional
	PullRequests *PreviewPullRequests `json:"pullRequests,omitempty"`
	// Branches that get one.
	//
	// Example: {names: ["feature/*"]}
	//
	// +optional
	Branches *PreviewBranches `json:"branches,omitempty"`
	// Domain that previews are below, each in one label: one wildcard certificate and one DNS entry serve them all.
	//
	// Limits: at most 189 characters. Required unless mode is header.
	// Example: preview.example.com
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Domain string `json:"domain,omitempty"`
	// Host is the pattern of the label in front of the domain. {{.Service}} and {{.Name}} (pr-42) must be in it, {{.Namespace}} and
	// {{.Sync}} may be.
	//
	// Default: "{{.Service}}-{{.Name}}".
	// Limits: at most 128 characters.
	// Example: "{{.Name}}--{{.Service}}"
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^([-a-z0-9]|\{\{ ?\.(Service|Name|Namespace|Sync) ?\}\})+$`
	// +kubebuilder:validation:XValidation:rule="self.contains('.Service') && (self.contains('.Name}') || self.contains('.Name '))",message="{{.Service}} and {{.Name}} must be in the pattern, else previews share a host"
	Host string `json:"host,omitempty"`
	// Mode says where a preview answers: at a host of its own, at production's hosts for requests with the header
	// x-headgate-preview: pr-42, or both.
	//
	// Default: host.
	// Limits: host, header or both.
	// Example: both
	//
	// +optional
	// +kubebuilder:validation:Enum=host;header;both
	Mode PreviewMode `json:"mode,omitempty"`
	// Gateway that the hosts of previews are served by: a namespace and a name, a listener behind "#".
	//
	// Default: the Gateways of the route that a preview's is made from.
	// Limits: at most 400 characters.
	// Example: infra/previews#https
	//
	// +optional
	// +kubebuilder:validation:MaxLength=400
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?(#[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	Gateway string `json:"gateway,omitempty"`
	// Images that the commit of a preview brings.
	//
	// Limits: at most 32.
	// Example: [{name: registry.example.com/shop, newTag: "{{.SHA}}"}]
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(i, has(i.newName) || has(i.newTag))",message="newName or newTag says what the commit brings"
	Images []PreviewImage `json:"images,omitempty"`
	// Requires is the context of a commit status that must be green before the images of a commit are used, because that is what
	// builds them. Until then the preview is not made.
	//
	// Default: images are there when the commit is.
	// Limits: at most 255 characters.
	// Example: ci/image
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Requires string `json:"requires,omitempty"`
	// Limit is how many previews there may be at once. A full house refuses the newcomer, and ends nobody's.
	//
	// Default: {total: 50, perAuthor: 10}.
	// Example: {total: 200, perAuthor: 20}
	//
	// +optional
	Limit *PreviewLimit `json:"limit,omitempty"`
	// TTL is how long a preview stays after the last push.
	//
	// Default: 168h.
	// Limits: a duration of Gateway API from 1m to 9999h.
	// Example: 72h
	//
	// +optional
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:Pattern=`^([0-9]{1,4}(h|m)){1,2}$`
	TTL string `json:"ttl,omitempty"`
	// MaxAge is how long a preview stays, whatever is pushed. A new one is made at the push after that.
	//
	// Default: 720h.
	// Limits: a duration of Gateway API from 1m to 9999h.
	// Example: 336h
	//
	// +optional
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:Pattern=`^([0-9]{1,4}(h|m)){1,2}$`
	MaxAge string `json:"maxAge,omitempty"`
	// Forks says what strangers may. A fork's head gets a preview only once somebody with write access approved that very commit, by the
	// comment "/preview COMMIT" or by the label.
	//
	// Default: no image of a fork's is run, and no label approves.
	// Example: {registries: [ghcr.io/example], label: safe-to-preview}
	//
	// +optional
	Forks *PreviewForks `json:"forks,omitempty"`
	// Quota is the hard limits of a preview's namespace, as in a ResourceQuota, beside the default ones or instead.
	//
	// Default: 10 pods, 1 CPU and 1Gi requested, 4 CPUs and 2Gi at most, no load balancer.
	// Limits: at most 32.
	// Example: {pods: "20", limits.memory: 8Gi}
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Quota map[string]string `json:"quota,omitempty"`
	// ServiceAccountName is the account of the Sync's namespace as which previews are made and removed. It needs to write routes where the
	// Sync's are and to make namespaces.
	//
	// Default: the Sync's account.
	// Limits: at most 253 characters.
	// Example: shop-previews
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// PreviewMode says where a preview answers.
type PreviewMode string

// Values of PreviewMode.
const (
	PreviewByHost   PreviewMode = "host"
	PreviewByHeader PreviewMode = "header"
	PreviewByBoth   PreviewMode = "both"
)

// PreviewPullRequests says which pull requests get a preview: those to which everything fits that is said.
//
// +kubebuilder:object:generate=true
type PreviewPullRequests struct {
	// Labels, one of which the pull request must have.
	//
	// Default: any or none.
	// Limits: at most 32, of 255 characters each.
	// Example: [preview]
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=255
	Labels []string `json:"labels,omitempty"`
	// Targets are the branches that it wants to go to; "*" stands for any characters but a slash.
	//
	// Default: the branch that the Sync follows.
	// Limits: at most 32, of 255 characters each.
	// Example: [main, "release/*"]
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=255
	Targets []string `json:"targets,omitempty"`
	// Drafts lets drafts have one.
	//
	// Default: false.
	// Example: true
	//
	// +optional
	Drafts bool `json:"drafts,omitempty"`
	// Authors who get one; with "!" in front, who does not.
	//
	// Default: everybody.
	// Limits: at most 64, of 255 characters each.
	// Example: ["!renovate[bot]"]
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=255
	Authors []string `json:"authors,omitempty"`
}

// PreviewBranches says which branches get a preview.
//
// +kubebuilder:object:generate=true
type PreviewBranches struct {
	// Names of branches; "*" stands for any characters but a slash, "**" for any at all. The branch that the Sync follows never gets one.
	//
	// Required.
	// Limits: 1 to 32, of 255 characters each.
	// Example: ["feature/*"]
	//
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Names []string `json:"names"`
}

// PreviewImage is an image that the commit of a preview brings.
//
// +kubebuilder:object:generate=true
type PreviewImage struct {
	// Name of the image as the tree has it, without tag and digest.
	//
	// Required.
	// Limits: 1 to 255 characters.
	// Example: registry.example.com/shop
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Name string `json:"name"`
	// NewName is the name it gets.
	//
	// Default: the same name.
	// Limits: at most 255 characters; {{.SHA}} is the commit, {{.Name}} the preview's name.
	// Example: registry.example.com/previews/shop
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	NewName string `json:"newName,omitempty"`
	// NewTag is the tag it gets instead of tag and digest.
	//
	// Default: tag and digest as they are in the tree.
	// Limits: at most 128 characters; {{.SHA}} is the commit, {{.Name}} the preview's name.
	// Example: "{{.SHA}}"
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	NewTag string `json:"newTag,omitempty"`
}

// PreviewLimit is how many previews there may be at once.
//
// +kubebuilder:object:generate=true
type PreviewLimit struct {
	// Total of the Sync.
	//
	// Default: 50.
	// Limits: 1 to 1000.
	// Example: 200
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Total int32 `json:"total,omitempty"`
	// PerAuthor is how many of them one author may have.
	//
	// Default: 10.
	// Limits: 1 to 1000.
	// Example: 20
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	PerAuthor int32 `json:"perAuthor,omitempty"`
}

// PreviewForks says what pull requests from forks may.
//
// +kubebuilder:object:generate=true
type PreviewForks struct {
	// Label that approves the head it was set at, when somebody with write access set it. It is taken off at the next push.
	//
	// Default: only a comment approves.
	// Limits: at most 255 characters.
	// Example: safe-to-preview
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Label string `json:"label,omitempty"`
	// Registries that images of forks may come from, as the beginning of their names up to a slash.
	//
	// Default: none.
	// Limits: at most 32, of 255 characters each.
	// Example: [ghcr.io/example]
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Registries []string `json:"registries,omitempty"`
	// Kinds of objects that a fork may change, those that specs become included. Secrets and ReferenceGrants never.
	//
	// Default: [HTTPRoute, GRPCRoute, Service, ConfigMap, Deployment].
	// Limits: at most 32, of 255 characters each.
	// Example: [HTTPRoute]
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Kinds []string `json:"kinds,omitempty"`
}
