package forge

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fakeHost is GitHub or GitLab as their documentation describes them: what must be sent, paging, ETags, limits, states. What it has is set by a test.
type fakeHost struct {
	t     *testing.T
	kind  Kind
	root  string
	url   string
	token string // the only one that is good
	now   func() time.Time

	pulls    []object // newest last, as the host shows them
	single   map[string]object
	comments []object
	statuses []object
	checks   []object
	deployed []object       // newest first: deployments with their statuses, or environments
	other    map[string]any // further answers, by method and path
	nextID   int

	limit, used int // requests, 0 for no limit
	reset       time.Time
	fail        func(w http.ResponseWriter, q *http.Request) bool // answers instead, if it likes
	asked       []string                                          // method, path and query of all requests
	notModified int
}

type object = map[string]any

func newFake(t *testing.T, kind Kind) *fakeHost {
	f := &fakeHost{t: t, kind: kind, token: "canary-token-1", now: time.Now, single: map[string]object{}, other: map[string]any{}, nextID: 100}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.root = map[Kind]string{GitHub: "/api/v3", GitLab: "/api/v4"}[kind]
	f.url = server.URL
	return f
}

func (f *fakeHost) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f.asked = append(f.asked, q.Method+" "+q.URL.RequestURI())
	w.Header().Set("Content-Type", "application/json")
	if f.fail != nil && f.fail(w, q) {
		return
	}
	if q.Header.Get("User-Agent") != "headgate" {
		f.refuse(w, 403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header")
		return
	}
	if f.kind == GitHub && (q.Header.Get("X-GitHub-Api-Version") != "2022-11-28" || q.Header.Get("Accept") != "application/vnd.github+json") {
		f.refuse(w, 415, "Unsupported 'Accept' header")
		return
	}
	if q.Header.Get("Authorization") != "Bearer "+f.token {
		f.refuse(w, 401, "Bad credentials")
		return
	}
	path, ok := strings.CutPrefix(q.URL.EscapedPath(), f.root)
	if !ok {
		f.refuse(w, 404, "Not Found")
		return
	}
	f.answer(w, q, path)
}

// answer counts and makes the answer conditional. On GitHub an answer of 304 is not counted.
func (f *fakeHost) answer(w http.ResponseWriter, q *http.Request, path string) {
	if f.limit > 0 && !f.now().Before(f.reset) {
		f.used, f.reset = 0, f.now().Add(time.Hour)
	}
	record := httptest.NewRecorder()
	f.route(record, q, path)
	etag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(record.Body.Bytes()))
	unchanged := q.Method == "GET" && record.Code == 200 && q.Header.Get("If-None-Match") == etag
	if f.limit > 0 {
		over := f.used >= f.limit
		if !over && (!unchanged || f.kind != GitHub) {
			f.used++
		}
		names := []string{"X-RateLimit-Remaining", "X-RateLimit-Reset"}
		if f.kind == GitLab {
			names = []string{"RateLimit-Remaining", "RateLimit-Reset"}
		}
		w.Header().Set(names[0], strconv.Itoa(f.limit-f.used))
		w.Header().Set(names[1], strconv.FormatInt(f.reset.Unix(), 10))
		w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
		if over && f.kind == GitHub {
			f.refuse(w, 403, "API rate limit exceeded for user ID 1.")
			return
		}
		if over {
			w.Header().Set("Retry-After", strconv.Itoa(int(f.reset.Sub(f.now()).Seconds())))
			f.refuse(w, 429, "Retry later")
			return
		}
	}
	for k, v := range record.Header() {
		w.Header()[k] = v
	}
	if record.Code == 200 {
		w.Header().Set("ETag", etag)
	}
	if unchanged {
		f.notModified++
		w.WriteHeader(304)
		return
	}
	w.WriteHeader(record.Code)
	_, _ = w.Write(record.Body.Bytes())
}

func (f *fakeHost) refuse(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object{"message": message})
}

