package forge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// deploys answers what is about deployments and environments, as documented.
func (f *fakeHost) deploys(w http.ResponseWriter, q *http.Request, rest string, sent object) bool {
	parts := strings.Split(strings.TrimPrefix(rest, "/"), "/")
	kind := map[Kind]string{GitHub: "deployments", GitLab: "environments"}[f.kind]
	if parts[0] != kind {
		return false
	}
	if len(parts) == 1 && q.Method == "GET" {
		name := q.URL.Query().Get(map[Kind]string{GitHub: "environment", GitLab: "name"}[f.kind])
		f.page(w, q, slices.DeleteFunc(slices.Clone(f.deployed), func(o object) bool { return o["environment"] != name && o["name"] != name }))
		return true
	}
	var one object
	if len(parts) > 1 {
		if i := slices.IndexFunc(f.deployed, func(o object) bool { return fmt.Sprint(o["id"]) == parts[1] }); i >= 0 {
			one = f.deployed[i]
		}
	}
	switch {
	case len(parts) > 1 && one == nil:
		f.refuse(w, 404, "Not Found")
	case f.kind == GitHub:
		f.deployGitHub(w, q, one, sent)
	default:
		f.deployGitLab(w, q, strings.Join(parts[min(2, len(parts)):], "/"), one, sent)
	}
	return true
}

func (f *fakeHost) deployGitHub(w http.ResponseWriter, q *http.Request, one, sent object) {
	switch {
	case one == nil: // make one
		if sent["ref"] == nil {
			f.refuse(w, 422, "Validation Failed: ref is missing")
			return
		}
		if contexts, given := sent["required_contexts"].([]any); !given || len(contexts) > 0 {
			f.refuse(w, 409, "Conflict: Commit status checks failed for the ref.") // those of the commit are pending
			return
		}
		if sent["auto_merge"] != false {
			f.refuse(w, 409, "Conflict merging the default branch")
			return
		}
		f.nextID++
		o := object{"id": f.nextID, "sha": sent["ref"], "environment": sent["environment"], "transient_environment": sent["transient_environment"], "is": []object{}}
		f.deployed = append([]object{o}, f.deployed...)
		f.say(w, 201, o)
	case q.Method == "GET":
		f.page(w, q, one["is"].([]object))
	default:
		state, _ := sent["state"].(string)
		if !slices.Contains([]string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}, state) {
			f.refuse(w, 422, "Validation Failed: state")
			return
		}
		f.nextID++
		s := object{"id": f.nextID, "state": state, "environment_url": sent["environment_url"]}
		one["is"] = append([]object{s}, one["is"].([]object)...)
		if state == "success" && sent["auto_inactive"] != false { // it does so to those that are not transient alone
			for _, o := range f.deployed {
				if o["id"] != one["id"] && o["environment"] == one["environment"] && o["transient_environment"] != true {
					o["is"] = append([]object{{"state": "inactive"}}, o["is"].([]object)...)
				}
			}
		}
		f.say(w, 201, s)
	}
}

func (f *fakeHost) deployGitLab(w http.ResponseWriter, q *http.Request, action string, one, sent object) {
	link, given := sent["external_url"].(string)
	switch {
	case given && !strings.HasPrefix(link, "http"):
		f.refuse(w, 400, "external_url is blocked: Only allowed schemes are http, https")
	case one == nil:
		if sent["name"] == nil || slices.ContainsFunc(f.deployed, func(o object) bool { return o["name"] == sent["name"] }) {
			f.refuse(w, 400, "Name has already been taken")
			return
		}
		f.nextID++
		o := object{"id": f.nextID, "name": sent["name"], "external_url": link, "state": "available"}
		f.deployed = append([]object{o}, f.deployed...)
		f.say(w, 201, o)
	case q.Method == "PUT":
		one["external_url"] = link
		f.say(w, 200, one)
	case q.Method == "POST" && action == "stop":
		one["state"] = "stopped"
		f.say(w, 200, one)
	case q.Method == "DELETE" && one["state"] != "stopped":
		f.refuse(w, 403, "Forbidden")
	case q.Method == "DELETE":
		f.deployed = slices.DeleteFunc(f.deployed, func(o object) bool { return o["id"] == one["id"] })
		w.WriteHeader(204)
	default:
		f.refuse(w, 404, "404 Not found")
	}
}

