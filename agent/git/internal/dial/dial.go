// Package dial connects to servers, directly or through a proxy.
package dial

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"golang.org/x/net/proxy"
)

// Dial connects to an address, through a SOCKS5 proxy (RFC 1928) where there is one.
func Dial(ctx context.Context, timeout time.Duration, through *url.URL, addr string) (net.Conn, error) {
	direct := &net.Dialer{Timeout: timeout}
	if through == nil {
		return direct.DialContext(ctx, "tcp", addr)
	}
	at, port := through.Hostname(), through.Port()
	if port == "" {
		port = "1080"
	}
	var auth *proxy.Auth
	if through.User != nil {
		auth = &proxy.Auth{User: through.User.Username()}
		auth.Password, _ = through.User.Password()
	}
	socks, err := proxy.SOCKS5("tcp", net.JoinHostPort(at, port), auth, direct)
	if err != nil {
		return nil, fmt.Errorf("using the proxy %s: %w", at, err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return socks.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
}