func (f *fakeHost) say(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// page answers a part of a list: per_page is at most 100, and Link says whether there is more.
func (f *fakeHost) page(w http.ResponseWriter, q *http.Request, all []object) {
	get := func(name string, unset int) int {
		if n, err := strconv.Atoi(q.URL.Query().Get(name)); err == nil && n > 0 {
			return n
		}
		return unset
	}
	size, page := min(get("per_page", 30), 100), get("page", 1)
	from := min((page-1)*size, len(all))
	to := min(from+size, len(all))
	if to < len(all) {
		w.Header().Add("Link", fmt.Sprintf(`<https://elsewhere.test/?page=%d>; rel="next", <https://elsewhere.test/?page=9>; rel="last"`, page+1))
	}
	if f.kind == GitLab {
		w.Header().Set("X-Total", strconv.Itoa(len(all)))
	}
	part := append([]object{}, all[from:to]...)
	f.say(w, 200, part)
}

func (f *fakeHost) route(w http.ResponseWriter, q *http.Request, path string) {
	if v, ok := f.other[q.Method+" "+path]; ok {
		if list, ok := v.([]object); ok {
			f.page(w, q, list)
		} else {
			f.say(w, 200, v)
		}
		return
	}
	var sent object
	body := map[string]string{}
	if q.Method == "POST" || q.Method == "PATCH" || q.Method == "PUT" {
		if q.Header.Get("Content-Type") != "application/json" || json.NewDecoder(q.Body).Decode(&sent) != nil {
			f.refuse(w, 400, "Problems parsing JSON")
			return
		}
		for k, v := range sent {
			if text, ok := v.(string); ok {
				body[k] = text
			}
		}
	}
	repo := map[Kind]string{GitHub: "/repos/team-a/shop", GitLab: "/projects/team-a%2Fweb%2Fshop"}[f.kind]
	rest, ok := strings.CutPrefix(path, repo)
	if !ok {
		f.refuse(w, 404, "Not Found")
		return
	}
	if f.deploys(w, q, rest, sent) {
		return
	}
	if f.kind == GitHub {
		f.routeGitHub(w, q, rest, body)
	} else {
		f.routeGitLab(w, q, rest, body)
	}
}

func (f *fakeHost) routeGitHub(w http.ResponseWriter, q *http.Request, rest string, body map[string]string) {
	get := q.URL.Query().Get
	switch at := q.Method + " " + rest; {
	case at == "GET /pulls":
		all := slices.DeleteFunc(slices.Clone(f.pulls), func(p object) bool { return get("state") != "all" && p["state"] != "open" })
		if get("sort") == "updated" {
			slices.SortStableFunc(all, func(a, b object) int { return strings.Compare(a["updated_at"].(string), b["updated_at"].(string)) })
		}
		if get("direction") == "desc" || get("direction") == "" {
			slices.Reverse(all)
		}
		f.page(w, q, all)
	case strings.HasPrefix(at, "GET /pulls/") && f.single[rest] != nil:
		f.say(w, 200, f.single[rest])
	case strings.HasPrefix(at, "GET /commits/") && strings.HasSuffix(at, "/statuses"):
		newest := slices.Clone(f.statuses)
		slices.Reverse(newest)
		f.page(w, q, newest)
	case strings.HasPrefix(at, "GET /commits/") && strings.HasSuffix(at, "/check-runs"):
		f.say(w, 200, object{"total_count": len(f.checks), "check_runs": f.checks})
	case strings.HasPrefix(at, "POST /statuses/"):
		if !slices.Contains([]string{"error", "failure", "pending", "success"}, body["state"]) || len([]rune(body["description"])) > 140 {
			f.refuse(w, 422, "Validation Failed")
			return
		}
		f.nextID++
		f.statuses = append(f.statuses, object{"id": f.nextID, "state": body["state"], "context": body["context"], "description": body["description"], "target_url": body["target_url"]})
		f.say(w, 201, f.statuses[len(f.statuses)-1])
	case at == "GET /issues/42/comments":
		f.page(w, q, f.comments)
	case at == "POST /issues/42/comments":
		f.nextID++
		f.comments = append(f.comments, object{"id": f.nextID, "body": body["body"], "user": object{"login": "headgate-bot", "type": "User"},
			"created_at": "2026-01-02T12:00:00Z", "updated_at": "2026-01-02T12:00:00Z"})
		f.say(w, 201, f.comments[len(f.comments)-1])
	case strings.HasPrefix(at, "PATCH /issues/comments/"):
		for _, k := range f.comments {
			if fmt.Sprint("/issues/comments/", k["id"]) == rest {
				k["body"] = body["body"]
				f.say(w, 200, k)
				return
			}
		}
		f.refuse(w, 404, "Not Found")
	default:
		f.refuse(w, 404, "Not Found")
	}
}

func (f *fakeHost) routeGitLab(w http.ResponseWriter, q *http.Request, rest string, body map[string]string) {
	get := q.URL.Query().Get
	switch at := q.Method + " " + rest; {
	case at == "GET /merge_requests":
		all := slices.DeleteFunc(slices.Clone(f.pulls), func(p object) bool {
			return get("state") == "opened" && p["state"] != "opened" || get("updated_after") > p["updated_at"].(string)
		})
		if get("sort") != "asc" {
			slices.Reverse(all)
		}
		f.page(w, q, all)
	case strings.HasPrefix(at, "GET /merge_requests/") && f.single[rest] != nil:
		f.say(w, 200, f.single[rest])
	case strings.HasPrefix(at, "GET /repository/commits/") && strings.HasSuffix(at, "/statuses"):
		f.page(w, q, f.statuses)
	case strings.HasPrefix(at, "POST /statuses/"):
		f.setLabStatus(w, body)
	case at == "GET /merge_requests/42/notes":
		f.page(w, q, f.comments)
	case at == "POST /merge_requests/42/notes":
		f.nextID++
		f.comments = append(f.comments, object{"id": f.nextID, "body": body["body"], "system": false, "author": object{"id": 7, "username": "headgate-bot"},
			"created_at": "2026-01-02T12:00:00.000Z", "updated_at": "2026-01-02T12:00:00.000Z"})
		f.say(w, 201, f.comments[len(f.comments)-1])
	case strings.HasPrefix(at, "PUT /merge_requests/42/notes/"):
		for _, k := range f.comments {
			if fmt.Sprint("/merge_requests/42/notes/", k["id"]) == rest {
				k["body"] = body["body"]
				f.say(w, 200, k)
				return
			}
		}
		f.refuse(w, 404, "404 Not found")
	case at == "PUT /merge_requests/42" && body["remove_labels"] != "":
		p := f.single["/merge_requests/42"]
		p["labels"] = slices.DeleteFunc(slices.Clone(p["labels"].([]string)), func(l string) bool { return l == body["remove_labels"] })
		f.say(w, 200, p)
	default:
		f.refuse(w, 404, "404 Not found")
	}
}

// setLabStatus: a status that is pending or running can only end, and one that ended is followed by another.
func (f *fakeHost) setLabStatus(w http.ResponseWriter, body map[string]string) {
	if !slices.Contains([]string{"pending", "running", "success", "failed", "canceled", "skipped"}, body["state"]) || len([]rune(body["description"])) > 255 {
		f.refuse(w, 400, "state does not have a valid value")
		return
	}
	if target, given := body["target_url"]; given && !strings.HasPrefix(target, "http") {
		f.refuse(w, 400, "target_url is blocked: URI is invalid")
		return
	}
	for _, s := range f.statuses {
		if s["name"] != body["name"] || s["status"] != "pending" {
			continue
		}
		if body["state"] == "pending" {
			f.refuse(w, 400, `Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via "enqueue")`)
			return
		}
		s["status"], s["description"], s["target_url"] = body["state"], body["description"], body["target_url"]
		f.say(w, 201, s)
		return
	}
	f.nextID++
	s := object{"id": f.nextID, "name": body["name"], "status": body["state"], "description": body["description"], "target_url": body["target_url"]}
	f.statuses = append([]object{s}, slices.DeleteFunc(f.statuses, func(o object) bool { return o["name"] == body["name"] })...)
	f.say(w, 201, s)
}

// count is how many requests begin like this.
func (f *fakeHost) count(prefix string) int {
	n := 0
	for _, a := range f.asked {
		if strings.HasPrefix(a, prefix) {
			n++
		}
	}
	return n
}

func wantReason(t *testing.T, err error, want Reason) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
