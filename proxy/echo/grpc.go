package echo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Status codes of gRPC.
const (
	grpcOK                = 0
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
)

const (
	// maxMessage bounds a message, as most implementations of gRPC do.
	maxMessage = 4 << 20
	// silence is how long the server waits, after the first message, to find out whether a client has more than one to send. For
	// the first one it has patience: many calls at once on a busy machine are slow to arrive.
	silence = 300 * time.Millisecond
)

func isGRPC(r *http.Request) bool {
	t := r.Header.Get("Content-Type")
	rest, ok := strings.CutPrefix(t, "application/grpc")
	return ok && r.ProtoMajor == 2 && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// grpcStatus answers with a status and no message.
func grpcStatus(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Status", strconv.Itoa(code))
	w.Header().Set("Grpc-Message", message)
	w.WriteHeader(http.StatusOK)
}

// grpcError is an error with the status that tells it to the client.
type grpcError struct {
	code    int
	message string
}

func (e *grpcError) Error() string { return e.message }

// answerGRPC answers any method. Messages of the answer are, for every decoder of protobuf, of the type
//
//	message Echo { string target = 1; bytes received = 2; }
//
// A client that has sent one message and ended gets one message, because it may not take more: the target and what was
// received. Every other gets a message with the target, and then each of its own messages back as it was.
func answerGRPC(w http.ResponseWriter, r *http.Request, t Target) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	messages := make(chan []byte)
	var broken error // valid when messages is closed
	go func() {
		defer close(messages)
		broken = readMessages(r.Body, messages, r.Context().Done())
	}()
	err := converseGRPC(w, messages, t)
	for range messages { // the client may not be done: take what it sends, as every backend here does
	}
	if err == nil {
		err = broken
	}
	code, text := grpcOK, ""
	var known *grpcError
	switch {
	case errors.As(err, &known):
		code, text = known.code, known.message
	case err != nil:
		code, text = grpcInternal, err.Error()
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(code))
	if text != "" {
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", text)
	}
}

func converseGRPC(w http.ResponseWriter, messages <-chan []byte, t Target) error {
	self := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), t.String())
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var first [][]byte
	for more := true; more && len(first) < 2; {
		select {
		case m, open := <-messages:
			if !open && len(first) == 1 {
				self = protowire.AppendTag(self, 2, protowire.BytesType)
				self = protowire.AppendBytes(self, first[0])
				first = nil
			}
			if more = open; open {
				first = append(first, m)
				timer.Reset(silence)
			}
		case <-timer.C:
			more = false
		}
	}
	for _, m := range append([][]byte{self}, first...) {
		if err := writeMessage(w, m); err != nil {
			return err
		}
	}
	for m := range messages {
		if err := writeMessage(w, m); err != nil {
			return err
		}
	}
	return nil
}

// readMessages reads length-prefixed messages until the end, or until nobody wants them any more.
func readMessages(r io.Reader, messages chan<- []byte, done <-chan struct{}) error {
	for {
		m, err := readMessage(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case messages <- m:
		case <-done:
			return nil
		}
	}
}

// readMessage gives io.EOF at the end and between messages only.
func readMessage(r io.Reader) ([]byte, error) {
	var prefix [5]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &grpcError{grpcInternal, "the stream ends inside the prefix of a message"}
		}
		return nil, err
	}
	size := binary.BigEndian.Uint32(prefix[1:])
	switch {
	case prefix[0] != 0:
		return nil, &grpcError{grpcUnimplemented, "the echo backend takes no compressed messages"}
	case size > maxMessage:
		return nil, &grpcError{grpcResourceExhausted, fmt.Sprintf("a message has %d bytes and may have %d", size, maxMessage)}
	}
	var m strings.Builder // grows with what comes, not with what is announced
	if n, err := io.CopyN(&m, r, int64(size)); err != nil {
		return nil, &grpcError{grpcInternal, fmt.Sprintf("the stream ends after %d of the %d bytes of a message", n, size)}
	}
	return []byte(m.String()), nil
}

func writeMessage(w http.ResponseWriter, m []byte) error {
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m)))
	if _, err := w.Write(append(frame, m...)); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}
