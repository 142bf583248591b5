package projection

// leadsBits is the size of a Leads, 128 KB: of 100,000 leads nine of ten free ones are known to
// be free.
const leadsBits = 1 << 20

// Leads knows of most values that no record has them in the column that a look-up leads with:
// the hash of each that one has, or had, has a bit. Bits are only ever added.
type Leads []uint64

// NewLeads knows that every value is free.
func NewLeads() Leads { return make(Leads, leadsBits/64) }

// Add notes a value.
func (l Leads) Add(hash uint64) { l[hash%leadsBits/64] |= 1 << (hash % 64) }

// Has reports whether a value may be taken; if not, it is free.
func (l Leads) Has(hash uint64) bool { return l[hash%leadsBits/64]&(1<<(hash%64)) != 0 }
