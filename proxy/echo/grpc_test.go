package echo_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"headgate.dev/proxy/echo"
)

func grpcClient(t *testing.T, place netip.AddrPort) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(place.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

var bidirectional = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

func TestGRPCUnary(t *testing.T) {
	for kind, s := range newServers(t) {
		t.Run(kind, func(t *testing.T) {
			conn := grpcClient(t, endpoint(t, s, shop))
			got := &wrapperspb.StringValue{}
			if err := conn.Invoke(t.Context(), "/shop.v1.Cart/Add", wrapperspb.String("ham"), got); err != nil {
				t.Fatal(err)
			}
			if got.Value != "team-a/shop:8080" {
				t.Errorf("got %v", got)
			}
			// What was received is field 2.
			unknown := []byte(got.ProtoReflect().GetUnknown())
			number, _, n := protowire.ConsumeTag(unknown)
			received, m := protowire.ConsumeBytes(unknown[max(n, 0):])
			if number != 2 || m < 0 || !bytes.Equal(received, append([]byte{0x0A, 3}, "ham"...)) {
				t.Errorf("field %d: %q", number, received)
			}
		})
	}
}

func TestGRPCStream(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	stream, err := grpcClient(t, endpoint(t, s, shop)).NewStream(t.Context(), bidirectional, "/any.Service/Method")
	if err != nil {
		t.Fatal(err)
	}
	next := func(want string) {
		t.Helper()
		got := &wrapperspb.StringValue{}
		if err := stream.RecvMsg(got); err != nil || got.Value != want {
			t.Fatalf("got %v, %v, want %q", got, err, want)
		}
	}
	next("team-a/shop:8080") // though nothing was sent
	for _, say := range []string{"one", "two", ""} {
		if err := stream.SendMsg(wrapperspb.String(say)); err != nil {
			t.Fatal(err)
		}
		next(say)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&wrapperspb.StringValue{}); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v", err)
	}
}

// A client that sends one message and waits before it sends the next is answered too.
func TestGRPCStreamThatWaits(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	stream, err := grpcClient(t, endpoint(t, s, shop)).NewStream(t.Context(), bidirectional, "/any.Service/Method")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(wrapperspb.String("one")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"team-a/shop:8080", "one"} {
		got := &wrapperspb.StringValue{}
		if err := stream.RecvMsg(got); err != nil || got.Value != want {
			t.Fatalf("got %v, %v, want %q", got, err, want)
		}
	}
}

func TestGRPCRefusals(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	conn := grpcClient(t, endpoint(t, s, shop))
	invoke := func(m string, options ...grpc.CallOption) codes.Code {
		return status.Code(conn.Invoke(t.Context(), "/a.B/C", wrapperspb.String(m), &wrapperspb.StringValue{}, options...))
	}
	if got := invoke("x", grpc.UseCompressor(gzip.Name)); got != codes.Unimplemented {
		t.Errorf("a compressed message: %v", got)
	}
	if got := invoke(string(make([]byte, 5<<20))); got != codes.ResourceExhausted {
		t.Errorf("a message that is too large: %v", got)
	}
	if got := invoke("x"); got != codes.OK {
		t.Errorf("after that: %v", got)
	}
	s.Forget(shop)
	if got := invoke("x"); got != codes.Unavailable {
		t.Errorf("a target that is gone: %v", got)
	}
}
