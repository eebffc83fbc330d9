package schema

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ForgeKind is the kind of a Git host: whose API it speaks, and how it signs its webhooks.
type ForgeKind string

// ForgeGeneric is whatever can sign a webhook; it has no API. The other values are github, gitea and gitlab.
const ForgeGeneric ForgeKind = "generic"

// SyncForge is the Git host as more than a repository.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:XValidation:rule="self.kind != 'generic' || (has(self.hookSecretRef) && !has(self.secretRef))",message="a generic host sends webhooks and has no API: name hookSecretRef alone"
type SyncForge struct {
	// Kind of the host. Forgejo is gitea; generic is whatever can send a webhook with an HMAC.
	//
	// Required.
	// Limits: github, gitea, gitlab or generic.
	// Example: gitea
	//
	// +kubebuilder:validation:Enum=github;gitea;gitlab;generic
	Kind ForgeKind `json:"kind"`
	// URL where people find the host.
	//
	// Default: the host of the repository's URL, over https where that is ssh.
	// Limits: https or http, at most 2048 characters; no password in it.
	// Example: https://git.example.com
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s@?#]+$`
	URL string `json:"url,omitempty"`
	// SecretRef names the Secret of the same namespace with what the host's API asks for: token, or what the Sync's own secretRef may have
	// (password, bearerToken, a GitHub App), and ca.crt. It must be allowed to read the repository and its pull requests and to write what is told
	// there: commit statuses, comments, and with previews deployments (GitHub) or environments (GitLab).
	//
	// Default: the Secret of the Sync's secretRef.
	// Example: {name: shop-forge}
	//
	// +optional
	SecretRef *SyncSecret `json:"secretRef,omitempty"`
	// HookSecretRef names the Secret of the same namespace whose token the host signs its webhooks with, 16 characters at least. Where the host is to
	// send them to is in status.forge.hookPath, which nobody can guess who does not know the token.
	//
	// Default: no webhooks are taken.
	// Example: {name: shop-hook}
	//
	// +optional
	HookSecretRef *SyncSecret `json:"hookSecretRef,omitempty"`
	// Statuses tells the host what becomes of each commit: a commit status that is pending, then success or failure.
	//
	// Default: true where there is a token.
	// Example: false
	//
	// +optional
	Statuses *bool `json:"statuses,omitempty"`
	// Context is what the commit statuses are called. Clusters that follow the same repository need different ones.
	//
	// Default: headgate/NAMESPACE/NAME of the Sync.
	// Limits: at most 255 characters.
	// Example: headgate/prod
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Context string `json:"context,omitempty"`
}

// SyncForgeStatus is about the Git host.
//
// +kubebuilder:object:generate=true
type SyncForgeStatus struct {
	// HookPath is the path of headgate's webhook server that the host sends its webhooks to.
	//
	// Example: /hook/6b1e8f0f2a3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	HookPath string `json:"hookPath,omitempty"`
	// HookTime is when a webhook came that told of a commit, the last one.
	//
	// +optional
	HookTime *metav1.Time `json:"hookTime,omitempty"`
	// HookMessage says why no webhooks are taken.
	//
	// Example: "hookSecretRef: reading Secret shop-hook: there is none"
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	HookMessage string `json:"hookMessage,omitempty"`
	// Message says why the host could not be told what became of a commit.
	//
	// Example: "setting the status of 4f2a9c1 at git.example.com: unauthorized (401)"
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
