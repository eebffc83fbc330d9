package git

import (
	"cmp"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"headgate.dev/agent/git/internal/refs"
)

// Source says which commits are wanted.
type Source struct {
	// URL is http://, https://, ssh://, file:// or "user@host:path", or else a local directory. A file:// URL is read in
	// place like a directory. User and password may stand in the URL; they are never shown.
	URL string
	// Ref is what to follow. Zero: what HEAD points at, followed through a switch of branches.
	Ref Ref
	// Auth is for remotes.
	Auth Auth
	// Proxy is what a remote is reached through. Zero: for http(s) what the environment says.
	Proxy Proxy
	// Limits bound what a commit may cost.
	Limits Limits
}

// Ref is what of a repository is wanted. At most one of Branch, Tag, SemVer and Name is set, and Commit alone or beside
// Branch. Zero means HEAD.
type Ref struct {
	// Branch is a branch's name without "refs/heads/".
	Branch string
	// Tag is a tag's name without "refs/tags/".
	Tag string
	// SemVer is a range of versions (">=1.2.0 <2"): the highest tag inside it.
	SemVer string
	// Commit is a commit's id: 40 hexadecimal digits, for a local repository any unique abbreviation of at least 4.
	Commit string
	// Name is a reference in full ("refs/pull/42/head"), or short: then a branch, else a tag, else a commit.
	Name string
	// Back leads from there to an ancestor, as Git's revisions do: "~2", "^", "^2~1". For local repositories; a remote is fetched
	// without its history.
	Back string
}

// ParseRef reads the form people type: a name ("main", "v1.2.3", "refs/pull/1/head", a commit's id), or with a word
// in front that says which kind is meant: "branch:main", "tag:v1.2.3", "semver:>=1.2", "commit:4f2a9c1". Empty and "@" are
// HEAD. All but a range may have a way back behind them: "HEAD~1", "main^2".
func ParseRef(s string) (Ref, error) {
	var r Ref
	kind, rest, found := strings.Cut(s, ":")
	if kind != "semver" {
		s, r.Back = refs.CutBack(s)
		kind, rest, found = strings.Cut(s, ":")
	}
	switch {
	case !found:
		r.Name = s
	case kind == "branch":
		r.Branch = rest
	case kind == "tag":
		r.Tag = rest
	case kind == "semver":
		r.SemVer = rest
	case kind == "commit":
		r.Commit = rest
	default:
		return Ref{}, fmt.Errorf("reading reference %q: unknown kind %q: the kinds are branch, tag, semver and commit", s, kind)
	}
	if found && rest == "" {
		return Ref{}, fmt.Errorf("reading reference %q: nothing after %q", s, kind+":")
	}
	return r, r.validate()
}

// String gives the form ParseRef reads; "HEAD" for zero.
func (r Ref) String() string { return r.start() + r.Back }

// start is String without the way back.
func (r Ref) start() string {
	switch {
	case r.Commit != "":
		return "commit:" + r.Commit
	case r.Branch != "":
		return "branch:" + r.Branch
	case r.Tag != "":
		return "tag:" + r.Tag
	case r.SemVer != "":
		return "semver:" + r.SemVer
	case r.Name != "":
		return r.Name
	}
	return "HEAD"
}

var hexID = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

func (r Ref) validate() error {
	set := 0
	for _, s := range []string{r.Branch, r.Tag, r.SemVer, r.Name} {
		if s != "" {
			set++
		}
		if strings.ContainsAny(s, "\x00\n\r") || strings.HasPrefix(s, "-") {
			return fmt.Errorf("reading reference %q: not a name Git allows", s)
		}
	}
	if set > 1 || r.Commit != "" && set > 0 && r.Branch == "" {
		return fmt.Errorf("reading reference %s: name one of branch, tag, semver, commit or name", r)
	}
	return r.validateValue()
}

