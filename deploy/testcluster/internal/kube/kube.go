// Package kube is the little of an API server's client that the test cluster itself needs. Tests use a real one.
package kube

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrNotFound is the answer 404.
var ErrNotFound = errors.New("not found")

// Content types of a patch.
const (
	Merge = "application/merge-patch+json"
	Apply = "application/apply-patch+yaml"
)

// Client talks to one API server as its administrator.
type Client struct {
	server string
	http   *http.Client
}

// New talks to server, an https URL, with ca.crt, admin.crt and admin.key of the directory pki.
func New(server, pki string) (*Client, error) {
	ca, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(pki, "admin.crt"), filepath.Join(pki, "admin.key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &Client{server, &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		ForceAttemptHTTP2: true,
	}}}, nil
}

// Ready says whether the API server calls itself ready.
func (c *Client) Ready(ctx context.Context) error { return c.Get(ctx, "/readyz", nil) }

// Get reads path into the value that into points at; nil throws the answer away.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	return c.do(ctx, request{http.MethodGet, path, "", ""}, into)
}

// Patch sends body to path.
func (c *Client) Patch(ctx context.Context, path, contentType, body string) error {
	return c.do(ctx, request{http.MethodPatch, path, contentType, body}, nil)
}

type request struct{ method, path, contentType, body string }

func (c *Client) do(ctx context.Context, r request, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	response, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", r.path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	out, err := http.NewRequestWithContext(ctx, r.method, c.server+r.path, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if r.contentType != "" {
		out.Header.Set("Content-Type", r.contentType)
	}
	response, err := c.http.Do(out)
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if response.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, ErrNotFound)
	}
	return nil, fmt.Errorf("%s %s: %s: %s", r.method, r.path, response.Status, bytes.TrimSpace(text))
}

// Watch calls each for every change below path after the version, in order, until the server ends the watch (nil), each returns an error, or ctx ends.
func (c *Client) Watch(ctx context.Context, path, version string, each func(kind string, object []byte) error) error {
	response, err := c.send(ctx, request{http.MethodGet, path + "?watch=1&resourceVersion=" + url.QueryEscape(version), "", ""})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var event struct {
			Type   string
			Object json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return fmt.Errorf("reading the watch of %s: %w", path, err)
		}
		if event.Type == "ERROR" {
			return fmt.Errorf("watching %s: %s", path, event.Object)
		}
		if err := each(event.Type, event.Object); err != nil {
			return err
		}
	}
	return lines.Err()
}
