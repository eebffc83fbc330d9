package echo

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 wants it, and nothing depends on its strength
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The opcodes of frames (RFC 6455, 5.2).
const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA

	finalFrame  = 0x80
	maxControl  = 125 // bytes of payload of a control frame
	closeBroken = 1002
)

// webSocketGUID is part of every handshake (RFC 6455, 1.3).
const webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

func isWebSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		r.Header.Get("Sec-Websocket-Key") != ""
}

// answerWebSocket takes the first subprotocol that is offered, sends the target as a text message, and then every frame
// back as it came.
func (s *Server) answerWebSocket(w http.ResponseWriter, r *http.Request, t Target) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "taking the connection over: "+err.Error(), http.StatusInternalServerError)
		return
	}
	defer s.drop(conn)
	if !s.track(conn) {
		return
	}
	digest := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + webSocketGUID)) //nolint:gosec // see the import
	var answer strings.Builder
	fmt.Fprintf(&answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
		base64.StdEncoding.EncodeToString(digest[:]))
	if offered, _, _ := strings.Cut(r.Header.Get("Sec-Websocket-Protocol"), ","); offered != "" {
		fmt.Fprintf(&answer, "Sec-WebSocket-Protocol: %s\r\n", strings.TrimSpace(offered))
	}
	answer.WriteString("\r\n")
	if _, err := io.WriteString(conn, answer.String()); err != nil {
		return
	}
	first := []byte(t.String())
	if err := writeFrame(conn, finalFrame|opText, first); err != nil {
		return
	}
	// An error: the client is gone, or told of it.
	_ = echoFrames(struct {
		io.Reader
		io.Writer
	}{buffered.Reader, conn})
}

// echoFrames answers every frame until one of them ends the conversation.
func echoFrames(conn io.ReadWriter) error {
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	for {
		f, err := readFrameHead(in)
		if errors.Is(err, errFrame) {
			return errors.Join(err, writeFrame(conn, finalFrame|opClose, binary.BigEndian.AppendUint16(nil, closeBroken)))
		}
		if err != nil {
			return err
		}
		head := f.head
		switch f.opcode() {
		case opPing:
			head = finalFrame | opPong
		case opPong:
			if _, err := io.CopyN(io.Discard, in, int64(f.size)); err != nil {
				return err
			}
			continue
		}
		if _, err := out.Write(frameHead(head, f.size)); err != nil {
			return err
		}
		if _, err := io.CopyN(out, &unmasked{r: in, mask: f.mask}, int64(f.size)); err != nil {
			return err
		}
		if err := out.Flush(); err != nil || f.opcode() == opClose {
			return err
		}
	}
}

// frame is what stands before a payload.
type frame struct {
	head byte // final bit and opcode
	size uint64
	mask [4]byte
}

func (f *frame) opcode() byte { return f.head & 0x0F }

// errFrame is a frame that breaks the protocol.
var errFrame = errors.New("a frame breaks RFC 6455")

// readFrameHead reads what stands before a client's payload.
func readFrameHead(r io.Reader) (frame, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return frame{}, err
	}
	f := frame{head: b[0], size: uint64(b[1] & 0x7F)}
	masked := b[1]&0x80 != 0
	var err error
	switch f.size {
	case 126:
		_, err = io.ReadFull(r, b[:2])
		f.size = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		_, err = io.ReadFull(r, b[:8])
		f.size = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return frame{}, err
	}
	control := f.opcode() >= opClose
	switch {
	case f.head&0x70 != 0: // no extension was agreed on
		return frame{}, fmt.Errorf("%w: reserved bits", errFrame)
	case !masked:
		return frame{}, fmt.Errorf("%w: it is not masked", errFrame)
	case f.opcode() > opBinary && f.opcode() < opClose, f.opcode() > opPong:
		return frame{}, fmt.Errorf("%w: opcode %d", errFrame, f.opcode())
	case control && (f.size > maxControl || f.head&finalFrame == 0), f.size > 1<<62:
		return frame{}, fmt.Errorf("%w: its size", errFrame)
	}
	_, err = io.ReadFull(r, f.mask[:])
	return f, err
}

// unmasked takes the mask off a payload.
type unmasked struct {
	r    io.Reader
	mask [4]byte
	at   int
}

// Read implements io.Reader.
func (u *unmasked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	for i := range p[:n] {
		p[i] ^= u.mask[(u.at+i)%4]
	}
	u.at = (u.at + n) % 4
	return n, err
}

// frameHead is what stands before a server's payload, which has no mask.
func frameHead(head byte, size uint64) []byte {
	switch {
	case size <= maxControl:
		return []byte{head, byte(size)}
	case size < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{head, 126}, uint16(size))
	default:
		return binary.BigEndian.AppendUint64([]byte{head, 127}, size)
	}
}

func writeFrame(w io.Writer, head byte, payload []byte) error {
	_, err := w.Write(append(frameHead(head, uint64(len(payload))), payload...))
	return err
}
