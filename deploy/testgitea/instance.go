//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// Instance is how to reach a Gitea that runs.
type Instance struct {
	// URL is of HTTP, without a slash at the end; SSH is host and port.
	URL string `json:"url"`
	SSH string `json:"ssh"`
	// User is an administrator, Token theirs for everything.
	User  string `json:"user"`
	Token string `json:"token"`
	PID   int    `json:"pid"`
	Log   string `json:"log"`
}

const (
	admin       = "root1" // "root" and "admin" are reserved names
	stateFile   = "instance.json"
	startWithin = time.Minute
)

// config is all that differs from Gitea's defaults: one machine, no network, no waiting.
var config = template.Must(template.New("").Parse(`RUN_USER = {{.User}}
RUN_MODE = prod
WORK_PATH = {{.Dir}}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = {{.Listen}}
HTTP_PORT = {{.HTTP}}
ROOT_URL = http://{{.Listen}}:{{.HTTP}}/
LOCAL_ROOT_URL = http://{{.Listen}}:{{.HTTP}}/
STATIC_ROOT_PATH = {{.Share}}
START_SSH_SERVER = true
BUILTIN_SSH_SERVER_USER = git
SSH_LISTEN_HOST = {{.Listen}}
SSH_LISTEN_PORT = {{.SSH}}
SSH_PORT = {{.SSH}}
SSH_DOMAIN = {{.Listen}}
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {{.Dir}}/data/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = {{.Secret}}
PASSWORD_HASH_ALGO = pbkdf2
[repository]
ROOT = {{.Dir}}/repos
DEFAULT_BRANCH = main
[webhook]
ALLOWED_HOST_LIST = *
DELIVER_TIMEOUT = 5
[service]
DISABLE_REGISTRATION = true
[actions]
ENABLED = false
[packages]
ENABLED = false
[cron.update_checker]
ENABLED = false
[log]
MODE = console
`))

type settings struct {
	User, Dir, Share, Listen, HTTP, SSH, Secret string
}

// Up starts a fresh instance with its state in dir, which must not have one, and returns when it answers.
func Up(ctx context.Context, p Program, dir, listen string) (Instance, error) {
	if complete(filepath.Join(dir, stateFile)) {
		return Instance{}, fmt.Errorf("starting Gitea: one was started in %s; `testgitea down` first", dir)
	}
	for _, sub := range []string{"custom/conf", "data", "repos", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return Instance{}, err
		}
	}
	s, err := choose(p, dir, listen)
	if err != nil {
		return Instance{}, err
	}
	var text bytes.Buffer
	if err := config.Execute(&text, s); err != nil {
		return Instance{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "custom/conf/app.ini"), text.Bytes(), 0o600); err != nil {
		return Instance{}, err
	}
	if out, err := gitea(ctx, p, dir, "migrate").CombinedOutput(); err != nil {
		return Instance{}, fmt.Errorf("making Gitea's database: %w\n%s", err, tail(out))
	}
	token, err := createAdmin(ctx, p, dir)
	if err != nil {
		return Instance{}, err
	}
	i := Instance{URL: "http://" + net.JoinHostPort(listen, s.HTTP), SSH: net.JoinHostPort(listen, s.SSH), User: admin, Token: token,
		Log: filepath.Join(dir, "gitea.log")}
	return i, start(ctx, p, dir, &i)
}

// choose finds free ports and a secret.
func choose(p Program, dir, listen string) (settings, error) {
	u, err := user.Current()
	if err != nil {
		return settings{}, err
	}
	s := settings{User: u.Username, Dir: dir, Share: p.Share, Listen: listen}
	var secret [16]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return settings{}, err
	}
	s.Secret = hex.EncodeToString(secret[:])
	var listeners []net.Listener // both at once, or they would get the same port
	for range 2 {
		l, err := net.Listen("tcp", net.JoinHostPort(listen, "0"))
		if err != nil {
			return settings{}, fmt.Errorf("looking for a free port: %w", err)
		}
		defer l.Close()
		listeners = append(listeners, l)
	}
	s.HTTP = strconv.Itoa(listeners[0].Addr().(*net.TCPAddr).Port)
	s.SSH = strconv.Itoa(listeners[1].Addr().(*net.TCPAddr).Port)
	return s, nil
}

