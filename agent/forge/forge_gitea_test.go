//go:build gitea

package forge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// giteaHost is a Gitea that runs, used as its administrator.
type giteaHost struct {
	t          *testing.T
	URL, Token string
}

func startGitea(t *testing.T) giteaHost {
	t.Helper()
	program := os.Getenv("HEADGATE_TESTGITEA")
	if program == "" {
		t.Fatal("HEADGATE_TESTGITEA names no program: run make test-gitea")
	}
	dir := filepath.Join(t.TempDir(), "gitea")
	t.Cleanup(func() {
		if out, err := exec.Command(program, "down", dir).CombinedOutput(); err != nil {
			t.Errorf("stopping Gitea: %v: %s", err, out)
		}
	})
	cmd := exec.Command(program, "up", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	g := giteaHost{t: t}
	if err := json.Unmarshal(out, &g); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return g
}

// do asks the API as a user, and wants a good answer.
func (g giteaHost) do(user, method, path string, body, out any) {
	g.t.Helper()
	if text, err := g.try(user, method, path, body, out); err != nil {
		g.t.Fatalf("%s %s as %s: %v: %s", method, path, user, err, text)
	}
}

func (g giteaHost) try(user, method, path string, body, out any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequest(method, g.URL+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(path, "/tokens") { // only with one's password
		q.SetBasicAuth(user, password)
	} else {
		q.Header.Set("Authorization", "Bearer "+g.Token)
		q.Header.Set("Sudo", user)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if text, err = io.ReadAll(res.Body); err != nil {
		return nil, err
	}
	if res.StatusCode > 299 {
		return text, errors.New(res.Status)
	}
	if out != nil {
		err = json.Unmarshal(text, out)
	}
	return text, err
}

const password = "Passw0rd!x"

// user makes a user with a token.
func (g giteaHost) user(name string, scopes ...string) string {
	g.t.Helper()
	g.do("root1", "POST", "/admin/users", object{"username": name, "email": name + "@example.test", "password": password, "must_change_password": false}, nil)
	var token struct {
		Token string `json:"sha1"`
	}
	g.do(name, "POST", "/users/"+name+"/tokens", object{"name": "test", "scopes": scopes}, &token)
	return token.Token
}

// write commits a file to a branch, made from main when it is new, and gives the commit.
func (g giteaHost) write(user, repo, branch, file string, fresh bool) string {
	g.t.Helper()
	body := object{"content": base64.StdEncoding.EncodeToString([]byte(file)), "message": "Write " + file + "\n\nMore about it.", "branch": branch}
	if fresh {
		body["branch"], body["new_branch"] = "main", branch
	}
	var done struct {
		Commit struct {
			SHA string `json:"sha"`
		} `json:"commit"`
	}
	g.do(user, "POST", "/repos/"+repo+"/contents/"+file, body, &done)
	return done.Commit.SHA
}

func (g giteaHost) pull(user, repo, head, title string) int {
	g.t.Helper()
	var pr struct {
		Number int `json:"number"`
	}
	g.do(user, "POST", "/repos/"+repo+"/pulls", object{"head": head, "base": "main", "title": title}, &pr)
	return pr.Number
}

func (g giteaHost) client(token string) *Client {
	g.t.Helper()
	c, err := New(Config{Kind: Gitea, URL: g.URL, Token: func(context.Context, string) (string, error) { return token, nil }})
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

// TestGitea is the life of a repository with pull requests, seen through a client.
func TestGitea(t *testing.T) {
	g := startGitea(t)
	ctx := context.Background()
	g.user("ada", "all")
	botToken := g.user("headgate-bot", "write:repository", "write:issue", "read:user")
	eveToken := g.user("eve", "write:repository", "write:issue", "read:user")
	g.do("ada", "POST", "/user/repos", object{"name": "shop", "auto_init": true, "default_branch": "main"}, nil)
	g.do("ada", "PUT", "/repos/ada/shop/collaborators/headgate-bot", object{"permission": "admin"}, nil)
	base := g.write("ada", "ada/shop", "main", "base.txt", false)
	head := g.write("ada", "ada/shop", "beta", "beta.txt", true)
	main := g.write("ada", "ada/shop", "main", "later.txt", false) // the branch is stale now
	bot, eve := g.client(botToken), g.client(eveToken)
	begun := time.Now()
	repo, err := bot.Repository(g.URL + "/ada/shop.git")
	if err != nil || repo != "ada/shop" {
		t.Fatalf("%q, %v", repo, err)
	}
	one := g.pull("ada", repo, "beta", "Serve beta")
	g.do("eve", "POST", "/repos/ada/shop/forks", object{}, nil)
	evil := g.write("eve", "eve/shop", "evil", "evil.txt", true)
	two := g.pull("eve", repo, "eve:evil", "WIP: <b>evil</b>\n{{.}}")

	t.Run("pull requests", func(t *testing.T) {
		prs, err := bot.OpenPullRequests(ctx, repo)
		if err != nil || len(prs) != 2 {
			t.Fatalf("%v, %v", prs, err)
		}
		for _, pr := range prs {
			single, err := bot.PullRequest(ctx, repo, pr.Number)
			if err != nil || single.Head != pr.Head || single.MergeBase != pr.MergeBase {
				t.Errorf("in the list %+v, alone %+v, %v", pr, single, err)
			}
		}
		a, b := prs[0], prs[1]
		if a.Number != one || a.Head.Commit != head || a.Head.Ref != "beta" || a.MergeBase != base || a.Base.Commit != main || a.Base.Ref != "main" ||
			a.Fork || a.Draft || a.State != Open || a.Author != "ada" || a.Updated.IsZero() {
			t.Errorf("the first: %+v", a)
		}
		if b.Number != two || b.Head.Commit != evil || !b.Fork || !b.Draft || b.Author != "eve" || b.Head.Repository != "eve/shop" || b.MergeBase != main {
			t.Errorf("the second: %+v", b)
		}
		for _, pr := range prs { // also a fork's head is in the base repository
			refs, err := exec.Command("git", "ls-remote", pr.Base.CloneURL, pr.FetchRef).Output()
			if err != nil || !strings.HasPrefix(string(refs), pr.Head.Commit) {
				t.Errorf("%s of %s: %s, %v", pr.FetchRef, pr.Base.CloneURL, refs, err)
			}
		}
		_, err = bot.PullRequest(ctx, repo, 999)
		wantReason(t, err, NotFound)
		_, err = bot.OpenPullRequests(ctx, "ada/none")
		wantReason(t, err, NotFound)
		_, err = g.client("0123456789012345678901234567890123456789").OpenPullRequests(ctx, repo)
		wantReason(t, err, Unauthorized)
	})

	t.Run("labels", func(t *testing.T) {
		var label struct {
			ID int `json:"id"`
		}
		g.do("ada", "POST", "/repos/ada/shop/labels", object{"name": "preview / ok", "color": "#00aa00"}, &label)
		g.do("ada", "POST", fmt.Sprintf("/repos/ada/shop/issues/%d/labels", two), object{"labels": []int{label.ID}}, nil)
		labels := func() []string {
			pr, err := bot.PullRequest(ctx, repo, two)
			if err != nil {
				t.Fatal(err)
			}
			return pr.Labels
		}
		if got := labels(); !slices.Equal(got, []string{"preview / ok"}) {
			t.Errorf("labels %q", got)
		}
		wantReason(t, eve.RemoveLabel(ctx, repo, two, "preview / ok"), Forbidden)
		for range 2 {
			if err := bot.RemoveLabel(ctx, repo, two, "preview / ok"); err != nil {
				t.Error(err)
			}
		}
		if got := labels(); len(got) != 0 {
			t.Errorf("labels %q", got)
		}
	})

	t.Run("statuses", func(t *testing.T) {
		entries := func() int {
			var all []object
			g.do("ada", "GET", "/repos/ada/shop/statuses/"+head, nil, &all)
			return len(all)
		}
		pending := Status{"headgate/shop", Pending, "applying", ""}
		live := Status{"headgate/shop", Success, "live on 3 of 3 Envoys in 0.8 s", "http://shop.example.test/"}
		for i, s := range []Status{pending, pending, live, live} {
			if err := bot.SetStatus(ctx, repo, head, s); err != nil {
				t.Fatal(err)
			}
			if got, want := entries(), i/2+1; got != want {
				t.Errorf("step %d: %d entries, want %d", i, got, want)
			}
		}
		if err := g.client(botToken).SetStatus(ctx, repo, head, live); err != nil || entries() != 2 {
			t.Errorf("after a restart: %d entries, %v", entries(), err)
		}
		if err := bot.SetStatus(ctx, repo, head, Status{"ci/image", Failure, strings.Repeat("é\n", 200), ""}); err != nil {
			t.Error(err)
		}
		got, err := bot.Statuses(ctx, repo, head)
		if err != nil || len(got) != 2 || got[1] != live || got[0].State != Failure || len([]rune(got[0].Description)) != 140 {
			t.Errorf("%+v, %v", got, err)
		}
		wantReason(t, eve.SetStatus(ctx, repo, head, pending), Forbidden)
		wantReason(t, bot.SetStatus(ctx, repo, commit('a'), live), NotFound)
	})

	t.Run("comments", func(t *testing.T) {
		count := func() int {
			all, err := bot.Comments(ctx, repo, one, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		}
		hidden, _ := hide("preview/shop")
		g.do("eve", "POST", fmt.Sprintf("/repos/ada/shop/issues/%d/comments", one), object{"body": hidden + "\nforged"}, nil)
		for i, text := range []string{"**live**", "**live**", "**gone**"} {
			if err := bot.SetComment(ctx, repo, one, "preview/shop", text); err != nil || count() != 2 {
				t.Fatalf("step %d: %d comments, %v", i, count(), err)
			}
		}
		if err := g.client(botToken).SetComment(ctx, repo, one, "preview/shop", "again"); err != nil || count() != 2 {
			t.Errorf("after a restart: %d comments, %v", count(), err)
		}
		all, err := bot.Comments(ctx, repo, one, begun.Add(-time.Minute))
		if err != nil || len(all) != 2 || all[0].Author != "eve" || !strings.HasSuffix(all[0].Body, "forged") ||
			all[1].Author != "headgate-bot" || !strings.HasSuffix(all[1].Body, "again") {
			t.Errorf("%+v, %v", all, err)
		}
		g.do("ada", "DELETE", fmt.Sprintf("/repos/ada/shop/issues/comments/%d", all[1].ID), nil, nil)
		if err := bot.SetComment(ctx, repo, one, "preview/shop", "back"); err != nil || count() != 2 {
			t.Errorf("after it was deleted: %d comments, %v", count(), err)
		}
		if later, err := bot.Comments(ctx, repo, one, time.Now().Add(time.Hour)); err != nil || len(later) != 0 {
			t.Errorf("of the future: %v, %v", later, err)
		}
	})

	t.Run("permissions and commits", func(t *testing.T) {
		for user, want := range map[string]Permission{"ada": Admin, "headgate-bot": Admin, "eve": Read} {
			if got, err := bot.Permission(ctx, repo, user); err != nil || got != want {
				t.Errorf("%s: %s, %v; want %s", user, got, err, want)
			}
		}
		_, err := bot.Permission(ctx, repo, "nobody")
		wantReason(t, err, NotFound)
		_, err = eve.Permission(ctx, repo, "ada")
		wantReason(t, err, Forbidden)
		got, err := bot.Commit(ctx, repo, head)
		if err != nil || got.ID != head || got.Subject != "Write beta.txt" || got.Author != "ada" || !slices.Equal(got.Parents, []string{base}) || got.Time.Before(begun.Add(-time.Hour)) {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := bot.Commit(ctx, repo, evil); err != nil || got.ID != evil {
			t.Errorf("a fork's: %+v, %v", got, err)
		}
		_, err = bot.Commit(ctx, repo, commit('a'))
		wantReason(t, err, NotFound)
	})

	t.Run("changes", func(t *testing.T) {
		all, err := bot.ChangedPullRequests(ctx, repo, begun.Add(-time.Hour))
		if err != nil || len(all) != 2 {
			t.Fatalf("%v, %v", all, err)
		}
		if none, err := bot.ChangedPullRequests(ctx, repo, time.Now().Add(time.Hour)); err != nil || len(none) != 0 {
			t.Errorf("of the future: %v, %v", none, err)
		}
		g.do("ada", "POST", fmt.Sprintf("/repos/ada/shop/pulls/%d/merge", one), object{"Do": "merge"}, nil)
		g.do("eve", "PATCH", fmt.Sprintf("/repos/ada/shop/pulls/%d", two), object{"state": "closed"}, nil)
		g.do("eve", "DELETE", "/repos/eve/shop", nil, nil)
		got, err := bot.ChangedPullRequests(ctx, repo, slices.MaxFunc(all, func(a, b PullRequest) int { return a.Updated.Compare(b.Updated) }).Updated)
		if err != nil || len(got) != 2 || got[0].State != Merged || got[1].State != Closed || !got[1].Fork {
			t.Errorf("%+v, %v", got, err)
		}
		if open, err := bot.OpenPullRequests(ctx, repo); err != nil || len(open) != 0 {
			t.Errorf("open: %v, %v", open, err)
		}
	})

	t.Run("pages", func(t *testing.T) {
		for i := range 5 {
			branch := fmt.Sprintf("b%d", i)
			g.write("ada", repo, branch, branch+".txt", true)
			g.pull("ada", repo, branch, branch)
		}
		small := g.client(botToken)
		small.pageSize = 2
		open, err := small.OpenPullRequests(ctx, repo)
		if err != nil || len(open) != 5 {
			t.Errorf("open: %d, %v", len(open), err)
		}
		changed, err := small.ChangedPullRequests(ctx, repo, begun.Add(-time.Hour))
		if err != nil || len(changed) != 7 {
			t.Errorf("changed: %d, %v", len(changed), err)
		}
	})
}

// TestGiteaHooks follows a push and a pull request by hooks.
func TestGiteaHooks(t *testing.T) {
	g := startGitea(t)
	g.user("ada", "all")
	g.do("ada", "POST", "/user/repos", object{"name": "shop", "auto_init": true, "default_branch": "main"}, nil)
	hints, refusals := make(chan Hint, 100), make(chan string, 100)
	r := NewReceiver(ReceiverOptions{Refused: func(hook string, status int, why string) { refusals <- fmt.Sprint(hook, " ", status, " ", why) }})
	setHooks(t, r, Hook{Name: "shop", Path: hookPath, Kind: Gitea, Secrets: []string{hookSecret}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.Run(ctx, func(h Hint) { hints <- h })
	server := httptest.NewServer(http.StripPrefix("/hook", r))
	defer server.Close()
	addHook := func(secret string) int {
		var made struct {
			ID int `json:"id"`
		}
		g.do("ada", "POST", "/repos/ada/shop/hooks", object{"type": "gitea", "active": true, "events": []string{"push", "create", "delete", "pull_request",
			"pull_request_sync", "pull_request_label", "pull_request_comment", "issue_comment", "status"},
			"config": object{"url": server.URL + "/hook/" + hookPath, "content_type": "json", "secret": secret}}, &made)
		return made.ID
	}
	hook := addHook(hookSecret)
	// until waits for a hint that says what is wanted, whatever others come.
	until := func(what string, ok func(Hint) bool) {
		t.Helper()
		for {
			select {
			case h := <-hints:
				if h.Hook != "shop" || !slices.ContainsFunc(h.Repository, func(u string) bool { return Key(u) == Key(g.URL+"/ada/shop") }) {
					t.Fatalf("a hint of something else: %+v", h)
				}
				if ok(h) {
					return
				}
			case why := <-refusals:
				t.Fatalf("%s: refused: %s", what, why)
			case <-time.After(30 * time.Second):
				t.Fatalf("%s: no hint", what)
			}
		}
	}
	pushed := g.write("ada", "ada/shop", "main", "a.txt", false)
	start := time.Now()
	until("a push", func(h Hint) bool { return slices.Contains(h.Refs, RefHint{"refs/heads/main", pushed}) })
	t.Logf("hint %s after the push", time.Since(start).Round(time.Millisecond))
	head := g.write("ada", "ada/shop", "beta", "b.txt", true)
	until("a new branch", func(h Hint) bool { return slices.Contains(h.Refs, RefHint{"refs/heads/beta", head}) })
	pr := g.pull("ada", "ada/shop", "beta", "Serve beta")
	ours := func(h Hint) bool { return slices.Contains(h.PullRequests, pr) }
	until("a pull request", ours)
	g.do("ada", "POST", fmt.Sprintf("/repos/ada/shop/issues/%d/comments", pr), object{"body": "/preview " + head}, nil)
	until("a comment", ours)
	g.do("ada", "POST", "/repos/ada/shop/labels", object{"name": "ok", "color": "#00aa00"}, nil)
	g.do("ada", "POST", fmt.Sprintf("/repos/ada/shop/issues/%d/labels", pr), object{"labels": []string{"ok"}}, nil)
	until("a label", ours)
	g.do("ada", "POST", "/repos/ada/shop/statuses/"+head, object{"state": "success", "context": "ci/image"}, nil)
	until("a status", func(h Hint) bool { return slices.Contains(h.Statuses, head) })
	head = g.write("ada", "ada/shop", "beta", "c.txt", false)
	until("a push to the pull request", func(h Hint) bool { return ours(h) || slices.Contains(h.Refs, RefHint{"refs/heads/beta", head}) })
	g.do("ada", "DELETE", "/repos/ada/shop/branches/beta", nil, nil)
	until("a deleted branch", func(h Hint) bool { return slices.Contains(h.Refs, RefHint{"refs/heads/beta", ""}) })

	g.do("ada", "DELETE", fmt.Sprintf("/repos/ada/shop/hooks/%d", hook), nil, nil)
	addHook("another secret")
	g.write("ada", "ada/shop", "main", "d.txt", false)
	for {
		select {
		case h := <-hints: // of what was under way
			if slices.ContainsFunc(h.Refs, func(r RefHint) bool { return r.Ref == "refs/heads/main" }) {
				t.Fatalf("a hook with the wrong secret was taken: %+v", h)
			}
		case why := <-refusals:
			if why != "shop 401 not the secret" {
				t.Errorf("refused: %s", why)
			}
			return
		case <-time.After(30 * time.Second):
			t.Fatal("the hook with the wrong secret never came")
		}
	}
}
