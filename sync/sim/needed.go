package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Rule names a rule of the protocol that a run can do without, to show that it is needed.
// The production code is not touched: its ports, its peers or the network then behave as
// they would if nobody kept the rule.
type Rule string

// The rules that can be switched off.
const (
	// PositionLock (SPEC R11): positions in commit order. Off: what was committed last is
	// not to be read yet, though positions beyond it are.
	PositionLock Rule = "position-lock"
	// FreshIdentity (R1): a fresh replica after each start. Off: a restored or copied node
	// goes on under the one it finds on its disk.
	FreshIdentity Rule = "fresh-identity"
	// NamedNumbers (R19): lineage up to the number that the card names. Off: a successor
	// covers all of its predecessor.
	NamedNumbers Rule = "named-numbers"
	// ExactRaising (R8): a phone's entry rises only over what the record includes. Off: over
	// what is held of its chain.
	ExactRaising Rule = "exact-raising"
	// SettledReceipts (R13): a phone keeps a transaction until the cloud has settled it and
	// what it pulled covers it. Off: until the server that it talks to has it.
	SettledReceipts Rule = "settled-receipts"
	// ContiguousCursor (R21): a page that does not follow moves nothing. Off: any page moves
	// the cursor to its end.
	ContiguousCursor Rule = "contiguous-cursor"
	// AdmissionFirst (R7): admission before merge. Off: everything merges, and what is
	// refused is taken out again.
	AdmissionFirst Rule = "admission-first"
	// SignedNumbers (R9): a context reaches only numbers that their node signed. Off:
	// everybody is believed.
	SignedNumbers Rule = "signed-numbers"
	// ViewHash (R12): a cursor is bound to what its reader may see. Off: it outlives a change.
	ViewHash Rule = "view-hash"
	// EchoSession (R22): echoes are left out in the session that brought them only. Off: for
	// as long as the process runs.
	EchoSession Rule = "echo-session"
	// PageReader (R22): a page is for one run of its reader. Off: for any.
	PageReader Rule = "page-reader"
	// CursorCheck (R12): a cursor counts only for a reader that has the events below it. Off:
	// for any. It is a second line of defence: PageReader and ContiguousCursor are needed
	// where it is off, for it makes up for them at the next greeting.
	CursorCheck Rule = "cursor-check"
	// QuarantineJoin (R14): what is held back joins what is held back already. Off: it takes
	// its place.
	QuarantineJoin Rule = "quarantine-join"
	// Unproven (R34): what numbers take away whose events are not here is kept until they are
	// proven. Off: it is gone.
	Unproven Rule = "unproven"
	// Seals (R30): phones return what a server lost. Off: it stays on their screens.
	Seals Rule = "seals"
)

// NeededRules lists all rules that can be switched off.
func NeededRules() []Rule {
	return []Rule{PositionLock, FreshIdentity, NamedNumbers, ExactRaising, SettledReceipts, ContiguousCursor, AdmissionFirst, SignedNumbers,
		ViewHash, EchoSession, PageReader, CursorCheck, QuarantineJoin, Unproven, Seals}
}

// ErrRule says that there is no such rule to do without.
var ErrRule = errors.New("sim: no such rule")

// RuleSet is what a run does without.
type RuleSet []Rule

// Has reports whether a rule is among them.
func (r RuleSet) Has(rule Rule) bool { return slices.Contains(r, rule) }

// String names the rules, in the form that ParseRules reads.
func (r RuleSet) String() string {
	names := make([]string, 0, len(r))
	for _, rule := range r {
		names = append(names, string(rule))
	}
	return strings.Join(names, ",")
}

// ParseRules reads a list such as "page-reader,cursor-check"; empty is none.
func ParseRules(list string) (RuleSet, error) {
	if list == "" {
		return nil, nil
	}
	var out RuleSet
	for _, name := range strings.Split(list, ",") {
		rule, err := parseRule(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		out = append(out, rule)
	}
	return out, nil
}

func parseRule(name string) (Rule, error) {
	var names []string
	for _, r := range NeededRules() {
		if string(r) == name {
			return r, nil
		}
		names = append(names, string(r))
	}
	return "", fmt.Errorf("%w: %q; there are %s", ErrRule, name, strings.Join(names, ", "))
}
