package forge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EventKind is what a hook is about, as far as anybody here wants to know.
type EventKind string

// Kinds of events. Of anything else a hook may be about there is no event.
const (
	// Ping: somebody tries whether hooks arrive.
	Ping EventKind = "ping"
	// Push: a branch or tag was made, moved or deleted.
	Push EventKind = "push"
	// Pull: something about a pull request changed, its comments and labels included.
	Pull EventKind = "pull request"
	// StatusSet: somebody, perhaps we ourselves, said something about a commit.
	StatusSet EventKind = "status"
)

// Event is what a hook says, the same for all kinds of hosts. All of it is free of control characters, and none of it is knowledge.
type Event struct {
	Kind EventKind
	// Repository are the URLs that the host has for it, without credentials; for comparing them see [Key]. A generic hook may have none, and then
	// stands for whatever repository it was made for.
	Repository []string
	// Ref is the whole name of what was pushed, as in "refs/heads/main".
	Ref string
	// Commit is where that is now, the head of the pull request, or what the status is about; empty when it is not said, or the reference was deleted.
	Commit string
	// Number is the pull request's.
	Number int
	// Comment is the id of a comment on it that was written or edited; 0: it is not about one.
	Comment int64 `json:",omitzero"`
	// Labels are those that were set on it, by the user By. Gitea does not say which of all labels changed: there they are all that it has now.
	Labels []string `json:",omitempty"`
	By     string   `json:",omitempty"`
	// Pushed is when the push arrived at the host, by its clock; zero where it does not tell. GitHub does, in whole seconds.
	Pushed time.Time `json:",omitzero"`
}

// eventName is the host's own name for what the hook is about.
func eventName(kind Kind, h http.Header) string {
	switch kind {
	case GitHub:
		return h.Get("X-GitHub-Event")
	case Gitea:
		return first(h, "X-Gitea-Event", "X-Forgejo-Event")
	case GitLab:
		return h.Get("X-Gitlab-Event")
	}
	return ""
}

// decode reads the body of a hook whose signature is good. An event without a kind is one that is of no interest.
func decode(kind Kind, name string, body []byte) (Event, error) {
	var e Event
	var err error
	switch kind {
	case GitHub, Gitea:
		e, err = decodeHub(name, body)
	case GitLab:
		e, err = decodeLab(body)
	default:
		e, err = decodeGeneric(body)
	}
	if err != nil || e.Kind == "" {
		return Event{}, err
	}
	e.Repository = cleanURLs(e.Repository)
	if e.Commit = strings.ToLower(e.Commit); strings.Trim(e.Commit, "0") == "" {
		e.Commit = "" // the id of nothing: deleted
	}
	if e.Repository == nil && kind != Generic && e.Kind != Ping {
		return Event{}, errors.New("it names no repository")
	}
	if e.Labels = slices.DeleteFunc(e.Labels, badName); len(e.Labels) > most || badName(e.By) {
		e.Labels, e.By = nil, ""
	}
	if err := e.check(); err != nil {
		return Event{}, err
	}
	return e, nil
}

func (e Event) check() error {
	switch {
	case e.Commit != "" && !isCommit(e.Commit):
		return errors.New("its commit is none")
	case len(e.Ref) > 1024 || strings.ContainsFunc(e.Ref, func(r rune) bool { return r == ' ' || unprintable(r) }):
		return errors.New("its reference is none")
	case e.Number < 0 || e.Kind == Pull && e.Number == 0:
		return errors.New("its pull request has no number")
	case e.Comment < 0:
		return errors.New("its comment has no id")
	}
	return nil
}

// badName is for names of labels and users.
func badName(s string) bool { return len(s) > 255 || strings.ContainsFunc(s, unprintable) }

func unprintable(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd || r >= 0x80 && r < 0xa0 }

