package forge

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (f *fakeHost) client(cfg Config) *Client {
	f.t.Helper()
	cfg.Kind, cfg.URL, cfg.Now = f.kind, f.url, f.now
	if cfg.Token == nil {
		cfg.Token = func(context.Context, string) (string, error) { return f.token, nil }
	}
	c, err := New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

var repoOf = map[Kind]string{GitHub: "team-a/shop", GitLab: "team-a/web/shop"}

// minute is a time of the fake's data.
func minute(i int) string { return noon.Add(time.Duration(i) * time.Minute).Format(time.RFC3339) }

func hubPullJSON(n, updated int, state string) object {
	return object{"id": 1000 + n, "number": n, "state": state, "title": fmt.Sprint("Change ", n), "draft": n == 2, "merged_at": nil, "html_url": fmt.Sprint("https://github.com/team-a/shop/pull/", n),
		"user": object{"login": "ada", "type": "User"}, "labels": []object{{"id": 2, "name": "preview"}, {"id": 1, "name": "area/cart"}},
		"head":       object{"ref": "beta", "sha": commit('b'), "repo": object{"full_name": "team-a/shop", "clone_url": "https://github.com/team-a/shop.git"}},
		"base":       object{"ref": "release/1.0", "sha": commit('a'), "repo": object{"full_name": "team-a/shop", "clone_url": "https://github.com/team-a/shop.git"}},
		"created_at": minute(n), "updated_at": minute(updated)}
}

func labPullJSON(n, updated int, state string) object {
	return object{"id": 1000 + n, "iid": n, "state": state, "title": fmt.Sprint("Change ", n), "draft": n == 2, "web_url": fmt.Sprint("https://gitlab.example.com/team-a/web/shop/-/merge_requests/", n),
		"author": object{"id": 5, "username": "ada"}, "labels": []string{"preview", "area/cart"}, "source_branch": "beta", "target_branch": "release/1.0",
		"source_project_id": 15, "target_project_id": 15, "sha": commit('b'), "created_at": minute(n), "updated_at": minute(updated)}
}

func TestGitHubPullRequests(t *testing.T) {
	f := newFake(t, GitHub)
	for n := 1; n <= 120; n++ {
		f.pulls = append(f.pulls, hubPullJSON(n, n, "open"))
	}
	f.pulls[4]["state"], f.pulls[4]["merged_at"], f.pulls[4]["updated_at"] = "closed", minute(500), minute(500)
	f.pulls[5]["head"].(object)["repo"] = nil // a fork that was deleted
	f.single["/pulls/7"] = hubPullJSON(7, 7, "open")
	f.other["GET /repos/team-a/shop/compare/release%2F1.0..."+commit('b')] = object{"merge_base_commit": object{"sha": commit('9')}}
	c, ctx := f.client(Config{}), context.Background()

	open, err := c.OpenPullRequests(ctx, "team-a/shop")
	if err != nil || len(open) != 119 || f.count("GET /api/v3/repos/team-a/shop/pulls?") != 3 {
		t.Fatalf("%d open, %v, asked %q", len(open), err, f.asked)
	}
	if !slices.IsSortedFunc(open, func(a, b PullRequest) int { return a.Number - b.Number }) || !open[4].Fork || open[4].Number != 6 || open[0].Fork || !open[1].Draft {
		t.Errorf("%+v", open[:6])
	}
	got, err := c.PullRequest(ctx, "team-a/shop", 7)
	want := PullRequest{Number: 7, Title: "Change 7", Author: "ada", Labels: []string{"area/cart", "preview"}, State: Open, MergeBase: commit('9'), FetchRef: "refs/pull/7/head",
		Head: Branch{"beta", commit('b'), "team-a/shop", "https://github.com/team-a/shop.git"}, Base: Branch{"release/1.0", commit('a'), "team-a/shop", "https://github.com/team-a/shop.git"},
		URL: "https://github.com/team-a/shop/pull/7", Updated: noon.Add(7 * time.Minute)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	f.asked = nil
	changed, err := c.ChangedPullRequests(ctx, "team-a/shop", noon.Add(119*time.Minute))
	if err != nil || len(changed) != 3 || changed[0].Number != 5 || changed[0].State != Merged || len(f.asked) != 1 {
		t.Errorf("%+v, %v, asked %q", changed, err, f.asked)
	}
}

func TestGitLabPullRequests(t *testing.T) {
	f := newFake(t, GitLab)
	for n := 1; n <= 120; n++ {
		f.pulls = append(f.pulls, labPullJSON(n, n, "opened"))
	}
	f.pulls[4]["state"] = "merged"
	f.pulls[5]["source_project_id"] = 99
	f.single["/merge_requests/42"] = labPullJSON(42, 42, "opened")
	f.single["/merge_requests/42"]["diff_refs"] = object{"base_sha": commit('9'), "head_sha": commit('b'), "start_sha": commit('a')}
	f.single["/merge_requests/43"] = labPullJSON(43, 43, "opened")
	f.single["/merge_requests/43"]["diff_refs"] = nil // not made yet
	c, ctx := f.client(Config{}), context.Background()

	open, err := c.OpenPullRequests(ctx, "team-a/web/shop")
	if err != nil || len(open) != 119 || !open[4].Fork || open[4].Number != 6 || open[0].Fork {
		t.Fatalf("%d open, %v", len(open), err)
	}
	got, err := c.PullRequest(ctx, "team-a/web/shop", 42)
	clone := f.url + "/team-a/web/shop.git"
	want := PullRequest{Number: 42, Title: "Change 42", Author: "ada", Labels: []string{"area/cart", "preview"}, State: Open, MergeBase: commit('9'), FetchRef: "refs/merge-requests/42/head",
		Head: Branch{"beta", commit('b'), "team-a/web/shop", clone}, Base: Branch{"release/1.0", commit('a'), "team-a/web/shop", clone},
		URL: "https://gitlab.example.com/team-a/web/shop/-/merge_requests/42", Updated: noon.Add(42 * time.Minute)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got, err := c.PullRequest(ctx, "team-a/web/shop", 43); err != nil || got.MergeBase != "" {
		t.Errorf("%+v, %v", got, err)
	}
	changed, err := c.ChangedPullRequests(ctx, "team-a/web/shop", noon.Add(119*time.Minute))
	if err != nil || len(changed) != 2 {
		t.Errorf("%d changed, %v", len(changed), err)
	}
	if err := c.RemoveLabel(ctx, "team-a/web/shop", 42, "preview"); err != nil {
		t.Error(err)
	}
	if got, err := c.PullRequest(ctx, "team-a/web/shop", 42); err != nil || !slices.Equal(got.Labels, []string{"area/cart"}) {
		t.Errorf("%q, %v", got.Labels, err)
	}
}

func TestStatuses(t *testing.T) {
	for _, kind := range []Kind{GitHub, GitLab} {
		t.Run(string(kind), func(t *testing.T) {
			f := newFake(t, kind)
			c, ctx, id, repo := f.client(Config{}), context.Background(), commit('b'), repoOf[kind]
			post := "POST " + f.root
			for i, s := range []Status{
				{"headgate/shop", Pending, "applying", ""},
				{"headgate/shop", Pending, "applying", ""},
				{"headgate/shop", Success, "live on 3 of 3 Envoys in 0.8 s", "https://shop.example.test/"},
				{"headgate/shop", Success, "live on 3 of 3 Envoys in 0.8 s", "https://shop.example.test/"},
				{"headgate/shop", Failure, strings.Repeat("ü", 300), ""},
				{"headgate/shop", Failure, strings.Repeat("ü", 300), ""},
			} {
				if err := c.SetStatus(ctx, repo, id, s); err != nil {
					t.Fatal(err)
				}
				if got, want := f.count(post), i/2+1; got != want {
					t.Errorf("step %d: %d requests, want %d", i, got, want)
				}
			}
			got, err := c.Statuses(ctx, repo, id)
			if err != nil || len(got) != 1 || got[0].State != Failure || len([]rune(got[0].Description)) != 140 {
				t.Errorf("%+v, %v", got, err)
			}
			again := f.client(Config{})
			if err := again.SetStatus(ctx, repo, id, Status{"headgate/shop", Failure, strings.Repeat("ü", 300), ""}); err != nil || f.count(post) != 3 {
				t.Errorf("after a restart: %d requests, %v", f.count(post), err)
			}
			// GitLab refuses the second, which changes the text alone.
			for _, text := range []string{"fetching", "applying"} {
				if err := c.SetStatus(ctx, repo, id, Status{"headgate/cart", Pending, text, ""}); err != nil {
					t.Error(err)
				}
			}
			for _, bad := range []Status{{"", Pending, "", ""}, {"x", "fine", "", ""}} {
				wantReason(t, c.SetStatus(ctx, repo, id, bad), Invalid)
			}
			wantReason(t, c.SetStatus(ctx, repo, "main", Status{"x", Pending, "", ""}), Invalid)
		})
	}
}

func TestChecksAreStatuses(t *testing.T) {
	f := newFake(t, GitHub)
	f.checks = []object{{"name": "image", "status": "completed", "conclusion": "success", "details_url": "https://ci.example.test/1"},
		{"name": "lint", "status": "completed", "conclusion": "timed_out"}, {"name": "test", "status": "in_progress", "conclusion": nil}}
	got, err := f.client(Config{}).Statuses(context.Background(), "team-a/shop", commit('b'))
	want := []Status{{"image", Success, "", "https://ci.example.test/1"}, {"lint", Failure, "", ""}, {"test", Pending, "", ""}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestComments(t *testing.T) {
	for _, kind := range []Kind{GitHub, GitLab} {
		t.Run(string(kind), func(t *testing.T) {
			f := newFake(t, kind)
			hidden, _ := hide("preview/shop")
			user := object{"login": "eve", "username": "eve", "type": "User"}
			for i := range 70 { // two pages
				f.comments = append(f.comments, object{"id": i + 1, "body": hidden + "\nforged", "user": user, "author": user, "created_at": minute(-i - 1), "updated_at": minute(-i - 1)})
			}
			f.other["GET /user"] = object{"login": "headgate-bot", "username": "headgate-bot"}
			ctx, repo := context.Background(), repoOf[kind]
			c := f.client(Config{})
			write := func() int { return f.count("POST") + f.count("PATCH") + f.count("PUT") }
			for i, text := range []string{"live", "live", "gone"} {
				if err := c.SetComment(ctx, repo, 42, "preview/shop", text); err != nil || len(f.comments) != 71 || write() != []int{1, 1, 2}[i] {
					t.Fatalf("step %d: %d comments, %d writes, %v", i, len(f.comments), write(), err)
				}
			}
			if err := f.client(Config{}).SetComment(ctx, repo, 42, "preview/shop", "gone"); err != nil || write() != 2 {
				t.Errorf("after a restart: %d writes, %v", write(), err)
			}
			f.comments = f.comments[:70]
			if err := c.SetComment(ctx, repo, 42, "preview/shop", "back"); err != nil || len(f.comments) != 71 {
				t.Errorf("after it was deleted: %d comments, %v", len(f.comments), err)
			}
			all, err := c.Comments(ctx, repo, 42, time.Time{})
			if err != nil || len(all) != 71 || all[70].Author != "headgate-bot" || all[0].Created.After(all[1].Created) {
				t.Errorf("%d comments, %v", len(all), err)
			}
			wantReason(t, c.SetComment(ctx, repo, 42, "a -->b", "x"), Invalid)
			wantReason(t, c.SetComment(ctx, repo, 42, "a", strings.Repeat("x", 1<<20)), Invalid)
		})
	}
}

// TestAppsComment: a GitHub App cannot ask who it is.
func TestAppsComment(t *testing.T) {
	f := newFake(t, GitHub)
	f.fail = func(w http.ResponseWriter, q *http.Request) bool {
		if q.URL.Path != "/api/v3/user" {
			return false
		}
		f.refuse(w, 403, "Resource not accessible by integration")
		return true
	}
	hidden, _ := hide("m")
	f.comments = []object{
		{"id": 1, "body": hidden + "\nforged", "user": object{"login": "eve", "type": "User"}, "created_at": minute(0), "updated_at": minute(0)},
		{"id": 2, "body": hidden + "\nours", "user": object{"login": "headgate[bot]", "type": "Bot"}, "created_at": minute(1), "updated_at": minute(1)}}
	if err := f.client(Config{}).SetComment(context.Background(), "team-a/shop", 42, "m", "new"); err != nil || f.comments[1]["body"] != hidden+"\nnew" {
		t.Errorf("%v, %v", f.comments, err)
	}
}

func TestPermissionsAndCommits(t *testing.T) {
	ctx, id := context.Background(), commit('b')
	f := newFake(t, GitHub)
	for user, p := range map[string]string{"ada": "admin", "bob": "write", "eve": "read", "zed": "none"} {
		f.other["GET /repos/team-a/shop/collaborators/"+user+"/permission"] = object{"permission": p, "role_name": p}
	}
	f.other["GET /repos/team-a/shop/git/commits/"+id] = object{"sha": id, "message": "Raise it\n\nMore.", "author": object{"name": "Ada"},
		"committer": object{"name": "Ada", "date": minute(1)}, "parents": []object{{"sha": commit('a')}}}
	l := newFake(t, GitLab)
	for i, user := range []string{"zed", "eve", "bob", "ada", "gone"} {
		if user != "zed" {
			l.other[fmt.Sprintf("GET /projects/team-a%%2Fweb%%2Fshop/members/all/%d", i)] = object{"id": i, "access_level": 10 + 10*i, "state": map[bool]string{false: "active", true: "blocked"}[user == "gone"]}
		}
	}
	l.fail = func(w http.ResponseWriter, q *http.Request) bool {
		if q.URL.Path != "/api/v4/users" {
			return false
		}
		i := slices.Index([]string{"zed", "eve", "bob", "ada", "gone"}, q.URL.Query().Get("username"))
		found := []object{}
		if i >= 0 {
			found = append(found, object{"id": i, "username": q.URL.Query().Get("username")})
		}
		l.say(w, 200, found)
		return true
	}
	l.other["GET /projects/team-a%2Fweb%2Fshop/repository/commits/"+id] = object{"id": id, "message": "Raise it\n\nMore.", "author_name": "Ada", "committed_date": minute(1), "parent_ids": []string{commit('a')}}
	for _, host := range []*fakeHost{f, l} {
		c, repo := host.client(Config{}), repoOf[host.kind]
		for user, want := range map[string]Permission{"ada": Admin, "bob": Write, "eve": Read, "zed": None} {
			if got, err := c.Permission(ctx, repo, user); err != nil || got != want {
				t.Errorf("%s: %s: %s, %v; want %s", host.kind, user, got, err, want)
			}
		}
		want := Commit{ID: id, Subject: "Raise it", Author: "Ada", Time: noon.Add(time.Minute), Parents: []string{commit('a')}}
		got, err := c.Commit(ctx, repo, id)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(host.kind, diff, err)
		}
		_, err = c.Permission(ctx, repo, "../../user")
		wantReason(t, err, Invalid)
	}
	if got, err := l.client(Config{}).Permission(ctx, repoOf[GitLab], "gone"); err != nil || got != None {
		t.Errorf("a blocked user: %s, %v", got, err)
	}
	if got, err := l.client(Config{}).Permission(ctx, repoOf[GitLab], "nobody"); err != nil || got != None {
		t.Errorf("nobody: %s, %v", got, err)
	}
	_, err := f.client(Config{}).Permission(ctx, "team-a/shop", "nobody")
	wantReason(t, err, NotFound)
}

func TestUnchangedListsAreFree(t *testing.T) {
	at := &clock{noon}
	f := newFake(t, GitHub)
	f.now, f.limit, f.reset = at.now, 3, noon.Add(time.Hour)
	for n := 1; n <= 60; n++ {
		f.pulls = append(f.pulls, hubPullJSON(n, n, "open"))
	}
	c := f.client(Config{})
	for range 10 {
		if prs, err := c.OpenPullRequests(context.Background(), "team-a/shop"); err != nil || len(prs) != 60 {
			t.Fatalf("%d, %v", len(prs), err)
		}
	}
	if left, reset, known := c.Limit(); f.notModified != 18 || left != 1 || !known || !reset.Equal(f.reset) {
		t.Errorf("%d answers of 304, %d requests left until %v", f.notModified, left, reset)
	}
}

func TestLimits(t *testing.T) {
	for _, kind := range []Kind{GitHub, GitLab} {
		t.Run(string(kind), func(t *testing.T) {
			at := &clock{noon}
			f := newFake(t, kind)
			f.now, f.limit, f.reset = at.now, 2, noon.Add(30*time.Minute)
			c, ctx, repo := f.client(Config{}), context.Background(), repoOf[kind]
			ask := func() error { _, err := c.Commit(ctx, repo, commit('b')); return err }
			wantReason(t, ask(), NotFound)
			wantReason(t, ask(), NotFound)
			for range 3 { // the host is not asked: it said that nothing is left
				var e *Error
				if err := ask(); !errors.As(err, &e) || e.Reason != RateLimited || !e.Until.Equal(f.reset) {
					t.Errorf("%v", err)
				}
			}
			if len(f.asked) != 2 {
				t.Errorf("asked %d times", len(f.asked))
			}
			f.used = 5 // somebody else with the same token was faster
			at.at = noon.Add(31 * time.Minute)
			wantReason(t, ask(), NotFound)
		})
	}
}

func TestRefusalsBecauseOfLimits(t *testing.T) {
	at := &clock{noon}
	var status int
	var header map[string]string
	var message string
	f := newFake(t, GitHub)
	f.now = at.now
	f.fail = func(w http.ResponseWriter, q *http.Request) bool {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		f.refuse(w, status, message)
		return true
	}
	for name, c := range map[string]struct {
		status  int
		header  map[string]string
		message string
		reason  Reason
		after   time.Duration
	}{
		"seconds":            {403, map[string]string{"Retry-After": "90"}, "You have exceeded a secondary rate limit.", RateLimited, 90 * time.Second},
		"date":               {429, map[string]string{"Retry-After": noon.Add(5 * time.Minute).Format(http.TimeFormat), "Date": noon.Format(http.TimeFormat)}, "", RateLimited, 5 * time.Minute},
		"the host is behind": {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(noon.Add(-time.Hour + time.Minute).Unix()), "Date": noon.Add(-time.Hour).Format(http.TimeFormat)}, "x", RateLimited, time.Minute},
		"no time":            {403, nil, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", RateLimited, time.Minute},
		"429 alone":          {429, nil, "", RateLimited, time.Minute},
		"a year":             {429, map[string]string{"Retry-After": "31536000"}, "", RateLimited, longestWait},
		"no number":          {429, map[string]string{"Retry-After": "-1"}, "", RateLimited, time.Minute},
		"maintenance":        {503, map[string]string{"Retry-After": "120"}, "", RateLimited, 2 * time.Minute},
		"permission":         {403, map[string]string{"X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": fmt.Sprint(noon.Add(time.Hour).Unix())}, "Resource not accessible by integration", Forbidden, 0},
	} {
		status, header, message = c.status, c.header, c.message
		_, err := f.client(Config{}).Commit(context.Background(), "team-a/shop", commit('b'))
		var e *Error
		if !errors.As(err, &e) || e.Reason != c.reason || c.after != 0 && !e.Until.Equal(noon.Add(c.after)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Refused again and again without a time, it waits longer and longer.
	status, header, message = 429, nil, ""
	c := f.client(Config{})
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 16} {
		_, err := c.Commit(context.Background(), "team-a/shop", commit('b'))
		var e *Error
		if !errors.As(err, &e) || !e.Until.Equal(at.at.Add(want*time.Minute)) {
			t.Fatalf("want %d min: %v", want, err)
		}
		at.at = e.Until
	}
}

func TestErrors(t *testing.T) {
	f := newFake(t, GitHub)
	status, body := 0, ""
	f.fail = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}
	c, ctx := f.client(Config{}), context.Background()
	for _, x := range []struct {
		status int
		body   string
		want   Reason
	}{
		{401, `{"message": "Bad credentials"}`, Unauthorized}, {403, `{"message": "no"}`, Forbidden}, {404, `{"message": "Not Found"}`, NotFound}, {410, "", NotFound},
		{422, `{"message": "Validation Failed"}`, Invalid}, {500, "<html>", Unavailable}, {502, "", Unavailable}, {503, "", Unavailable},
		{200, "", Unexpected}, {200, "<html>", Unexpected}, {200, "null", Unexpected}, {200, `{"message": "a list?"}`, Unexpected}, {200, `[{"number": 1, "head": `, Unexpected},
		{200, `[{}]`, Unexpected}, {200, `[{"number": 1, "state": "open", "head": {"sha": "HEAD"}, "base": {"ref": "main"}}]`, Unexpected}, {304, "", Unexpected},
		{400, `{"message": "you sent canary-token-1 and \u001b[31m` + strings.Repeat("long ", 1000) + `"}`, Invalid},
		{200, strings.Repeat(" ", maxAnswer+1), Unexpected},
	} {
		status, body = x.status, x.body
		prs, err := c.OpenPullRequests(ctx, "team-a/shop")
		wantReason(t, err, x.want)
		if err == nil {
			continue
		}
		if text := err.Error(); prs != nil || strings.Contains(text, "canary") || strings.Contains(text, "\x1b") || len(text) > 400 {
			t.Errorf("%d: %q", x.status, text)
		}
	}
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	away, err := New(Config{Kind: GitLab, URL: down.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = away.OpenPullRequests(ctx, "a/b")
	wantReason(t, err, Unavailable)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err = c.OpenPullRequests(canceled, "team-a/shop"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for _, repo := range []string{"", "shop", "a/b/c", "a//b", "../b", "a/.."} {
		_, err := c.OpenPullRequests(ctx, repo)
		wantReason(t, err, Invalid)
	}
}

// TestHalfAList: the second page is missing, or refused.
func TestHalfAList(t *testing.T) {
	f := newFake(t, GitLab)
	for n := 1; n <= 70; n++ {
		f.pulls = append(f.pulls, labPullJSON(n, n, "opened"))
	}
	var second func(w http.ResponseWriter)
	f.fail = func(w http.ResponseWriter, q *http.Request) bool {
		if q.URL.Query().Get("page") == "1" {
			return false
		}
		second(w)
		return true
	}
	for name, x := range map[string]struct {
		want Reason
		page func(http.ResponseWriter)
	}{
		"500":          {Unavailable, func(w http.ResponseWriter) { w.WriteHeader(500) }},
		"empty":        {Unexpected, func(w http.ResponseWriter) { w.Header().Set("X-Total", "70"); f.say(w, 200, []object{}) }},
		"half":         {Unexpected, func(w http.ResponseWriter) { w.Header().Set("X-Total", "200"); f.say(w, 200, []object{}) }},
		"breaks off":   {Unavailable, func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100"); _, _ = io.WriteString(w, "[{") }},
		"another type": {Unexpected, func(w http.ResponseWriter) { f.say(w, 200, object{}) }},
	} {
		second = x.page
		prs, err := f.client(Config{}).OpenPullRequests(context.Background(), "team-a/web/shop")
		if wantReason(t, err, x.want); prs != nil {
			t.Errorf("%s: %d pull requests", name, len(prs))
		}
	}
}

func TestTokenIsRefreshed(t *testing.T) {
	f := newFake(t, GitHub)
	f.other["GET /repos/team-a/shop/pulls"] = []object{}
	token, asked := "canary-old", 0
	c := f.client(Config{Token: func(_ context.Context, refused string) (string, error) {
		if refused == token {
			asked++
			token = "canary-token-1"
		}
		return token, nil
	}})
	for range 3 {
		if _, err := c.OpenPullRequests(context.Background(), "team-a/shop"); err != nil {
			t.Error(err)
		}
	}
	f.token = "canary-token-2" // revoked, and there is no other
	_, err := c.OpenPullRequests(context.Background(), "team-a/shop")
	wantReason(t, err, Unauthorized)
	if asked != 2 || len(f.asked) != 5 {
		t.Errorf("another token was asked for %d times, the host %d times", asked, len(f.asked))
	}
	broken := f.client(Config{Token: func(context.Context, string) (string, error) { return "", errors.New("the secret is gone") }})
	_, err = broken.OpenPullRequests(context.Background(), "team-a/shop")
	wantReason(t, err, Unauthorized)
}

func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		t.Errorf("another host was asked, with %q", q.Header.Get("Authorization"))
	}))
	defer other.Close()
	f := newFake(t, GitHub)
	f.other["GET /repositories/1/pulls"] = []object{hubPullJSON(1, 1, "open")}
	to, code := "", 301
	f.fail = func(w http.ResponseWriter, q *http.Request) bool {
		if strings.Contains(q.URL.Path, "/repositories/") {
			return false
		}
		http.Redirect(w, q, to, code)
		return true
	}
	c, ctx := f.client(Config{}), context.Background()
	to = other.URL + "/api/v3/repositories/1/pulls"
	_, err := c.OpenPullRequests(ctx, "team-a/shop")
	wantReason(t, err, Unexpected)
	to = f.url + "/api/v3/repositories/1/pulls" // renamed
	if prs, err := c.OpenPullRequests(ctx, "team-a/shop"); err != nil || len(prs) != 1 {
		t.Errorf("%v, %v", prs, err)
	}
	_, err = hub{c, gitHubDialect}.addComment(ctx, "team-a/shop", 42, "x") // would become a GET
	wantReason(t, err, Unexpected)
	to = f.url + "/api/v3/repos/team-a/shop/pulls"
	_, err = c.OpenPullRequests(ctx, "team-a/shop") // in a circle
	wantReason(t, err, Unexpected)
}

func TestAuthorities(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the client that does not trust it
	server.StartTLS()
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, x := range map[string]struct {
		cfg  Config
		good bool
	}{"system's": {Config{}, false}, "one's own": {Config{CA: ca}, true}, "transport": {Config{Transport: server.Client().Transport}, true}} {
		x.cfg.Kind, x.cfg.URL = GitLab, server.URL
		c, err := New(x.cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.OpenPullRequests(context.Background(), "a/b")
		if (err == nil) != x.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, cfg := range map[string]Config{
		"no certificate": {Kind: GitLab, URL: server.URL, CA: []byte("x")}, "two": {Kind: GitLab, URL: server.URL, CA: ca, Transport: http.DefaultTransport},
		"kind": {Kind: Generic, URL: server.URL}, "scheme": {Kind: GitLab, URL: "ssh://x/y"}, "user": {Kind: GitLab, URL: "https://canary:canary@x/"}, "none": {Kind: GitLab},
	} {
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRepositoryOfURL(t *testing.T) {
	for _, x := range []struct {
		kind            Kind
		host, url, want string
	}{
		{GitHub, "https://github.com", "https://github.com/team-a/shop.git", "team-a/shop"},
		{GitHub, "https://github.com", "git@github.com:team-a/shop.git", "team-a/shop"},
		{GitHub, "https://github.com", "https://github.com/team-a/web/shop", ""},
		{Gitea, "https://example.com/gitea/", "https://example.com/gitea/team-a/shop.git", "team-a/shop"},
		{Gitea, "https://example.com/gitea/", "ssh://git@example.com:2222/team-a/shop.git", "team-a/shop"},
		{GitLab, "https://gitlab.com", "https://gitlab.com/team-a/web/shop.git", "team-a/web/shop"},
		{GitLab, "https://gitlab.com", "https://gitlab.com/", ""},
		{GitLab, "https://gitlab.com", "/srv/git/shop.git", ""},
	} {
		c, err := New(Config{Kind: x.kind, URL: x.host})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Repository(x.url); got != x.want || (err == nil) != (x.want != "") {
			t.Errorf("%s: %q, %v", x.url, got, err)
		}
	}
	c, err := New(Config{Kind: GitHub, URL: "https://github.com"})
	if err != nil || c.api != "https://api.github.com" {
		t.Errorf("%s, %v", c.api, err)
	}
}

// FuzzAnswer: whatever a host answers, a client gives sane pull requests or an error of its type.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `[{"number": 1, "state": "open", "head": {"sha": "`+commit('b')+`"}, "base": {"ref": "main"}}]`, `<x>; rel="next"`, "1")
	f.Add(200, `[{"iid": 1, "state": "opened", "sha": null, "target_branch": "main", "labels": null}]`, "", "7")
	f.Add(403, `{"message": ["secondary rate limit"]}`, "", "0")
	f.Fuzz(func(t *testing.T, status int, body, link, number string) {
		if status < 200 || status > 599 {
			return
		}
		answer := roundTrip(func(q *http.Request) *http.Response {
			h := http.Header{"Link": {link}, "X-Total-Count": {number}, "Retry-After": {number}, "X-Ratelimit-Remaining": {number}, "X-Ratelimit-Reset": {number}}
			return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: q}
		})
		for _, kind := range []Kind{GitHub, Gitea, GitLab} {
			c, err := New(Config{Kind: kind, URL: "https://example.com", Transport: answer, Now: (&clock{noon}).now})
			if err != nil {
				t.Fatal(err)
			}
			c.pageSize = 1
			prs, err := c.OpenPullRequests(context.Background(), "a/b")
			var e *Error
			if err != nil && !errors.As(err, &e) || err != nil && prs != nil {
				t.Errorf("%s: %v", kind, err)
			}
			for _, pr := range prs {
				if pr.check() != nil {
					t.Errorf("%s: %+v", kind, pr)
				}
			}
		}
	})
}

type roundTrip func(*http.Request) *http.Response

func (r roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return r(q), nil }
