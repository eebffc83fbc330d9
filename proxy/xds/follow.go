package xds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Followers are those who may follow a Server on the port of the proxies: what it has to say beside configuration goes to them as
// messages whose meaning the Server does not know.
type Followers struct {
	// Authenticate says whether a caller may follow. Its error refuses the stream and is told to the caller.
	Authenticate func(Peer) error
	// Serve sends messages until ctx ends; an error ends the stream.
	Serve func(ctx context.Context, send func([]byte) error) error
}

const followName = "headgate.dev.Follow"

// followService is one stream from the server, of messages that are bytes.
var followService = grpc.ServiceDesc{
	ServiceName: followName,
	HandlerType: (*any)(nil),
	Streams:     []grpc.StreamDesc{{StreamName: "Follow", Handler: serveFollower, ServerStreams: true}},
}

func serveFollower(server any, stream grpc.ServerStream) error {
	s, ok := server.(*Server)
	if !ok {
		return status.Error(codes.Internal, "not a server of this package")
	}
	ctx, end := context.WithCancelCause(stream.Context())
	defer context.AfterFunc(s.ctx, func() { end(context.Cause(s.ctx)) })()
	peer := peerOf(ctx)
	if err := s.options.Followers.Authenticate(peer); err != nil {
		return status.Errorf(codes.PermissionDenied, "telling who calls from %v: %v", peer.Addr, err)
	}
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	return s.options.Followers.Serve(ctx, func(message []byte) error {
		return stream.SendMsg(wrapperspb.Bytes(message))
	})
}

// Follow follows the Server at an address, and has take called with each message in order, until ctx ends, the stream breaks or take
// returns an error. A nil config is plain text.
func Follow(ctx context.Context, address string, config *tls.Config, take func([]byte) error) error {
	by := grpc.WithTransportCredentials(insecure.NewCredentials())
	if config != nil {
		by = grpc.WithTransportCredentials(credentials.NewTLS(config))
	}
	conn, err := grpc.NewClient("passthrough:///"+address, by, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}))
	if err != nil {
		return fmt.Errorf("calling %s: %w", address, err)
	}
	defer conn.Close()
	stream, err := conn.NewStream(ctx, &followService.Streams[0], "/"+followName+"/Follow")
	if err == nil {
		err = errors.Join(stream.SendMsg(&emptypb.Empty{}), stream.CloseSend())
	}
	if err != nil {
		return fmt.Errorf("calling %s: %w", address, err)
	}
	for {
		var m wrapperspb.BytesValue
		switch err := stream.RecvMsg(&m); {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("following %s: it ended the stream", address)
		case err != nil:
			return fmt.Errorf("following %s: %w", address, err)
		}
		if err := take(m.GetValue()); err != nil {
			return err
		}
	}
}
