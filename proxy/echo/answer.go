package echo

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// Answer is the body of every answer to a plain HTTP request: the target, and the request as it arrived behind the proxy. The answer has status
// 200, and is one line of JSON.
type Answer struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Port      int32  `json:"port"`
	// Protocol is what was spoken to this backend: "HTTP/1.0", "HTTP/1.1" or "HTTP/2.0".
	Protocol string `json:"protocol"`
	Method   string `json:"method"`
	// Host is the Host header or ":authority", with its port if it had one. It is not repeated among the headers.
	Host string `json:"host"`
	// Path is as it was sent, percent-encoding kept, without the query.
	Path string `json:"path"`
	// Query is what followed the first "?", undecoded; empty when there was none.
	Query string `json:"query"`
	// Headers maps lower-case names to all their values in the order received; always a list, never a bare string. What
	// only frames the message (Transfer-Encoding, Trailer) is not among them.
	Headers map[string][]string `json:"headers"`
	// ServerName is what the client called this backend in TLS; empty without TLS.
	ServerName string `json:"serverName,omitempty"`
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	place := addrPort(local)
	t, ok := s.target(place, false)
	switch {
	case isGRPC(r) && !ok:
		grpcStatus(w, grpcUnavailable, "no service is served at "+place.String())
	case !ok:
		http.Error(w, "no service is served at "+place.String(), http.StatusServiceUnavailable)
	case isGRPC(r):
		answerGRPC(w, r, t.Target)
	case isWebSocket(r):
		s.answerWebSocket(w, r, t.Target)
	default:
		answerHTTP(w, r, t.Target)
	}
}

func answerHTTP(w http.ResponseWriter, r *http.Request, t Target) {
	// An answer before the end of the request would make the server cut the connection off, and the proxy report that.
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the client is gone
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // people read it: "a=1&b=2"
	if err := encoder.Encode(describe(t, r)); err != nil {
		http.Error(w, "describing the request: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	_, _ = w.Write(body.Bytes()) // an error: the client is gone
}

func describe(t Target, r *http.Request) Answer {
	headers := make(map[string][]string, len(r.Header))
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = values
	}
	a := Answer{
		Namespace: t.Namespace,
		Service:   t.Service,
		Port:      t.Port,
		Protocol:  r.Proto,
		Method:    r.Method,
		Host:      r.Host,
		Path:      r.URL.EscapedPath(),
		Query:     r.URL.RawQuery,
		Headers:   headers,
	}
	if r.TLS != nil {
		a.ServerName = r.TLS.ServerName
	}
	return a
}
