package replica

import (
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// news reports whether a head is none of those that are kept.
func (p *Proofs) news(h record.Head) bool {
	same := func(o record.Head) bool { return o.N == h.N && o.Hash == h.Hash }
	return !same(p.Heads[h.Replica]) && !slices.ContainsFunc(p.Trail[h.Replica], same)
}

// keep adds a head to the trail, which it thins out. follows says that the server which showed
// the one before shows this one.
func (p *Proofs) keep(h record.Head, follows bool) {
	if h.N > p.Heads[h.Replica].N {
		p.Heads[h.Replica] = h
	}
	list := slices.Clone(p.Trail[h.Replica])
	if n := len(list); n > 0 && (!follows || h.N <= list[n-1].N) {
		list = append(list, record.Head{Replica: h.Replica})
	}
	list = append(list, h)
	for len(list) > trailMax {
		least, at := 0.0, 0
		for i := 1; i < len(list)-1; i++ {
			if list[i-1].N == 0 || list[i].N == 0 || list[i+1].N == 0 {
				continue
			}
			close := float64(list[i+1].N-list[i-1].N) / float64(h.N-min(list[i].N, h.N)+1)
			if at == 0 || close < least {
				least, at = close, i
			}
		}
		list = slices.Delete(list, at, at+1)
		if list[0].N == 0 {
			list = list[1:]
		}
	}
	p.Trail[h.Replica] = list
}

// Ask lists the heads that a pull tells a server: what others have shown of chains since that
// server was last told, or what it could not compare, and from zero all.
func (p *Proofs) Ask(server record.ID, zero bool) []record.Head {
	if p.asks == nil {
		p.asks = map[record.ID]uint64{}
	}
	p.last = max(p.last, 1)
	p.asks[server] = p.last
	var ids []record.ReplicaID
	for r := range p.Trail {
		s := p.Shown[r]
		if zero || max(s.At, 1) > p.Asked[server] && s.By != server || p.Held[server][r] < p.Heads[r].N {
			ids = append(ids, r)
		}
	}
	slices.SortFunc(ids, func(a, b record.ReplicaID) int { return b.Compare(a) }) // the newest first
	var out []record.Head
	for _, r := range ids {
		if len(out)+len(p.Trail[r]) > wire.PullHeadsMax {
			break
		}
		out = append(out, p.Trail[r]...)
	}
	return out
}
