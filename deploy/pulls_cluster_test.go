//go:build cluster

package deploy

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/schema"
)

const (
	pullsPassword = "Passw0rd!x"
	pullsRepo     = "/repos/" + storyRepository
)

// pullsStory is a story with pull requests: a real Git host with people in it, who open, push, approve and close.
type pullsStory struct {
	*previewStory
	hook  string // its URL
	token string // of headgate's own account
}

// TestClusterPullRequests: the life of pull requests at a real Git host, told by webhooks. The Sync looks by itself once an hour only.
func TestClusterPullRequests(t *testing.T) {
	s := &pullsStory{previewStory: &previewStory{story: &story{world: newWorld(t), dir: filepath.Join(t.TempDir(), "clone")}}}
	s.tool("crds", "standard")
	s.tool("load-image", "../bin/headgate-image.tar")
	s.tool("kubectl", "apply", "--server-side", "--force-conflicts", "-k", "crds")
	s.freePreviews(s.Context())
	s.freshNamespaces()
	s.startGitea()
	s.stop = s.startController()
	defer func() {
		s.in(t)
		s.stop()
		s.freePreviews(s.Context())
	}()
	s.createGateway()
	beta, endpoints := service("beta", s.host, s.backend(t, "the beta"))
	beta.Namespace, endpoints.Namespace = storyNamespace, storyNamespace
	s.create(beta, endpoints)
	s.people()
	s.createRepository()
	s.propose("main", "Offer the shop", "shop.yaml", shopSpec)
	s.follow()
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"life", s.life}, {"told", s.told}, {"fork", s.fork}, {"label", s.label}, {"full house", s.fullHouse}, {"outage", s.outage},
		{"ended by hand", s.endedByHand}, {"hostile", s.hostile}, {"latency", s.latency}, {"restart", s.restartedController},
	} {
		if !t.Run(step.name, func(t *testing.T) { s.in(t); step.do() }) {
			break
		}
	}
}

// as asks Gitea as somebody, and wants a good answer.
func (s *pullsStory) as(user, method, path string, body, out any) {
	s.Helper()
	text, err := json.Marshal(body)
	s.must(err)
	q, err := http.NewRequestWithContext(s.Context(), method, s.gitea.URL+"/api/v1"+path, bytes.NewReader(text))
	s.must(err)
	q.Header.Set("Content-Type", "application/json")
	if strings.Contains(path, "/tokens") { // only with one's password
		q.SetBasicAuth(user, pullsPassword)
	} else {
		q.Header.Set("Authorization", "Bearer "+s.gitea.Token)
		q.Header.Set("Sudo", user)
	}
	res, err := visitor.Do(q)
	s.must(err)
	defer res.Body.Close()
	text, err = io.ReadAll(res.Body)
	s.must(err)
	if res.StatusCode > 299 {
		s.Fatalf("%s %s as %s: %s: %s", method, path, user, res.Status, text)
	}
	if out != nil {
		s.must(json.Unmarshal(text, out))
	}
}

// people are ada, who may write, eve, who may not, and headgate's own account.
func (s *pullsStory) people() {
	for _, name := range []string{"ada", "eve", "headgate-bot"} {
		s.api("POST", "/admin/users", values{"username": name, "email": name + "@example.test", "password": pullsPassword, "must_change_password": false}, nil)
	}
	s.token = s.newToken("first")
}

func (s *pullsStory) newToken(name string) string {
	var token struct {
		Token string `json:"sha1"`
	}
	s.as("headgate-bot", "POST", "/users/headgate-bot/tokens", values{"name": name, "scopes": []string{"write:repository", "write:issue", "read:user"}}, &token)
	return token.Token
}

