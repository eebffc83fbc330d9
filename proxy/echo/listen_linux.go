package echo

import (
	"context"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenAnyLoopback listens on a port of every address that connections through the loopback device can have. Tying a
// socket to a device needs no privilege since Linux 5.7.
func listenAnyLoopback() (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if controlErr := raw.Control(func(fd uintptr) {
			err = os.NewSyscallError("setsockopt SO_BINDTODEVICE", unix.BindToDevice(int(fd), "lo"))
		}); controlErr != nil {
			return controlErr
		}
		return err
	}}
	return config.Listen(context.Background(), "tcp4", "0.0.0.0:0")
}
