package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwardedHopsMax bounds how many entries of X-Forwarded-For are looked at.
const forwardedHopsMax = 16

// clientAddress is whose request this is: the peer, or what a configured proxy says. From
// the right, each entry that a trusted proxy added is believed; anyone can write the rest.
func clientAddress(r *http.Request, proxies []netip.Prefix) netip.Addr {
	port, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a UNIX socket; one key for all its peers
	}
	address := port.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := range min(len(hops), forwardedHopsMax) {
		if !trusted(address, proxies) {
			break
		}
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1-i]))
		if err != nil {
			break
		}
		address = hop.Unmap().WithZone("")
	}
	return address
}

func trusted(address netip.Addr, proxies []netip.Prefix) bool {
	return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// limitKey is what an address is limited by: an IPv6 customer has a whole /64.
func limitKey(address netip.Addr) string {
	if address.Is6() {
		if prefix, err := address.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return address.String()
}