// follow makes the Sync and its webhook.
func (s *pullsStory) follow() {
	for name, may := range map[string]string{"ada": "write", "headgate-bot": "admin"} {
		s.api("PUT", pullsRepo+"/collaborators/"+name, values{"permission": may}, nil)
	}
	s.api("PATCH", pullsRepo, values{"private": false}, nil) // so that eve can fork it
	own := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: storyNamespace, Name: name} }
	s.create(&corev1.Secret{ObjectMeta: own("shop-git"), StringData: map[string]string{"username": "headgate-bot", "password": s.token}},
		&corev1.Secret{ObjectMeta: own("shop-hook"), StringData: map[string]string{"token": "canary-hook-0123456789"}})
	s.sync = &schema.Sync{ObjectMeta: own("shop"), Spec: schema.SyncSpec{
		URL: s.gitea.URL + "/" + storyRepository + ".git", Ref: &schema.SyncRef{Branch: "main"}, Interval: "1h", Gateway: storyNamespace + "/public",
		SecretRef: &schema.SyncSecret{Name: "shop-git"}, ServiceAccountName: "deployer",
		Forge: &schema.SyncForge{Kind: "gitea", HookSecretRef: &schema.SyncSecret{Name: "shop-hook"}},
		Previews: &schema.SyncPreviews{PullRequests: &schema.PreviewPullRequests{}, Domain: previewDomain, Limit: &schema.PreviewLimit{Total: 20, PerAuthor: 20},
			Forks: &schema.PreviewForks{Label: "safe-to-preview"}},
	}}
	s.create(s.sync)
	s.until("the Sync says where webhooks go", time.Minute, func(ctx context.Context) error {
		err := s.Get(ctx, client.ObjectKeyFromObject(s.sync), s.sync)
		if err == nil && (s.sync.Status.Forge == nil || s.sync.Status.Forge.HookPath == "") {
			err = fmt.Errorf("its status is %+v", s.sync.Status)
		}
		return err
	})
	s.api("POST", pullsRepo+"/hooks", values{"type": "gitea", "active": true, "events": []string{"push", "create", "delete", "pull_request", "pull_request_sync",
		"pull_request_label", "pull_request_comment", "issue_comment", "status"},
		"config": values{"url": "http://" + s.hooks + s.sync.Status.Forge.HookPath, "content_type": "json", "secret": "canary-hook-0123456789"}}, nil)
	s.production(s.git("rev-parse", "main"))
}

// branch pushes a branch from main with a shop that leads elsewhere, and gives the commit.
func (s *pullsStory) branch(name, file, content string) string {
	s.Helper()
	s.git("checkout", "-q", "main")
	return s.propose(name, "Change "+file, file, content)
}

// open opens a pull request, and gives its number.
func (s *pullsStory) open(user, head, title string) int {
	s.Helper()
	var pr struct {
		Number int `json:"number"`
	}
	if !strings.Contains(head, ":") {
		s.knows(head)
	}
	s.as(user, "POST", pullsRepo+"/pulls", values{"title": title, "head": head, "base": "main"}, &pr)
	return pr.Number
}

func (s *pullsStory) close(number int) {
	s.Helper()
	s.as("ada", "PATCH", fmt.Sprintf("%s/pulls/%d", pullsRepo, number), values{"state": "closed"}, nil)
}

func hostOf(service string, number int) string {
	return fmt.Sprintf("%s-pr-%d.%s", service, number, previewDomain)
}

// of gives the Preview of a pull request; nil where there is none.
func (s *pullsStory) of(number int) *schema.Preview {
	s.Helper()
	p := &schema.Preview{}
	err := s.Get(s.Context(), client.ObjectKey{Namespace: storyNamespace, Name: fmt.Sprintf("shop.pr-%d", number)}, p)
	if apierrors.IsNotFound(err) {
		return nil
	}
	s.must(err)
	return p
}

// without waits until the status says that a pull request has no preview for a reason, and gives the message.
func (s *pullsStory) without(number int, reason string) (message string) {
	s.Helper()
	s.until(fmt.Sprintf("pull request %d is %s", number, reason), 30*time.Second, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(s.sync), s.sync); err != nil {
			return err
		}
		status := s.sync.Status.Previews
		if status == nil {
			return errors.New("nothing is said")
		}
		i := slices.IndexFunc(status.Without, func(a schema.PreviewAbsence) bool { return a.Number == int64(number) && a.Reason == reason })
		if i < 0 {
			return fmt.Errorf("the status is %+v", status)
		}
		message = status.Without[i].Message
		return nil
	})
	return message
}

