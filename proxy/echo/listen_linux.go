package echo

import (
	"context"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// loopbackOnly makes sockets that only what goes through the loopback device arrives at. Tying a socket to a device
// needs no privilege since Linux 5.7.
var loopbackOnly = net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
	var err error
	if controlErr := raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt SO_BINDTODEVICE", unix.BindToDevice(int(fd), "lo"))
	}); controlErr != nil {
		return controlErr
	}
	return err
}}

// listenAnyLoopback listens on a port of every address that connections through the loopback device can have.
func listenAnyLoopback() (net.Listener, error) {
	return loopbackOnly.Listen(context.Background(), "tcp4", "0.0.0.0:0")
}

// listenAnyLoopbackUDP is the same for datagrams.
func listenAnyLoopbackUDP() (*net.UDPConn, error) {
	conn, err := loopbackOnly.ListenPacket(context.Background(), "udp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}
