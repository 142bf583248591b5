package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Parameters of new hashes: OWASP's argon2id recommendation with the least memory, so that
// an edge of 512 MB can check a few passwords at once.
const (
	argonMemoryKiB = 19 * 1024
	argonTime      = 2
	argonThreads   = 1
	argonSaltBytes = 16
	argonKeyBytes  = 32
)

// Bounds on parameters read back from a stored hash. Hashes reach edges by replication, so a
// hostile one must not be able to exhaust memory or time.
const (
	argonMemoryKiBMax = 64 * 1024
	argonMemoryKiBMin = 1024
	argonTimeMax      = 6
	argonThreadsMax   = 4
	argonSaltBytesMin = 8
	argonSaltBytesMax = 64
	argonKeyBytesMin  = 16
	argonKeyBytesMax  = 64
	// phcBytesMax holds the longest salt and key that the bounds allow, in base64.
	phcBytesMax = 256
)

// argonVersion is version 1.3, the only one x/crypto implements.
const argonVersion = "v=19"

// errPHC says that a stored text is not an argon2id hash within the bounds.
var errPHC = errors.New("auth: not an argon2id hash within the bounds")

// phc is a password hash in the PHC string format.
type phc struct {
	memoryKiB uint32
	time      uint32
	threads   uint8
	salt, key []byte
}

// String is the PHC form: $argon2id$v=19$m=…,t=…,p=…$salt$key.
func (h phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$%s$m=%d,t=%d,p=%d$%s$%s", argonVersion, h.memoryKiB, h.time,
		h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// parsePHC reads the PHC form. It returns errPHC, and never the text, for anything else.
func parsePHC(text string) (phc, error) {
	if len(text) > phcBytesMax {
		return phc{}, fmt.Errorf("%w: %d bytes", errPHC, len(text))
	}
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != argonVersion {
		return phc{}, fmt.Errorf("%w: form", errPHC)
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return phc{}, fmt.Errorf("%w: parameters", errPHC)
	}
	memory, okM := phcCost(costs[0], "m=", argonMemoryKiBMin, argonMemoryKiBMax)
	time, okT := phcCost(costs[1], "t=", 1, argonTimeMax)
	threads, okP := phcCost(costs[2], "p=", 1, argonThreadsMax)
	if !okM || !okT || !okP {
		return phc{}, fmt.Errorf("%w: parameters", errPHC)
	}
	salt, okS := phcBytes(parts[4], argonSaltBytesMin, argonSaltBytesMax)
	key, okK := phcBytes(parts[5], argonKeyBytesMin, argonKeyBytesMax)
	if !okS || !okK {
		return phc{}, fmt.Errorf("%w: salt or key", errPHC)
	}
	return phc{memoryKiB: memory, time: time, threads: uint8(threads), salt: salt, key: key}, nil
}

// phcCost reads one parameter in its only canonical spelling (no sign, no leading zero).
func phcCost(text, name string, low, high uint64) (uint32, bool) {
	digits, found := strings.CutPrefix(text, name)
	if !found || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n < low || n > high {
		return 0, false
	}
	return uint32(n), true
}

func phcBytes(text string, low, high int) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") { // the decoder would skip them
		return nil, false
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(text)
	return b, err == nil && len(b) >= low && len(b) <= high
}