// life: a pull request is opened, pushed to, and closed.
func (s *pullsStory) life() {
	head := s.branch("beta", "shop.yaml", s.spec("shop", "shop.story.example", "beta"))
	n := s.open("ada", "beta", "Offer the beta")
	s.Logf("opened → 200: %s", s.answers(hostOf("shop", n), "/", "", 200, "the beta").Round(time.Millisecond))
	s.is("shop.story.example", "the shop")
	p := s.of(n)
	if p == nil || p.Spec.Commit != head || p.Spec.Author != "ada" || p.Spec.Fork || p.Spec.Number != int64(n) || p.Spec.Base != s.git("rev-parse", "main") ||
		len(p.OwnerReferences) != 1 || p.OwnerReferences[0].UID != s.sync.UID {
		s.Fatalf("its Preview is %+v", p)
	}
	s.git("checkout", "-q", "beta")
	s.propose("beta", "Go back", "cart.yaml", s.spec("cart", "cart.story.example", "beta"))
	s.Logf("pushed → 200: %s", s.answers(hostOf("cart", n), "/", "", 200, "the beta").Round(time.Millisecond))
	s.close(n)
	s.Logf("closed → gone: %s", s.answers(hostOf("cart", n), "/", "", 404, "").Round(time.Millisecond))
	s.gone(p)
	s.as("ada", "PATCH", fmt.Sprintf("%s/pulls/%d", pullsRepo, n), values{"state": "open"}, nil)
	s.answers(hostOf("shop", n), "/", "", 200, "the beta")
	s.merge(n)
	s.Logf("merged → gone: %s", s.answers(hostOf("shop", n), "/", "", 404, "").Round(time.Millisecond))
	s.answers("shop.story.example", "/", "", 200, "the beta")
	s.answers("cart.story.example", "/", "", 200, "the beta")
	s.git("checkout", "-q", "main")
	s.git("pull", "-q", "origin", "main")
}

// merge merges a pull request as ada, once Gitea has found out whether it can be: until then it says 405.
func (s *pullsStory) merge(number int) {
	s.Helper()
	path := fmt.Sprintf("%s/pulls/%d", pullsRepo, number)
	s.until(fmt.Sprintf("pull request %d can be merged", number), time.Minute, func(context.Context) error {
		var p struct {
			Mergeable bool `json:"mergeable"`
		}
		s.as("ada", "GET", path, nil, &p)
		if !p.Mergeable {
			return errors.New("not yet")
		}
		return nil
	})
	s.as("ada", "POST", path+"/merge", values{"Do": "merge"}, nil)
}

// heard is when Gitea told of what happened to pull requests.
type heard struct {
	mu sync.Mutex
	at map[string]time.Time // by action and number: "opened 7"
}

// ServeHTTP notes what a webhook tells.
func (h *heard) ServeHTTP(_ http.ResponseWriter, q *http.Request) {
	now := time.Now()
	var event struct {
		Action string `json:"action"`
		Number int    `json:"number"`
	}
	if json.NewDecoder(q.Body).Decode(&event) == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.at[fmt.Sprint(event.Action, " ", event.Number)] = now
	}
}

// since gives the time from a webhook to an end that may come before it, since Gitea tells everybody in turn.
func (h *heard) since(s *pullsStory, what string, end time.Time) (d time.Duration) {
	s.until("Gitea tells the test that it is "+what, 30*time.Second, func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		at, ok := h.at[what]
		if !ok {
			return fmt.Errorf("it told %v", h.at)
		}
		d = end.Sub(at)
		return nil
	})
	return d
}

// latency measures pull requests that change routing alone: from the person's request, which Gitea takes its time for, and from Gitea's webhook, which it
// sends to the test as well.
func (s *pullsStory) latency() {
	h := &heard{at: map[string]time.Time{}}
	server := httptest.NewServer(h)
	defer server.Close()
	s.api("POST", pullsRepo+"/hooks", values{"type": "gitea", "active": true, "events": []string{"pull_request"},
		"config": values{"url": server.URL, "content_type": "json"}}, nil)
	took := map[string][]time.Duration{}
	note := func(what string, number int, start time.Time) {
		end := time.Now()
		took[what+" by somebody"] = append(took[what+" by somebody"], end.Sub(start))
		took[what+" by webhook"] = append(took[what+" by webhook"], h.since(s, fmt.Sprint(what, " ", number), end))
	}
	for i := range 9 {
		branch := fmt.Sprintf("fast-%d", i)
		s.branch(branch, "shop.yaml", shopSpec)
		s.knows(branch)
		start := time.Now()
		n := s.open("ada", branch, "Offer the shop again")
		s.answers(hostOf("shop", n), "/", "", 200, "the shop")
		note("opened", n, start)
		start = time.Now()
		s.close(n)
		s.answers(hostOf("shop", n), "/", "", 404, "")
		note("closed", n, start)
	}
	for _, what := range slices.Sorted(maps.Keys(took)) {
		all := took[what]
		slices.Sort(all)
		s.Logf("%s → so: median %s, worst %s (%d times)", what, all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond), len(all))
	}
}

