package media

import (
	"crypto/sha1" //nolint:gosec // a transfer checksum that the tus protocol names, not a proof
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"estate/internal/problem"
)

// Header fields of tus 1.0.
const (
	headerResumable = "Tus-Resumable"
	headerVersion   = "Tus-Version"
	headerExtension = "Tus-Extension"
	headerMaxSize   = "Tus-Max-Size"
	headerAlgorithm = "Tus-Checksum-Algorithm"
	headerLength    = "Upload-Length"
	headerOffset    = "Upload-Offset"
	headerMetadata  = "Upload-Metadata"
	headerChecksum  = "Upload-Checksum"
	headerExpires   = "Upload-Expires"
	headerOverride  = "X-Http-Method-Override"
	headerBlob      = "Media-Blob"
	headerThumb     = "Media-Thumbnail"

	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,checksum,termination,expiration"
	tusChecksums  = "sha256,sha1"
	offsetType    = "application/offset+octet-stream"
)

const (
	// metadataBytesMax leaves room for a long file name in base64 and a few ids.
	metadataBytesMax = 4096
	metadataKeysMax  = 32
	metadataKeyMax   = 64
	metadataValueMax = 1024
	checksumBytesMax = 128
)

// Metadata keys that this package itself reads. All others are passed on.
const (
	MetaFilename = "filename"
	MetaFiletype = "filetype"
	MetaSHA256   = "sha256" // of the bytes sent, lower-case hexadecimal
)

// Metadata is what the sender says about an upload. Nothing in it is trusted.
type Metadata map[string]string

// ParseMetadata reads an Upload-Metadata header: pairs of a key and a base64 value,
// separated by commas. Its errors are invalid_input problems.
func ParseMetadata(header string) (Metadata, error) {
	if len(header) > metadataBytesMax {
		return nil, invalidHeader(headerMetadata, "is longer than "+strconv.Itoa(metadataBytesMax)+" bytes")
	}
	meta := Metadata{}
	if strings.TrimSpace(header) == "" {
		return meta, nil
	}
	for pair := range strings.SplitSeq(header, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if !validKey(key) {
			return nil, invalidHeader(headerMetadata, "has a key that is empty, too long or not plain ASCII")
		}
		if _, twice := meta[key]; twice {
			return nil, invalidHeader(headerMetadata, "names "+key+" twice")
		}
		if len(meta) == metadataKeysMax {
			return nil, invalidHeader(headerMetadata, "has more than "+strconv.Itoa(metadataKeysMax)+" keys")
		}
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(value) > metadataValueMax || !plainText(value) {
			return nil, invalidHeader(headerMetadata, key+" is not base64 of at most "+
				strconv.Itoa(metadataValueMax)+" bytes of UTF-8 without control characters")
		}
		meta[key] = string(value)
	}
	if sum, given := meta[MetaSHA256]; given {
		if _, err := ParseHash(sum); err != nil {
			return nil, invalidHeader(headerMetadata, "sha256 must be 64 lower-case hexadecimal digits")
		}
	}
	return meta, nil
}

// Encode writes the header that ParseMetadata reads.
func (m Metadata) Encode() string {
	pairs := make([]string, 0, len(m))
	for _, key := range sortedKeys(m) {
		pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(m[key])))
	}
	return strings.Join(pairs, ",")
}

// expected is the announced hash of the bytes sent, unset if none was announced.
func (m Metadata) expected() Hash {
	h, _ := ParseHash(m[MetaSHA256]) // checked when the header was read
	return h
}

func validKey(key string) bool {
	if key == "" || len(key) > metadataKeyMax {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] >= 0x7F {
			return false
		}
	}
	return true
}

func plainText(b []byte) bool {
	return utf8.Valid(b) && strings.IndexFunc(string(b), unicode.IsControl) < 0
}

// checksum is what one part of an upload must hash to.
type checksum struct {
	new func() hash.Hash
	sum string
}

// parseChecksum reads an Upload-Checksum header; nil where there is none.
func parseChecksum(header string) (*checksum, error) {
	if header == "" {
		return nil, nil
	}
	if len(header) > checksumBytesMax {
		return nil, invalidHeader(headerChecksum, "is too long")
	}
	algorithm, encoded, _ := strings.Cut(header, " ")
	c := &checksum{}
	switch algorithm {
	case "sha256":
		c.new = sha256.New
	case "sha1":
		c.new = sha1.New
	default:
		return nil, invalidHeader(headerChecksum, "must use one of "+tusChecksums)
	}
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(sum) != c.new().Size() {
		return nil, invalidHeader(headerChecksum, "is not base64 of a "+algorithm+" sum")
	}
	c.sum = string(sum)
	return c, nil
}

// parseCount reads a header that is a number of bytes.
func parseCount(h http.Header, name string) (int64, error) {
	n, err := strconv.ParseUint(h.Get(name), 10, 63)
	if err != nil {
		return 0, invalidHeader(name, "must be a whole number of bytes")
	}
	return int64(n), nil
}

func invalidHeader(name, what string) error {
	return problem.Invalid(problem.FieldError{Field: name, Message: what})
}
