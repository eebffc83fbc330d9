package echo_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"headgate.dev/proxy/echo"
)

// masked is a frame as a client sends it.
func masked(head byte, payload string) []byte {
	b := []byte{head}
	switch n := len(payload); {
	case n <= 125:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 250}
	b = append(b, mask[:]...)
	for i := range payload {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

// frameOf reads a frame of the server.
func frameOf(t *testing.T, r io.Reader) (head byte, payload string) {
	t.Helper()
	var b [10]byte
	read := func(p []byte) {
		t.Helper()
		if _, err := io.ReadFull(r, p); err != nil {
			t.Fatal(err)
		}
	}
	read(b[:2])
	size := uint64(b[1])
	switch size {
	case 126:
		read(b[2:4])
		size = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		read(b[2:])
		size = binary.BigEndian.Uint64(b[2:])
	}
	p := make([]byte, size)
	read(p)
	return b[0], string(p)
}

func TestWebSocket(t *testing.T) {
	for kind, s := range newServers(t) {
		t.Run(kind, func(t *testing.T) {
			conn := dial(t, "tcp", endpoint(t, s, shop))
			// The first frame comes with the request: nothing of it may be lost.
			fmt.Fprintf(conn, "GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, other\r\n\r\n%s", masked(0x81, "early"))
			r := bufio.NewReader(conn)
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			h := response.Header
			if response.StatusCode != 101 || h.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || h.Get("Sec-WebSocket-Protocol") != "chat" {
				t.Fatalf("got %d, %v", response.StatusCode, h)
			}
			next := func(head byte, payload string) {
				t.Helper()
				if h, p := frameOf(t, r); h != head || p != payload {
					t.Fatalf("got %x %.40q, want %x %.40q", h, p, head, payload)
				}
			}
			next(0x81, "team-a/shop:8080")
			next(0x81, "early")
			for _, f := range []struct {
				head, want byte
				payload    string
			}{
				{0x82, 0x82, strings.Repeat("x", 200)}, {0x82, 0x82, strings.Repeat("y", 1<<17)},
				{0x01, 0x01, "in "}, {0x89, 0x8A, "ping"}, {0x80, 0x80, "parts"}, {0x88, 0x88, "\x03\xe8bye"},
			} {
				if _, err := conn.Write(masked(f.head, f.payload)); err != nil {
					t.Fatal(err)
				}
				next(f.want, f.payload)
			}
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("after the close frame: %v", err)
			}
		})
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(masked(0x81, "hello"))
	f.Add(append(masked(0x01, "a"), masked(0x88, "")...))
	f.Add([]byte{0x81, 5, 1})
	f.Add([]byte{0x89, 0xFE, 1, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		_ = echo.EchoFrames(struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(in), &out})
		if out.Len() > len(in)+8 {
			t.Errorf("%d bytes for %d", out.Len(), len(in))
		}
	})
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 'x', 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0xFF, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		r, size := bytes.NewReader(in), 0
		for {
			m, err := echo.ReadMessage(r)
			if err != nil {
				break
			}
			size += len(m) + 5
		}
		if size > len(in) {
			t.Errorf("%d bytes out of %d", size, len(in))
		}
	})
}
