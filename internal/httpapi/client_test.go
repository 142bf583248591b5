package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, test := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"NoProxy":            {"198.51.100.7:999", nil, "198.51.100.7"},
		"ForgedByClient":     {"198.51.100.7:999", []string{"203.0.113.1"}, "198.51.100.7"},
		"OneProxy":           {"10.0.0.2:999", []string{"203.0.113.1"}, "203.0.113.1"},
		"ForgedThroughProxy": {"10.0.0.2:999", []string{"192.0.2.1, 203.0.113.1"}, "203.0.113.1"},
		"TwoProxies":         {"10.0.0.2:999", []string{"203.0.113.1", "10.0.0.3"}, "203.0.113.1"},
		"NotAnAddress":       {"10.0.0.2:999", []string{"unknown"}, "10.0.0.2"},
		"OnlyProxies":        {"10.0.0.2:999", []string{"10.0.0.9"}, "10.0.0.9"},
		"MappedIPv4":         {"[::ffff:10.0.0.2]:999", []string{"203.0.113.1"}, "203.0.113.1"},
		"IPv6":               {"[fd00::1]:999", []string{"2001:db8::5"}, "2001:db8::5"},
		"ManyHops":           {"10.0.0.2:999", []string{"203.0.113.1," + strings.Repeat("10.0.0.1,", 40) + "10.0.0.1"}, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = test.peer
			r.Header["X-Forwarded-For"] = test.forwarded
			if got := clientAddress(r, proxies).String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestLimitKey(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2:1")
	if limitKey(a) != limitKey(b) {
		t.Error("one IPv6 customer has several keys")
	}
	if limitKey(a) == limitKey(netip.MustParseAddr("2001:db8:0:1::1")) {
		t.Error("two IPv6 customers share a key")
	}
}
