package media

import (
	"maps"
	"testing"
)

func FuzzParseMetadata(f *testing.F) {
	for _, s := range []string{"", "filename d29ybGQ=", "a YQ==,b", "a YQ==,a Yg==", " ,", "sha256 eA==", "k \x00", "é YQ=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		meta, err := ParseMetadata(s)
		if err != nil {
			return
		}
		again, err := ParseMetadata(meta.Encode())
		if err != nil || !maps.Equal(meta, again) {
			t.Fatalf("%q does not survive: %v, %v", s, again, err)
		}
	})
}

func FuzzParseChecksum(f *testing.F) {
	for _, s := range []string{"", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha256 ", "md5 AAAA", "sha1", "sha1  x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseChecksum(s)
		if err == nil && c != nil && len(c.sum) != c.new().Size() {
			t.Fatalf("%q gives a sum of %d bytes", s, len(c.sum))
		}
	})
}
