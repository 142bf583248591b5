package sim

import (
	"fmt"
	"strings"
)

// FaultsOf picks the kinds of trouble of a seed where nobody else does: a few alone at
// times, so that each rule also holds by itself, all of them mostly.
func FaultsOf(seed uint64) Faults {
	switch seed % 10 {
	case 0:
		return Network | HalfOpen | Partition
	case 1:
		return Network | Refuse | Roles | RevokePerson
	case 2:
		return Network | Crash | Torn | Full | Unsure | BadRecord | CloudPair
	case 3:
		return Network | RestoreEdge | RestoreCloud | CloneEdge | ClonePhone
	case 4:
		return Network | Clock | Schema
	}
	return AllFaults()
}

// Covered lists what many runs together must have met: every kind of fault, and what the
// protocol does about them. A suite that never met one proves nothing about it. What is told
// to be forgotten as it is returned happens once in some hundred runs, and is not among them.
func Covered() []string {
	return strings.Split("write,phone write,phone tag,late page,reordered page refused,answer lost,late push,line cut,frames lost,restart,"+
		"restart process,phone restart,commit fails,commit unsure,commit torn,commit after,disk full,bad record,restore edge,restore cloud,"+
		"database restored under living sessions,restore phone,clone edge,clone phone,refusal,partition,not reachable,half open,"+
		"frame of a half-open line,sent into the void,clock jump,cloud clock jump,clock frozen,revoke node,revoked node turned away,"+
		"revoke person,revocation arrives,revoked person refused,revoked person turned away,role grows,role shrinks,release before,upgrade,"+
		"phone upgrade,release before cannot write it,unknown kind written,forged context,"+
		"quarantine,release,clock corrected,phone reissue,rewound,from zero,from cursor,gap,gap wanted,want answered,phone fills a gap,conflict,"+
		"kind not yours,write not taken,push not taken,settled,echo left out,replica minted,"+
		"refused kind_not_yours,refused field_forbidden,refused author_revoked,refused clock_ahead,refused field_unknown,refused kind_unknown,"+
		"quarantined clock_ahead,quarantined store_failed,quarantined context_unsigned,digest equal,digest differs,erasure,return,restored by a phone,fork edge,fork told,alarm chain_fork,kept aside,kept aside until proven", ",")
}

// Replay is the command that plays this run again.
func (c Config) Replay() string {
	steps := c.Steps
	if steps == 0 {
		steps = StepsUsual
	}
	out := fmt.Sprintf("estate torture --seed %d --steps %d --faults %s", c.Seed, steps, c.Faults)
	if c.Often != 0 {
		out += " --often " + c.Often.String()
	}
	if len(c.Without) > 0 {
		out += " --without " + c.Without.String()
	}
	if len(c.Drop) > 0 {
		out += " --drop " + spans(c.Drop)
	}
	return out
}

// spans writes ascending numbers as 1-4,7,9-12.
func spans(numbers []int) string {
	var out []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if i == j {
			out = append(out, fmt.Sprint(numbers[i]))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", numbers[i], numbers[j]))
		}
		i = j + 1
	}
	return strings.Join(out, ",")
}
