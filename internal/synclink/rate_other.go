//go:build !linux

package synclink

import "net"

// deliveryRate is unknown here.
func deliveryRate(net.Conn) uint64 { return 0 }
