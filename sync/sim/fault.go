package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Faults is a set of kinds of trouble that a run may meet.
type Faults uint32

// The kinds of trouble.
const (
	Network      Faults = 1 << iota // cut lines, late, repeated, reordered and lost pages, answers and pushes
	Partition                       // a node that nobody reaches for a while
	HalfOpen                        // one side of a line believes that it lives, and works on what had arrived
	Crash                           // restarts of every node
	Torn                            // a process that dies in a commit: it is written whole or not at all, nobody hears which
	Full                            // a disk that takes nothing for a while
	Unsure                          // a commit that fails, or one whose answer is lost
	BadRecord                       // a record that a store cannot take
	RestoreEdge                     // an edge goes on from an old snapshot of its disk
	RestoreCloud                    // so does the cloud's database
	RestorePhone                    // so does a phone
	CloneEdge                       // a copy of an edge's disk runs beside it
	ClonePhone                      // a copy of a phone's disk runs beside it
	Refuse                          // authorities that refuse what others admit
	Clock                           // wrong, jumping and frozen clocks
	RevokeNode                      // an edge is revoked and replaced by a new box
	RevokePerson                    // a person loses access; the cloud knows first
	Roles                           // what a person may see grows and shrinks
	Schema                          // nodes and phones of the release before run beside new ones and are upgraded
	Forge                           // a taken-over edge or phone claims numbers that nobody has written yet
	CloudPair                       // two cloud processes share one database
	ForkEdge                        // a running edge is copied, memory and all: both go on under one replica
	ForkPhone                       // so is a running app
	ForkCloud                       // the cloud's database server is set back to an image of its memory: the same run, an older state
)

// AllFaults is everything at once but ForkPhone and ForkCloud, which are asked for by name: they came
// later, and a place among the others would make every seed that is on record another run.
func AllFaults() Faults { return ForkEdge<<1 - 1 }

// Has reports whether all of these kinds are in the set.
func (f Faults) Has(kinds Faults) bool { return f&kinds == kinds }

func faultNames() []string {
	return []string{"network", "partition", "half-open", "crash", "torn", "full", "unsure", "bad-record", "restore-edge", "restore-cloud",
		"restore-phone", "clone-edge", "clone-phone", "refuse", "clock", "revoke-node", "revoke-person", "roles", "schema", "forge", "cloud-pair",
		"fork-edge", "fork-phone", "fork-cloud"}
}

// Split lists the kinds of the set one by one.
func (f Faults) Split() []Faults {
	var out []Faults
	for i := range faultNames() {
		if one := Faults(1) << i; f.Has(one) {
			out = append(out, one)
		}
	}
	return out
}

// String names the kinds, in the form that ParseFaults reads.
func (f Faults) String() string {
	if f == 0 {
		return "none"
	}
	if f == AllFaults() {
		return "all"
	}
	var out []string
	for i, name := range faultNames() {
		if f.Has(1 << i) {
			out = append(out, name)
		}
	}
	return strings.Join(out, ",")
}

// ErrFault says that a list names a kind of trouble that there is not.
var ErrFault = errors.New("sim: no such fault")

// ParseFaults reads a list such as "network,crash", "all" or "none".
func ParseFaults(list string) (Faults, error) {
	switch list {
	case "none":
		return 0, nil
	case "all":
		return AllFaults(), nil
	}
	var out Faults
	for _, name := range strings.Split(list, ",") {
		i := slices.Index(faultNames(), strings.TrimSpace(name))
		if i < 0 {
			return 0, fmt.Errorf("%w: %q; there are %s", ErrFault, name, strings.Join(faultNames(), ", "))
		}
		out |= 1 << i
	}
	return out, nil
}
