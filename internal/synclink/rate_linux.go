package synclink

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// deliveryRate is how many bytes a second the kernel saw the other end of a connection
// acknowledge of late; zero where it cannot say.
func deliveryRate(conn net.Conn) uint64 {
	for {
		within, ok := conn.(interface{ NetConn() net.Conn }) // TLS
		if !ok {
			break
		}
		conn = within.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	var info *unix.TCPInfo
	if raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }) != nil || err != nil {
		return 0
	}
	return info.Delivery_rate
}