// comments are those that headgate's account wrote on a pull request.
func (s *pullsStory) comments(number int) (out []string) {
	s.Helper()
	var all []struct {
		Body string
		User struct{ Login string }
	}
	s.api("GET", fmt.Sprintf("%s/issues/%d/comments", pullsRepo, number), nil, &all)
	for _, c := range all {
		if c.User.Login == "headgate-bot" {
			out = append(out, c.Body)
		}
	}
	return out
}

// says waits until the one comment has some parts, and gives it.
func (s *pullsStory) says(number int, parts ...string) (body string) {
	s.Helper()
	s.until(fmt.Sprintf("the comment on %d says %q", number, parts), 30*time.Second, func(context.Context) error {
		all := s.comments(number)
		if len(all) != 1 {
			return fmt.Errorf("there are %d comments", len(all))
		}
		body = all[0]
		for _, part := range parts {
			if !strings.Contains(body, part) {
				return fmt.Errorf("%q is not in %s", part, body)
			}
		}
		return nil
	})
	return body
}

// shows waits until the host shows a status at a commit, and gives its text and URL.
func (s *pullsStory) shows(commit, state string) (text, url string) {
	s.Helper()
	s.until("the status of "+commit[:7]+" is "+state, 30*time.Second, func(context.Context) error {
		var all []struct {
			ID                           int64
			Context, Status, Description string
			URL                          string `json:"target_url"`
		}
		s.api("GET", pullsRepo+"/commits/"+commit+"/statuses", nil, &all)
		newest, is := int64(0), ""
		for _, one := range all {
			if one.Context == "headgate/preview" && one.ID > newest {
				newest, is, text, url = one.ID, one.Status, one.Description, one.URL
			}
		}
		if is != state {
			return fmt.Errorf("it is %q: %s, among %+v", is, text, all)
		}
		return nil
	})
	return text, url
}

// told: one comment, edited in place, with the traffic before and after; errors with file and line; statuses.
func (s *pullsStory) told() {
	head := s.branch("told", "shop.yaml", s.spec("shop", "shop.story.example", "shop"))
	n := s.open("ada", "told", "<img src=x onerror=alert(1)> `{{.}}` @root1")
	body := s.says(n, "**Preview** http://"+hostOf("shop", n)+" · live at "+head[:7], "| request |", "shop.story.example", "1 change of traffic; objects: 0 added, 1 changed, 0 removed")
	for _, bad := range []string{"<img", "{{", "@root1"} {
		if strings.Contains(body, bad) {
			s.Errorf("%q is in the comment: %s", bad, body)
		}
	}
	s.Logf("the comment:\n%s", body)
	if text, url := s.shows(head, "success"); !strings.HasPrefix(text, "live ") || url != "http://"+hostOf("shop", n) {
		s.Errorf("the status is %q, %q", text, url)
	}
	s.git("checkout", "-q", "told")
	bad := s.propose("told", "Break it", "shop.yaml", shopSpec+"  timeout: soon\n")
	s.says(n, "**Not previewed:** "+bad[:7], "shop.yaml:7:3", head[:7]+" is served on")
	if text, _ := s.shows(bad, "failure"); !strings.HasPrefix(text, "shop.yaml:7:3") {
		s.Errorf("the status is %q", text)
	}
	s.answers(hostOf("shop", n), "/", "", 200, "the shop")
	s.close(n)
	s.says(n, "The preview has ended: this pull request is closed")
}

