package schema

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SyncPreviewsStatus is about the previews of a Sync.
//
// +kubebuilder:object:generate=true
type SyncPreviewsStatus struct {
	// Count is how many there are.
	//
	// +optional
	Count int32 `json:"count,omitempty"`
	// Message says why the Git host could not be asked or told; the previews that there are stay meanwhile.
	//
	// Example: "listing pull requests of team-a/shop at git.example.com: unauthorized (401)"
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// Without are the pull requests and branches whose head is not previewed, and why.
	//
	// Limits: at most 500; there may be more, which then are not listed.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=500
	Without []PreviewAbsence `json:"without,omitempty"`
}

// PreviewAbsence is a pull request or branch whose head is not previewed.
//
// +kubebuilder:object:generate=true
type PreviewAbsence struct {
	// Name that the preview would have.
	//
	// Example: pr-42
	//
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`
	// Number of the pull request.
	//
	// +optional
	Number int64 `json:"number,omitempty"`
	// Branch, where it is no pull request.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Branch string `json:"branch,omitempty"`
	// Author of the pull request.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Author string `json:"author,omitempty"`
	// Commit is the head.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=40
	Commit string `json:"commit,omitempty"`
	// Previous is the head before, where one was seen.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=40
	Previous string `json:"previous,omitempty"`
	// Seen is when the head was seen first.
	//
	// +optional
	Seen *metav1.Time `json:"seen,omitempty"`
	// Reason in one word. Fork: it is a fork's, and nobody has approved it. Full: there are as many previews as there may be, of all or of its author. Ended:
	// somebody deleted the preview of this very commit. Expired: it was too old. StatusMissing: the commit status that is required is not green. NoBase: no commit
	// in common with the branch that it is to go to was found. Nothing: it has no commit that that branch does not have. Waiting: another preview is just ending.
	//
	// Example: Fork
	//
	// +kubebuilder:validation:MaxLength=32
	Reason string `json:"reason"`
	// Message says why, and what to do about it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// ApprovedBy is who approved the commit of a fork that something else keeps from being previewed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	ApprovedBy string `json:"approvedBy,omitempty"`
}
