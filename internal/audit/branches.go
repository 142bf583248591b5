package audit

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"estate/sync/record"
)

// besideMax bounds how many events beside chains a check keeps in memory, as their hashes.
const besideMax = 1 << 20

// Fork is a chain with two branches: the key or the disk of its writer was copied. From the
// first number with two events on, none is part of the chain; they lie beside it.
type Fork struct {
	Replica record.ID
	Node    record.ID // the chain's, zero where its card is not in the file
	// First is the first number with two events; zero where the exporting node had not decided.
	First    uint64
	Branches []Branch
	// Elsewhere is the highest number of which the file has the writer's word, and no event: of
	// a branch that the exporting node does not hold. Zero for none.
	Elsewhere uint64
}

// Branch is a run of events beside a chain, each naming the hash of the one before.
type Branch struct {
	From, To uint64
	Hash     record.Hash // of the last
	// Linked says that the first follows an event of the chain; else what lies between is missing.
	Linked bool
	// Signed is up to where a head of the writer's in the file proves it, zero for nowhere.
	Signed uint64
}

// Events counts those of a branch.
func (b Branch) Events() uint64 { return b.To - b.From + 1 }

// beside is an event that lies beside its chain.
type beside struct {
	n          uint64
	hash, prev record.Hash
	root       bool // it follows an event of the chain
	followed   bool
	signed     bool
}

// besides are those of one replica, by hash.
type besides map[record.Hash]*beside

// at finds the event of a claim, if it leads back to the chain.
func (b besides) at(n uint64, hash record.Hash) *beside {
	if e := b[hash]; e != nil && e.n == n && b.first(e).root {
		return e
	}
	return nil
}

// first goes back to where a branch leaves its chain, or to what is missing before it.
func (b besides) first(e *beside) *beside {
	for {
		before := b[e.prev]
		if e.root || before == nil || before.n != e.n-1 {
			return e
		}
		e = before
	}
}

// list is each branch, told apart by its last event, by where it begins and its hash.
func (b besides) list() (out []Branch) {
	for _, e := range b {
		if before := b[e.prev]; before != nil && before.n == e.n-1 {
			before.followed = true
		}
	}
	for _, e := range b {
		if e.followed {
			continue
		}
		first := b.first(e)
		branch := Branch{From: first.n, To: e.n, Hash: e.hash, Linked: first.root}
		for at := e; branch.Signed == 0; at = b[at.prev] {
			if at.signed {
				branch.Signed = at.n
			}
			if at == first {
				break
			}
		}
		out = append(out, branch)
	}
	slices.SortFunc(out, func(x, y Branch) int { return cmp.Or(cmp.Compare(x.From, y.From), bytes.Compare(x.Hash[:], y.Hash[:])) })
	return out
}

// fork takes the exporting node's word that a chain has two branches.
func (v *verifier) fork(l line) error {
	if l.N < 2 || v.chains[l.Replica] != nil || v.forks[l.Replica] != nil {
		return v.link(l, "the fork is malformed or follows its chain")
	}
	v.forks[l.Replica] = &Fork{Replica: l.Replica, First: l.N}
	return nil
}

// branch takes an event beside a chain that is still to come.
func (v *verifier) branch(l line) error {
	e, hash, err := v.decode(l)
	if err != nil {
		return err
	}
	if v.chains[l.Replica] != nil {
		return v.link(l, "the event beside the chain follows it")
	}
	if err := v.values(l, e, func() {}); err != nil {
		return err
	}
	of := v.beside[l.Replica]
	if of == nil {
		of = besides{}
		v.beside[l.Replica] = of
	}
	switch {
	case of[hash] != nil:
		return v.link(l, "the event stands twice beside the chain")
	case v.report.Beside == besideMax:
		return v.broken("more than %d events beside chains", besideMax)
	}
	of[hash] = &beside{n: e.N, hash: hash, prev: e.Prev}
	v.roots[e.Prev] = append(v.roots[e.Prev], of[hash])
	v.report.Beside++
	return nil
}

// rooted notes which events beside the chain follow the one just read.
func (v *verifier) rooted(c *chain) {
	for _, e := range v.roots[c.hash] {
		e.root = e.root || e.n == c.n+1
	}
}

// elsewhere holds a claim that the chain does not have: of an event beside it, or of a branch
// that the exporting node does not hold. It reports whether the claim can be.
func (v *verifier) elsewhere(claim sworn) bool {
	if e := v.beside[claim.Replica].at(claim.N, claim.Hash); e != nil {
		e.signed = e.signed || claim.signature != nil
		return true
	}
	f := v.forks[claim.Replica]
	if f == nil || claim.N < f.First || !claim.writers {
		return false
	}
	f.Elsewhere = max(f.Elsewhere, claim.N)
	return true
}

// forked lists, at the end, the chains with branches.
func (v *verifier) forked() {
	for r := range v.beside {
		if v.forks[r] == nil {
			v.forks[r] = &Fork{Replica: r}
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(v.forks), record.ID.Compare) {
		f := v.forks[r]
		if c := v.chains[r]; c != nil {
			f.Node = c.card.Node
		}
		f.Branches = v.beside[r].list()
		v.report.Forks = append(v.report.Forks, *f)
	}
}
