package synclink

const (
	// fastLine, in bytes a second, is where bytes cost less than to make them fewer: zstd
	// saves 0.9 of a ticket's 1.9 KB in about 18 µs, which are 50 MB/s. No mobile or rented
	// line of a building sends that fast, so what is slow or metered is always compressed.
	fastLine = 50_000_000
	// fastReadings is how often in a row a line must look that fast: what is nearer than the
	// line itself, such as a modem with a buffer, takes a burst at any speed.
	fastReadings = 4
)

// speed tells a line that is faster than the compressor from all others. Its zero value
// knows of none.
type speed struct {
	rate func() uint64 // bytes a second; zero where it is unknown
	seen int           // readings in a row that were fast
}

// fast looks at the line before a page that more follow is written. Only such pages may go
// as they are: what comes now and then costs the processor nothing that the bytes are worth.
func (s *speed) fast() bool {
	if s.rate == nil || s.rate() < fastLine {
		s.seen = 0
		return false
	}
	s.seen++
	return s.seen > fastReadings
}