// unmarshal says where a body is wrong, without a word of it.
func unmarshal(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("it has something else than wanted at byte %d", kind.Offset)
	}
	return errors.New("it is not the JSON of a hook")
}

type hookRepository struct {
	CloneURL string `json:"clone_url"`
	SSHURL   string `json:"ssh_url"`
	HTMLURL  string `json:"html_url"`
	// PushedAt is GitHub's, in seconds since 1970 in hooks about a push and a text in others.
	PushedAt json.RawMessage `json:"pushed_at"`
}

func (r *hookRepository) pushed() time.Time {
	if r == nil {
		return time.Time{}
	}
	seconds, err := strconv.ParseInt(string(r.PushedAt), 10, 64)
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// hubHook are the parts of GitHub's and Gitea's bodies that are used.
type hubHook struct {
	Repository *hookRepository `json:"repository"`
	Ref        string          `json:"ref"`
	RefType    string          `json:"ref_type"`
	After      string          `json:"after"`
	SHA        string          `json:"sha"`
	Number     int             `json:"number"`
	Action     string          `json:"action"`
	Pull       *struct {
		Number int `json:"number"`
		Head   struct {
			SHA string `json:"sha"`
		} `json:"head"`
		Labels []hubLabel `json:"labels"`
	} `json:"pull_request"`
	Comment *struct {
		ID int64 `json:"id"`
	} `json:"comment"`
	Label  *hubLabel `json:"label"` // GitHub's: the one that was set
	Sender *hubUser  `json:"sender"`
	Issue  *struct {
		Number int              `json:"number"`
		Pull   *json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	IsPull bool `json:"is_pull"` // Gitea's
}

func decodeHub(name string, body []byte) (Event, error) {
	var h hubHook
	if err := unmarshal(body, &h); err != nil {
		return Event{}, err
	}
	var e Event
	if r := h.Repository; r != nil {
		e.Repository = []string{r.CloneURL, r.SSHURL, r.HTMLURL}
	}
	switch name {
	case "ping":
		e.Kind = Ping
	case "push":
		e.Kind, e.Ref, e.Commit, e.Pushed = Push, h.Ref, h.After, h.Repository.pushed()
	case "create", "delete": // with the short name of the reference; who deletes names no commit
		e.Kind, e.Ref, e.Commit = Push, map[string]string{"branch": "refs/heads/", "tag": "refs/tags/"}[h.RefType]+h.Ref, h.SHA
	case "status":
		e.Kind, e.Commit = StatusSet, h.SHA
	default:
		h.pull(name, &e)
	}
	return e, nil
}

// pull is for the many names of what can happen to a pull request.
func (h hubHook) pull(name string, e *Event) {
	switch {
	case name == "issue_comment" && h.Issue != nil && (h.Issue.Pull != nil || h.IsPull):
		e.Kind, e.Number = Pull, h.Issue.Number
		if h.Comment != nil && (h.Action == "created" || h.Action == "edited") {
			e.Comment = h.Comment.ID
		}
	case strings.HasPrefix(name, "pull_request") && h.Pull != nil:
		e.Kind, e.Number, e.Commit = Pull, max(h.Pull.Number, h.Number), h.Pull.Head.SHA
		h.labels(e)
	case strings.HasPrefix(name, "pull_request"):
		e.Kind, e.Number = Pull, h.Number
	}
}

// labels notes which labels were set, and by whom.
func (h hubHook) labels(e *Event) {
	switch {
	case h.Action == "labeled" && h.Label != nil:
		e.Labels = []string{h.Label.Name}
	case h.Action == "label_updated":
		for _, l := range h.Pull.Labels {
			e.Labels = append(e.Labels, l.Name)
		}
	}
	if len(e.Labels) > 0 && h.Sender != nil {
		e.By = h.Sender.Login
	}
}

type labHookPull struct {
	IID        int `json:"iid"`
	LastCommit struct {
		ID string `json:"id"`
	} `json:"last_commit"`
}

type labHook struct {
	ObjectKind string `json:"object_kind"`
	Project    struct {
		HTTPURL string `json:"git_http_url"`
		SSHURL  string `json:"git_ssh_url"`
		WebURL  string `json:"web_url"`
	} `json:"project"`
	Ref        string           `json:"ref"`
	After      string           `json:"after"`
	Attributes *json.RawMessage `json:"object_attributes"` // of what object_kind says
	Merge      *labHookPull     `json:"merge_request"`     // of a note
	User       labUser          `json:"user"`
	Changes    struct {
		Labels struct {
			Previous, Current []struct {
				Title string `json:"title"`
			}
		} `json:"labels"`
	} `json:"changes"`
}

func decodeLab(body []byte) (Event, error) {
	var h labHook
	if err := unmarshal(body, &h); err != nil {
		return Event{}, err
	}
	e := Event{Repository: []string{h.Project.HTTPURL, h.Project.SSHURL, h.Project.WebURL}}
	switch h.ObjectKind {
	case "push", "tag_push":
		e.Kind, e.Ref, e.Commit = Push, h.Ref, h.After
	case "merge_request":
		var p labHookPull
		if h.Attributes == nil || unmarshal(*h.Attributes, &p) != nil {
			return Event{}, errors.New("its object_attributes are none of a merge request")
		}
		e.Kind, e.Number, e.Commit = Pull, p.IID, p.LastCommit.ID
		if e.Labels = h.labels(); len(e.Labels) > 0 {
			e.By = h.User.Username
		}
	case "note":
		if h.Merge != nil {
			e.Kind, e.Number, e.Commit, e.Comment = Pull, h.Merge.IID, h.Merge.LastCommit.ID, h.note()
		}
	case "pipeline": // statuses of other programs make one
		var p struct {
			SHA string `json:"sha"`
		}
		if h.Attributes == nil || unmarshal(*h.Attributes, &p) != nil {
			return Event{}, errors.New("its object_attributes are none of a pipeline")
		}
		e.Kind, e.Commit = StatusSet, p.SHA
	}
	return e, nil
}

// note is the id of the comment; 0 where it has none.
func (h labHook) note() int64 {
	var note struct {
		ID int64 `json:"id"`
	}
	if h.Attributes == nil || unmarshal(*h.Attributes, &note) != nil {
		return 0
	}
	return note.ID
}

// labels are those that were set.
func (h labHook) labels() []string {
	var set []string
	changed := h.Changes.Labels
	for _, l := range changed.Current {
		if !slices.Contains(changed.Previous, l) {
			set = append(set, l.Title)
		}
	}
	return set
}

// decodeGeneric reads a hook of one's own making: all of it may be left out, and {} is a push of something.
func decodeGeneric(body []byte) (Event, error) {
	var h struct {
		Repository  string    `json:"repository"` // a URL
		Ref         string    `json:"ref"`
		Commit      string    `json:"commit"`
		PullRequest int       `json:"pullRequest"`
		Pushed      time.Time `json:"pushed"`
	}
	if err := unmarshal(body, &h); err != nil {
		return Event{}, err
	}
	e := Event{Kind: Push, Repository: []string{h.Repository}, Ref: h.Ref, Commit: h.Commit, Number: h.PullRequest, Pushed: h.Pushed}
	if h.PullRequest != 0 {
		e.Kind = Pull
	}
	return e, nil
}

// cleanURLs keeps what can be the URL of a repository, without credentials.
func cleanURLs(urls []string) []string {
	var clean []string
	for _, s := range urls {
		u, ok := parse(s)
		if !ok || Key(s) == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "ssh" {
			continue
		}
		if u.User != nil {
			if name := u.User.Username(); u.Scheme == "ssh" {
				u.User = url.User(name)
			} else {
				u.User = nil
			}
			s = u.String()
		}
		clean = append(clean, s)
	}
	return clean
}
