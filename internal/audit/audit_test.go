package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"estate/internal/audit"
	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

var (
	home = record.DerivedID("building", "home")
	at   = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
)

// node writes in a building; restart begins a new replica of it.
type node struct {
	*replica.Node
	t     *testing.T
	boot  int
	clock int64
}

func newNode(t *testing.T, name string, tier record.Tier) *node {
	n := &node{t: t, clock: at.UnixMilli()}
	seed := sha256.Sum256([]byte(name))
	n.Node = &replica.Node{Key: ed25519.NewKeyFromSeed(seed[:]), Tier: tier, Rules: schema.Default(), Store: memstore.New(), Schema: 1,
		Boot: func() record.ID { return record.DerivedID("boot", name, fmt.Sprint(n.boot)) }, Now: func() int64 { n.clock++; return n.clock },
		Random:  rand.NewChaCha8(seed),
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
	return n
}

func (n *node) restart() { n.boot++ }

func (n *node) write(title string) {
	n.t.Helper()
	k := record.Key{Building: home, Kind: "ticket", ID: record.DerivedID("ticket")}
	_, err := n.Write(context.Background(), home, []record.Key{k}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: record.Actor{Class: record.Person, Person: home}, Action: "edit",
			Writes: []replica.RecordWrite{{Key: k, Fields: []replica.FieldWrite{{Field: "title", Value: record.Text(title)}}}}}, nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) export() []string {
	n.t.Helper()
	var b bytes.Buffer
	if err := audit.Export(context.Background(), n.Store, n.Key, home, at, &b); err != nil {
		n.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// send gives b everything that a holds.
func send(t *testing.T, a, b *node) {
	t.Helper()
	p, err := a.ReadPage(context.Background(), home, 0, 0, nil, func(uint64) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	peer := replica.Peer{Node: a.ID(), Tier: a.Tier, PublicKey: a.Key.Public().(ed25519.PublicKey)}
	if _, err := b.ApplyPage(context.Background(), home, peer, p); err != nil {
		t.Fatal(err)
	}
}

func verify(lines []string, claims []audit.Claim) (audit.Report, error) {
	return audit.Verify(strings.NewReader(strings.Join(lines, "\n")+"\n"), claims)
}

// story is an edge of two runs and a cloud that holds all of it. The edge's export has two
// chains of its own and one of the cloud's.
func story(t *testing.T) (edge, cloud *node) {
	edge, cloud = newNode(t, "edge", record.TierEdge), newNode(t, "cloud", record.TierCloud)
	cloud.write("from the cloud")
	send(t, cloud, edge)
	for _, title := range []string{"one", "two", "three"} {
		edge.write(title)
	}
	edge.restart()
	for _, title := range []string{"four", "five"} {
		edge.write(title)
	}
	send(t, edge, cloud)
	return edge, cloud
}

func TestVerifyHolds(t *testing.T) {
	t.Parallel()
	edge, cloud := story(t)
	claims, err := audit.ReadClaims(strings.NewReader(strings.Join(cloud.export(), "\n")))
	if err != nil {
		t.Fatal(err)
	}
	report, err := verify(edge.export(), claims)
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Report{Building: home, Node: edge.ID(), ExportedAt: at, Chains: 3, Events: 9, Heads: 3, Receipts: 3, Claims: 3}
	if !reflect.DeepEqual(report, want) {
		t.Fatalf("report %+v, want %+v", report, want)
	}
}

// fields of a line, as a forger edits them.
type fields map[string]any

func edit(t *testing.T, line string, change func(fields)) string {
	t.Helper()
	f := fields{}
	if err := json.Unmarshal([]byte(line), &f); err != nil {
		t.Fatal(err)
	}
	change(f)
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func eventLines(lines []string) (out []int) {
	for i, l := range lines {
		if strings.Contains(l, `"type":"event"`) {
			out = append(out, i)
		}
	}
	return out
}

func without(lines []string, drop ...int) []string {
	var out []string
	for i, l := range lines {
		skip := false
		for _, d := range drop {
			skip = skip || d == i
		}
		if !skip {
			out = append(out, l)
		}
	}
	return out
}

// recount makes the end fit, as a careful forger would.
func recount(t *testing.T, lines []string) []string {
	last := len(lines) - 1
	lines[last] = edit(t, lines[last], func(f fields) { f["events"] = len(eventLines(lines)) })
	return lines
}

func flip(t *testing.T, line, field string) string {
	return edit(t, line, func(f fields) {
		s := []byte(f[field].(string))
		i := len(s) / 2
		if s[i] == 'A' {
			s[i] = 'B'
		} else {
			s[i] = 'A'
		}
		f[field] = string(s)
	})
}

func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	edge, _ := story(t)
	whole := edge.export()
	// Chains come newest first: the edge's second run (card, four, five), then its first
	// (card, one, two, three), and the cloud's (card, one) with equal depth somewhere.
	at := eventLines(whole)
	replicaOf := func(i int) string {
		var l struct {
			Replica string `json:"replica"`
		}
		if err := json.Unmarshal([]byte(whole[i]), &l); err != nil {
			t.Fatal(err)
		}
		return l.Replica
	}
	second := at[1] // event 2 of the newest chain
	for name, c := range map[string]struct {
		forge func([]string) []string
		n     uint64
		what  string
	}{
		"a byte of an event":        {func(l []string) []string { l[second] = flip(t, l[second], "body"); return l }, 2, ""},
		"a byte of the values":      {func(l []string) []string { l[second] = flip(t, l[second], "details"); return l }, 2, "values"},
		"an event made anew":        {func(l []string) []string { l[second] = forgeEvent(t, l[second]); return l }, 3, "does not link"},
		"the last event made anew":  {func(l []string) []string { l[at[2]] = forgeEvent(t, l[at[2]]); return l }, 3, "rewritten"},
		"a value made anew":         {func(l []string) []string { l[second] = forgeValue(t, l[second]); return l }, 2, "not those that it hashed"},
		"a middle link is missing":  {func(l []string) []string { return recount(t, without(l, second)) }, 2, "is missing"},
		"the first link is missing": {func(l []string) []string { return recount(t, without(l, at[0])) }, 1, "is missing"},
		"the tail is missing":       {func(l []string) []string { return recount(t, without(l, at[2])) }, 3, "tail"},
		"two links are swapped":     {func(l []string) []string { l[second], l[at[2]] = l[at[2]], l[second]; return l }, 2, "is missing"},
		"a link stands twice":       {func(l []string) []string { l[at[2]] = l[second]; return l }, 2, "twice"},
		"the file is cut":           {func(l []string) []string { return l[:len(l)-1] }, 0, "cut"},
		"an event is added":         {func(l []string) []string { return append(l[:len(l)-1], l[at[0]], l[len(l)-1]) }, 1, ""},
		"a head's signature":        {func(l []string) []string { return onType(t, l, "head", "signature") }, 0, ""},
		"a receipt's signature":     {func(l []string) []string { return onType(t, l, "receipt", "signature") }, 0, "signature"},
		"the exporting node's key":  {func(l []string) []string { l[0] = flip(t, l[0], "public_key"); return l }, 0, "key"},
		"a whole chain is missing": {func(l []string) []string {
			var drop []int
			for _, i := range at {
				if replicaOf(i) == replicaOf(at[len(at)-1]) {
					drop = append(drop, i)
				}
			}
			return recount(t, without(l, drop...))
		}, 1, "whole chain"},
		"not an export":  {func(l []string) []string { return append([]string{"hello"}, l...) }, 0, "not a line"},
		"no header":      {func(l []string) []string { return l[1:] }, 0, "header"},
		"something more": {func(l []string) []string { return append(l, l[0]) }, 0, "follows"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := verify(c.forge(append([]string{}, whole...)), nil)
			var broken *audit.Broken
			if !errors.As(err, &broken) {
				t.Fatalf("found nothing: %v", err)
			}
			if c.n > 0 && broken.N != c.n || !strings.Contains(broken.What, c.what) {
				t.Fatalf("found %v, want event %d: %s", broken, c.n, c.what)
			}
		})
	}
}

// forgeEvent writes another event in place of one, with a hash that fits.
func forgeEvent(t *testing.T, line string) string {
	return edit(t, line, func(f fields) {
		e, err := record.DecodeEvent(decode(t, f["body"]))
		if err != nil {
			t.Fatal(err)
		}
		e.Action = "forged"
		body, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		hash := record.HashEvent(body)
		f["body"], f["hash"] = body, hex.EncodeToString(hash[:])
	})
}

// forgeValue writes another value beside an event.
func forgeValue(t *testing.T, line string) string {
	return edit(t, line, func(f fields) {
		d, err := record.DecodeDetails(decode(t, f["details"]))
		if err != nil {
			t.Fatal(err)
		}
		d[0].New = []record.Value{record.Text("forged")}
		if f["details"], err = d.Encode(); err != nil {
			t.Fatal(err)
		}
	})
}

func decode(t *testing.T, text any) []byte {
	b, err := base64.StdEncoding.DecodeString(text.(string))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func onType(t *testing.T, lines []string, kind, field string) []string {
	for i, l := range lines {
		if strings.Contains(l, `"type":"`+kind+`"`) {
			lines[i] = flip(t, l, field)
			return lines
		}
	}
	t.Fatalf("no %s in the export", kind)
	return nil
}

// A node that cuts its own chain signs the shorter one again: only what others hold shows
// it.
func TestOtherNodesConvict(t *testing.T) {
	t.Parallel()
	store := func(write ...string) *node {
		n := newNode(t, "edge", record.TierEdge)
		for _, title := range write {
			n.write(title)
		}
		return n
	}
	honest, cut := store("one", "two", "three"), store("one", "two")
	claims := func(n *node) []audit.Claim {
		cloud := newNode(t, "cloud", record.TierCloud)
		send(t, n, cloud)
		out, err := audit.ReadClaims(strings.NewReader(strings.Join(cloud.export(), "\n")))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := verify(cut.export(), nil); err != nil {
		t.Fatalf("by itself the shorter chain holds: %v", err)
	}
	var broken *audit.Broken
	if _, err := verify(cut.export(), claims(honest)); !errors.As(err, &broken) || broken.N != 4 || !strings.Contains(broken.What, "tail") {
		t.Fatalf("the removed tail was not found: %v", err)
	}
	if _, err := verify(store("one", "two", "changed").export(), claims(honest)); !errors.As(err, &broken) || broken.N != 4 || !strings.Contains(broken.What, "rewritten") {
		t.Fatalf("the rewritten event was not found: %v", err)
	}
	foreign := newNode(t, "forger", record.TierEdge)
	foreign.write("one")
	if _, err := verify(foreign.export(), claims(honest)); !errors.As(err, &broken) || !strings.Contains(broken.What, "whole chain") {
		t.Fatalf("another key's chain was taken: %v", err)
	}
	elsewhere := claims(honest)
	elsewhere[0].Building = record.DerivedID("building", "other")
	if _, err := verify(honest.export(), elsewhere); !errors.As(err, &broken) {
		t.Fatalf("heads of another building were taken: %v", err)
	}
}

func TestVerifyOfADamagedReader(t *testing.T) {
	t.Parallel()
	edge, _ := story(t)
	text := strings.Join(edge.export(), "\n") + "\n"
	for cut := 0; cut < len(text); cut += 97 {
		if _, err := audit.Verify(strings.NewReader(text[:cut]), nil); err == nil {
			t.Fatalf("a file cut at byte %d of %d passed", cut, len(text))
		}
	}
	if _, err := audit.Verify(strings.NewReader(strings.Repeat("x", 4<<20)), nil); err == nil {
		t.Fatal("an endless line passed")
	}
}
