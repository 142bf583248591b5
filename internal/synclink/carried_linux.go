package synclink

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// carriedBy asks the kernel. What it waited for because the other end was full counts as the
// line's: bytes that wait cost more than bytes that are few.
func carriedBy(conn net.Conn) carried {
	for {
		within, ok := conn.(interface{ NetConn() net.Conn }) // TLS
		if !ok {
			break
		}
		conn = within.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return carried{}
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return carried{}
	}
	var info *unix.TCPInfo
	if raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }) != nil || err != nil {
		return carried{}
	}
	return carried{bytes: info.Bytes_acked, busy: time.Duration(info.Busy_time) * time.Microsecond}
}