// eveFork gives eve a fork of her own, once.
func (s *pullsStory) eveFork() {
	s.as("eve", "POST", pullsRepo+"/forks", values{}, nil)
	s.until("the fork is there", 30*time.Second, func(ctx context.Context) error {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.gitea.URL+"/api/v1/repos/eve/shop/branches/main", nil)
		if err != nil {
			return err
		}
		res, err := visitor.Do(q)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
}

// eveWrites commits a file to a branch of eve's fork, made from main when it is new, and gives the commit.
func (s *pullsStory) eveWrites(branch, file, content string, fresh bool) string {
	s.Helper()
	body := values{"content": base64.StdEncoding.EncodeToString([]byte(content)), "message": "Write " + file, "branch": branch}
	if fresh {
		body["branch"], body["new_branch"] = "main", branch
	}
	method := "POST"
	var old struct {
		SHA string `json:"sha"`
	}
	at := branch
	if fresh {
		at = "main"
	}
	if q, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.gitea.URL+"/api/v1/repos/eve/shop/contents/"+file+"?ref="+at, nil); err == nil {
		if res, err := visitor.Do(q); err == nil {
			if res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(&old) == nil {
				method, body["sha"] = "PUT", old.SHA
			}
			res.Body.Close()
		}
	}
	var done struct {
		Commit struct {
			SHA string `json:"sha"`
		} `json:"commit"`
	}
	s.as("eve", method, "/repos/eve/shop/contents/"+file, body, &done)
	return done.Commit.SHA
}

func (s *pullsStory) comment(user string, number int, text string) {
	s.Helper()
	s.as(user, "POST", fmt.Sprintf("%s/issues/%d/comments", pullsRepo, number), values{"body": text}, nil)
}

// never holds for a while that a pull request has no preview.
func (s *pullsStory) never(number int, why string) {
	s.Helper()
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		if p := s.of(number); p != nil && p.DeletionTimestamp == nil {
			s.Fatalf("%s: there is a Preview at %s", why, p.Spec.Commit)
		}
	}
}

// forked is a shop with one route more, to where production leads already: a fork opens no other way.
func (s *pullsStory) forked(path string) string {
	return s.spec("shop", "shop.story.example", "beta") + "  - path: " + path + "\n    to: beta\n"
}

// fork: a stranger's head runs once a writer approved that very commit, and not a commit longer.
func (s *pullsStory) fork() {
	s.eveFork()
	first := s.eveWrites("evil", "shop.yaml", s.forked("/more"), true)
	n := s.open("eve", "eve:evil", "Be nice")
	if message := s.without(n, "Fork"); !strings.Contains(message, "/preview "+first) {
		s.Errorf("it says %q", message)
	}
	s.says(n, "Not previewed: this pull request comes from a fork", "`/preview "+first+"`")
	s.comment("eve", n, "/preview "+first)
	s.comment("ada", n, "/preview "+strings.Repeat("0", 40))
	s.comment("ada", n, "> /preview "+first)
	s.never(n, "nobody with write access approved it")
	s.comment("ada", n, "Looks good.\n\n/preview "+first[:10])
	s.answers(hostOf("shop", n), "/", "", 200, "the beta")
	if p := s.of(n); p == nil || !p.Spec.Fork || p.Spec.Commit != first || p.Annotations["headgate.dev/approved-by"] != "ada" {
		s.Fatalf("its Preview is %+v", p)
	}
	s.says(n, "**Preview** http://"+hostOf("shop", n))
	second := s.eveWrites("evil", "shop.yaml", s.forked("/most"), false)
	s.answers(hostOf("shop", n), "/", "", 404, "")
	if message := s.without(n, "Fork"); !strings.Contains(message, second) {
		s.Errorf("it says %q", message)
	}
	s.says(n, "`/preview "+second+"`")
	s.comment("ada", n, "/preview "+first) // what was approved is another commit
	s.never(n, "the commit before was approved")
	s.close(n)
	s.says(n, "this pull request is closed")
}

// label: one that somebody with write access sets approves the head that it is set at, and goes with the next push.
func (s *pullsStory) label() {
	var label struct {
		ID int `json:"id"`
	}
	s.api("POST", pullsRepo+"/labels", values{"name": "safe-to-preview", "color": "#00aa00"}, &label)
	s.eveWrites("labelled", "shop.yaml", s.forked("/more"), true)
	n := s.open("eve", "eve:labelled", "Be nice again")
	s.without(n, "Fork")
	s.as("ada", "POST", fmt.Sprintf("%s/issues/%d/labels", pullsRepo, n), values{"labels": []int{label.ID}}, nil)
	s.answers(hostOf("shop", n), "/", "", 200, "the beta")
	s.eveWrites("labelled", "more.yaml", configMapFile("more"), false)
	s.answers(hostOf("shop", n), "/", "", 404, "")
	s.until("the label is taken off", 30*time.Second, func(context.Context) error {
		var labels []struct{ Name string }
		if s.api("GET", fmt.Sprintf("%s/issues/%d/labels", pullsRepo, n), nil, &labels); len(labels) != 0 {
			return fmt.Errorf("there are %v", labels)
		}
		return nil
	})
	s.close(n)
}