// shown is what people see of an environment: each deployment's commit, state and URL, the newest first.
func (f *fakeHost) shown() string {
	var out []string
	for _, o := range f.deployed {
		if f.kind == GitLab {
			out = append(out, fmt.Sprint(o["state"], " ", o["external_url"]))
			continue
		}
		s := o["is"].([]object)[0]
		out = append(out, fmt.Sprintf("%.1s %v %v", o["sha"], s["state"], s["environment_url"]))
	}
	return strings.Join(out, ", ")
}

// TestDeployments shows a preview that comes, moves on, ends and comes back, and asks for nothing that is so already, not even after a restart.
func TestDeployments(t *testing.T) {
	const one, other, name = "https://shop-pr-42.example.com", "https://cart-pr-42.example.com", "preview/team-a/shop/pr-42"
	for kind, want := range map[Kind][]string{
		GitHub: {"", "a success " + one, "b success " + one + ", a inactive <nil>", "b success " + other + ", a inactive <nil>",
			"b inactive <nil>, a inactive <nil>", "b success " + one + ", b inactive <nil>, a inactive <nil>"},
		GitLab: {"", "available " + one, "available " + one, "available " + other, "stopped " + other, "available " + one},
	} {
		f := newFake(t, kind)
		repo := map[Kind]string{GitHub: "team-a/shop", GitLab: "team-a/web/shop"}[kind]
		for i, d := range []Deployment{
			{}, {Commit: commit('a'), URL: one, Live: true}, {Commit: commit('b'), URL: one, Live: true}, {Commit: commit('b'), URL: other, Live: true},
			{Commit: commit('b')}, {Commit: commit('b'), URL: one, Live: true},
		} {
			d.Environment = name
			c := f.client(Config{}) // as after a restart
			if err := c.SetDeployment(t.Context(), repo, d); err != nil || f.shown() != want[i] {
				t.Fatalf("%s, step %d: %v; shown is %q, want %q", kind, i, err, f.shown(), want[i])
			}
			asked := len(f.asked)
			if err := c.SetDeployment(t.Context(), repo, d); err != nil || len(f.asked) != asked {
				t.Errorf("%s, step %d: what is so already is asked for: %v, %v", kind, i, err, f.asked[asked:])
			}
			if err := f.client(Config{}).SetDeployment(t.Context(), repo, d); err != nil || slices.ContainsFunc(f.asked[asked:], func(a string) bool { return !strings.HasPrefix(a, "GET ") }) {
				t.Errorf("%s, step %d: after a restart: %v, %v", kind, i, err, f.asked[asked:])
			}
		}
		f.fail = func(w http.ResponseWriter, q *http.Request) bool {
			f.refuse(w, 403, "Resource not accessible by personal access token")
			return true
		}
		wantReason(t, f.client(Config{}).SetDeployment(t.Context(), repo, Deployment{Environment: name}), Forbidden)
		asked := len(f.asked)
		for _, bad := range []Deployment{{}, {Environment: "a.b"}, {Environment: "/a"}, {Environment: "a\nb"}, {Environment: strings.Repeat("a", 256)},
			{Environment: name, Live: true, URL: one}, {Environment: name, Live: true, Commit: commit('a'), URL: "javascript:alert(1)"}} {
			wantReason(t, f.client(Config{}).SetDeployment(t.Context(), repo, bad), Invalid)
		}
		if len(f.asked) != asked {
			t.Errorf("%s was asked: %v", kind, f.asked[asked:])
		}
	}
}
