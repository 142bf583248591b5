package live

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ours reports whether a connection comes from our own pages, a configured site, or a
// program that is no browser: those send no Origin.
func (s *Server) ours(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if slices.Contains(s.config.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