func (r Ref) validateValue() error {
	if r.Commit != "" && !hexID.MatchString(r.Commit) {
		return fmt.Errorf("reading reference %s: a commit is 40 lower-case hexadecimal digits", r)
	}
	if !refs.ValidBack(r.Back) {
		return fmt.Errorf("reading reference %s: behind ~ and ^ stands a number or nothing, as in HEAD~2 and HEAD^", r)
	}
	if r.SemVer == "" {
		return nil
	}
	if _, err := semver.NewConstraint(r.SemVer); err != nil {
		return fmt.Errorf("reading reference %s: %w: write a range such as \">=1.2.0 <2\"", r, err)
	}
	return nil
}

// Auth is how to authenticate to a remote. Zero is anonymous.
type Auth struct {
	// Username and Password (or a token as password) for http(s). For ssh, Username is the user ("git" when empty, also
	// taken from the URL) and Password unlocks SSHKey.
	Username, Password string
	// BearerToken is sent over http(s) instead of Username and Password.
	BearerToken string
	// App is a GitHub App, whose tokens are sent over http(s) instead. Options.App gets them.
	App *AppKey
	// SSHKey is a private key in PEM.
	SSHKey []byte
	// KnownHosts is the content of a known_hosts file. Required for ssh: a host that is not in it is refused.
	KnownHosts []byte
	// SSHAgent is the path of an agent's socket, used when there is no SSHKey.
	SSHAgent string
	// CA is a bundle of certificates in PEM trusted beside the system's.
	CA []byte
	// ClientCert and ClientKey are a certificate and its key in PEM for TLS.
	ClientCert, ClientKey []byte
}

// Limits bound the work a commit can cause. Zero fields take the default.
type Limits struct {
	// Blob is the largest file that is read, in bytes. Default 1 MiB. Servers that can are asked not to send larger ones.
	Blob int64
	// Entries is how many directory entries may be listed in one commit. Default 100,000.
	Entries int
	// Bytes is how many bytes of files may be read in one commit. Default 256 MiB.
	Bytes int64
	// Refs is how many bytes a list of references may have, sent by a server or in packed-refs. Default 64 MiB.
	Refs int64
	// Pack is how many bytes one fetch may transfer. Default 1 GiB.
	Pack int64
}

func (l Limits) withDefaults() Limits {
	l.Blob = cmp.Or(l.Blob, 1<<20)
	l.Entries = cmp.Or(l.Entries, 100_000)
	l.Bytes = cmp.Or(l.Bytes, 256<<20)
	l.Refs = cmp.Or(l.Refs, 64<<20)
	l.Pack = cmp.Or(l.Pack, 1<<30)
	return l
}

// scpLike is the short form of an ssh URL: "git@example.com:team/repo.git".
var scpLike = regexp.MustCompile(`^([A-Za-z0-9_.-]+@)?([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):([^/\\].*|/.+)$`)

// IsRemote tells whether a source's URL names a repository that must be fetched; everything else is a directory.
func IsRemote(raw string) bool {
	if i := strings.Index(raw, "://"); i > 0 {
		return raw[:i] != "file"
	}
	return scpLike.MatchString(raw) && !filepath.IsAbs(raw)
}

// parseURL reads the URL of a remote, the short form of ssh included.
func parseURL(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		m := scpLike.FindStringSubmatch(raw)
		if m == nil {
			return nil, fmt.Errorf("reading Git URL: not http://, https:// or ssh://, nor user@host:path")
		}
		// A path without a slash in front is relative to the user's home, and stays so.
		u := &url.URL{Scheme: "ssh", Host: m[2], Path: m[3]}
		if m[1] != "" {
			u.User = url.User(strings.TrimSuffix(m[1], "@"))
		}
		return u, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's own message repeats the URL with what may be a password.
		return nil, fmt.Errorf("reading Git URL: it is not a URL (a %% or a space that must be escaped?)")
	}
	switch u.Scheme {
	case "http", "https", "ssh":
	default:
		return nil, &UnsupportedError{
			Doing: "reading Git URL " + display(u), What: fmt.Sprintf("scheme %q", u.Scheme), Remedy: "use https:// or ssh://"}
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") == "" {
		return nil, fmt.Errorf("reading Git URL %s: host or path is missing", display(u))
	}
	return u, nil
}

// display is a URL as it may be shown: without user, password, query and fragment, all of which may hold secrets.
func display(u *url.URL) string {
	d := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return d.String()
}
