//go:build !linux

package echo

import (
	"errors"
	"net"
)

// listenAnyLoopback is not to be had here: of 127.0.0.0/8 only 127.0.0.1 is local.
func listenAnyLoopback() (net.Listener, error) {
	return nil, errors.ErrUnsupported
}

// listenAnyLoopbackUDP is not to be had here either.
func listenAnyLoopbackUDP() (*net.UDPConn, error) {
	return nil, errors.ErrUnsupported
}
