package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Answer is a response, with what the echo backend said if it was one of its.
type Answer struct {
	Status    int
	Location  string
	Service   string              `json:"service"`
	Namespace string              `json:"namespace"`
	Port      int                 `json:"port"`
	Path      string              `json:"path"`
	Host      string              `json:"host"`
	Headers   map[string][]string `json:"headers"`
}

// Client sends requests to one address, whatever their host says. Redirects are answers.
func Client(port int) *http.Client {
	addr := net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
			MaxIdleConnsPerHost: 64,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Get sends GET http://host/path.
func Get(c *http.Client, host, path string, header http.Header) (Answer, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return Answer{}, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := c.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, &a); err != nil {
			return a, fmt.Errorf("reading the answer %q: %w", body, err)
		}
	}
	a.Status, a.Location = resp.StatusCode, resp.Header.Get("Location")
	return a, nil
}