// gitea is a command of Gitea's, in an environment of its own.
func gitea(ctx context.Context, p Program, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Path, append([]string{"-c", filepath.Join(dir, "custom/conf/app.ini")}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(dir, "home"), "USER=" + os.Getenv("USER")}
	return cmd
}

var tokenText = regexp.MustCompile(`\b[0-9a-f]{40}\b`)

func createAdmin(ctx context.Context, p Program, dir string) (string, error) {
	var password [16]byte
	if _, err := rand.Read(password[:]); err != nil {
		return "", err
	}
	out, err := gitea(ctx, p, dir, "admin", "user", "create", "--admin", "--username", admin, "--email", admin+"@example.test",
		"--password", "Aa1!"+hex.EncodeToString(password[:]), "--must-change-password=false",
		"--access-token", "--access-token-name", "test", "--access-token-scopes", "all").CombinedOutput()
	token := tokenText.Find(out)
	if err != nil || token == nil {
		return "", fmt.Errorf("making Gitea's administrator: %w\n%s", err, tail(out))
	}
	return string(token), nil
}

// start starts the server as a process that outlives this one, and records it before anything can go wrong.
func start(ctx context.Context, p Program, dir string, i *Instance) error {
	log, err := os.Create(i.Log)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := gitea(context.WithoutCancel(ctx), p, dir, "web")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting Gitea: %w", err)
	}
	i.PID = cmd.Process.Pid
	text, err := json.Marshal(i)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, stateFile), text, 0o600)
	}
	if err == nil {
		err = answers(ctx, cmd, i)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		os.Remove(filepath.Join(dir, stateFile)) //nolint:errcheck // it may not be there
	}
	return err
}

// answers waits until the server is ready, or ended.
func answers(ctx context.Context, cmd *exec.Cmd, i *Instance) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the server, or with this program
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			out, _ := os.ReadFile(i.Log) // best effort: it is only shown
			return fmt.Errorf("starting Gitea: it ended: %w\n%s", err, tail(out))
		case <-ctx.Done():
			return fmt.Errorf("starting Gitea: no answer in %s: %w; see %s", startWithin, ctx.Err(), i.Log)
		case <-tick.C:
			if healthy(ctx, i.URL) {
				return nil
			}
		}
	}
}

func healthy(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/healthz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// Down stops the instance in dir by its recorded process id, and removes dir.
func Down(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var i Instance
	if err := json.Unmarshal(text, &i); err != nil || i.PID <= 1 {
		return fmt.Errorf("stopping Gitea: %s is not what up wrote", filepath.Join(dir, stateFile))
	}
	if ours(i.PID, dir) {
		if err := stop(i.PID); err != nil {
			return fmt.Errorf("stopping Gitea: %w", err)
		}
	}
	return os.RemoveAll(dir)
}

// ours guards against a process id that was given to another process meanwhile, where that can be seen.
func ours(pid int, dir string) bool {
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return !complete("/proc/self") && syscall.Kill(pid, 0) == nil
	}
	return strings.Contains(string(command), dir)
}

func stop(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	// It finishes what is in its queues, which nobody wants any more.
	deadline, tick := time.After(3*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-deadline:
			return syscall.Kill(pid, syscall.SIGKILL)
		case <-tick.C:
			if gone(pid) {
				return nil
			}
		}
	}
}

// gone is true for a zombie too: its parent need not be there to wait for it.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, found := strings.Cut(string(stat), ") ")
	return err == nil && found && strings.HasPrefix(state, "Z")
}

func tail(out []byte) []byte { return out[max(0, len(out)-2<<10):] }