func configMapFile(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {a: b}\n"
}

// limit changes how many previews there may be.
func (s *pullsStory) limit(total int32) {
	s.Helper()
	s.must(s.Patch(s.Context(), s.sync, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"previews":{"limit":{"total":%d}}}}`, total))))
}

// fullHouse: the newcomer is refused with a comment and comes when there is room; nobody goes for it.
func (s *pullsStory) fullHouse() {
	s.limit(2)
	var numbers []int
	for i := range 3 {
		branch := fmt.Sprintf("full-%d", i)
		s.branch(branch, "shop.yaml", s.spec("shop", "shop.story.example", "shop"))
		numbers = append(numbers, s.open("ada", branch, branch))
		if i < 2 {
			s.answers(hostOf("shop", numbers[i]), "/", "", 200, "the shop")
		}
	}
	s.without(numbers[2], "Full")
	s.says(numbers[2], "Not previewed: there are 2 previews")
	s.never(numbers[2], "the house is full")
	for _, n := range numbers[:2] {
		if code, _, err := s.get(s.Context(), hostOf("shop", n), "/", ""); err != nil || code != http.StatusOK {
			s.Errorf("%d: %d, %v", n, code, err)
		}
	}
	s.close(numbers[0])
	s.answers(hostOf("shop", numbers[2]), "/", "", 200, "the shop")
	s.says(numbers[2], "**Preview** http://"+hostOf("shop", numbers[2]))
	s.limit(20)
	s.close(numbers[1])
	s.close(numbers[2])
	s.answers(hostOf("shop", numbers[2]), "/", "", 404, "")
}

// outage: without an answer of the host nothing ends, whatever is asked for; with one, what ended meanwhile does.
func (s *pullsStory) outage() {
	s.branch("stays", "shop.yaml", s.spec("shop", "shop.story.example", "shop"))
	n := s.open("ada", "stays", "Stay")
	s.answers(hostOf("shop", n), "/", "", 200, "the shop")
	s.as("headgate-bot", "DELETE", "/users/headgate-bot/tokens/first", values{}, nil)
	s.close(n) // of which the host tells, and cannot be asked
	s.must(s.Patch(s.Context(), s.sync, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+schema.ReconcileRequest+`":"revoked"}}}`))))
	s.until("the status says that the token is none", 30*time.Second, func(ctx context.Context) error {
		err := s.Get(ctx, client.ObjectKeyFromObject(s.sync), s.sync)
		if err == nil && (s.sync.Status.Previews == nil || !strings.Contains(s.sync.Status.Previews.Message, "unauthorized")) {
			err = fmt.Errorf("it is %+v", s.sync.Status.Previews)
		}
		return err
	})
	<-time.After(time.Second)
	if code, body, err := s.get(s.Context(), hostOf("shop", n), "/", ""); err != nil || code != http.StatusOK || body != "the shop" {
		s.Errorf("without a token: %d %q, %v", code, body, err)
	}
	s.token = s.newToken("second")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: storyNamespace, Name: "shop-git"}, StringData: map[string]string{"username": "headgate-bot", "password": s.token}}
	s.must(s.Update(s.Context(), secret))
	s.answers(hostOf("shop", n), "/", "", 404, "")
}

// endedByHand: a Preview that somebody deletes stays away until the next push.
func (s *pullsStory) endedByHand() {
	s.branch("hand", "shop.yaml", s.spec("shop", "shop.story.example", "shop"))
	n := s.open("ada", "hand", "By hand")
	s.answers(hostOf("shop", n), "/", "", 200, "the shop")
	if out := s.headgate("preview", "open", fmt.Sprint(n)); out != "http://"+hostOf("shop", n)+"\n" {
		s.Errorf("open prints %q", out)
	}
	if out := s.headgate("preview", "list", "shop"); !strings.Contains(out, hostOf("shop", n)) || !strings.Contains(out, "ada") {
		s.Errorf("list prints\n%s", out)
	}
	s.headgate("preview", "pin", fmt.Sprintf("shop/pr-%d", n))
	if p := s.of(n); !p.Spec.Pin {
		s.Errorf("it is not pinned: %+v", p.Spec)
	}
	s.headgate("preview", "pin", fmt.Sprintf("pr-%d", n), "--off")
	if out := s.headgate("preview", "logs", fmt.Sprint(n)); !strings.Contains(out, "Live") || !strings.Contains(out, "no pods in namespace preview-shop-") {
		s.Errorf("logs prints\n%s", out)
	}
	s.headgate("preview", "delete", fmt.Sprintf("pr-%d", n))
	s.answers(hostOf("shop", n), "/", "", 404, "")
	s.without(n, "Ended")
	s.until("the list says what brings it back", time.Minute, func(context.Context) error { // it is ending first
		if out := s.headgate("preview", "list"); !strings.Contains(out, "Ended") || !strings.Contains(out, "the next push brings it back") {
			return fmt.Errorf("it prints\n%s", out)
		}
		return nil
	})
	s.comment("ada", n, "Where is it?")
	s.never(n, "it was ended by hand")
	s.git("checkout", "-q", "hand")
	s.propose("hand", "Once more", "more.yaml", configMapFile("more"))
	s.answers(hostOf("shop", n), "/", "", 200, "the shop")
	s.close(n)
	s.answers(hostOf("shop", n), "/", "", 404, "")
}

// headgate runs a command as a user of the cluster, and gives what it prints.
func (s *pullsStory) headgate(args ...string) string {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), "../bin/image/headgate", append(args, "-n", storyNamespace)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.Fatalf("headgate %s: %v: %s%s", strings.Join(args, " "), err, out, errs.Bytes())
	}
	return string(out)
}

// hostile: names that are long or of symbols, titles that want to be markup, a pull request that deletes everything.
func (s *pullsStory) hostile() {
	long := strings.Repeat("x", 200)
	s.branch(long, "shop.yaml", s.spec("shop", "shop.story.example", "shop"))
	n := s.open("ada", long, "**bold** {{.}} <script>alert(1)</script>")
	s.answers(hostOf("shop", n), "/", "", 200, "the shop")
	s.close(n)
	s.branch("%%%", "cart.yaml", "kind: x\n")
	m := s.open("ada", "%%%", strings.Repeat("t", 200))
	s.says(m, "**Not previewed:**", "cart.yaml:1")
	s.close(m)
	s.git("checkout", "-q", "main")
	s.git("checkout", "-q", "-B", "empty")
	s.git("rm", "-q", "-r", ".")
	s.git("commit", "-q", "-m", "Delete everything")
	s.git("push", "-q", "origin", "empty")
	e := s.open("ada", "empty", "Delete everything")
	s.until("it is previewed", 30*time.Second, func(context.Context) error {
		if s.of(e) == nil {
			return errors.New("there is no Preview")
		}
		return nil
	})
	s.says(e, " removed")
	s.is("shop.story.example", "the beta")
	s.git("checkout", "-q", "main")
	s.close(e)
}

// afterPush is a time that a process which begins anew knows to the second only.
var afterPush = regexp.MustCompile(`[0-9.]+ s after the push`)

// restartedController: what ended while nobody looked ends, what is open stays, and nothing is said twice: the comment stays as it is but for the time
// to live.
func (s *pullsStory) restartedController() {
	var numbers []int
	for i := range 2 {
		branch := fmt.Sprintf("restart-%d", i)
		s.branch(branch, "shop.yaml", s.spec("shop", "shop.story.example", "shop"))
		numbers = append(numbers, s.open("ada", branch, branch))
		s.says(numbers[i], "**Preview** http://")
	}
	comments := func() []string {
		all := s.comments(numbers[1])
		for i := range all {
			all[i] = afterPush.ReplaceAllString(all[i], "N s after the push")
		}
		return all
	}
	before := comments()
	s.stop()
	s.close(numbers[0])
	s.stop = s.startController()
	s.answers(hostOf("shop", numbers[0]), "/", "", 404, "")
	s.answers(hostOf("shop", numbers[1]), "/", "", 200, "the shop")
	if after := comments(); !slices.Equal(before, after) {
		s.Errorf("the comments were %q, and are %q", before, after)
	}
	s.close(numbers[1])
}
