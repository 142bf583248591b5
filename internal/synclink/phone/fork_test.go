package phone_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"estate/internal/synclink"
	"estate/internal/synclink/phone"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// firstWriteBytes is what the first write of a run draws, with its four fields: their salts,
// and the id of a replica.
const firstWriteBytes = 4*record.SaltBytes + 10

// copied installs an app twice: one disk and one running process, copied. Both go on under
// one replica and write different things as its numbers.
func (w *town) copied(name, token string, person record.ID, before func(*device)) (ours, theirs *device) {
	w.t.Helper()
	var disk []byte
	began := time.Now()
	running := func() *device {
		d := &device{w: w, token: token, disk: disk, c: phone.Config{Key: named(name), Building: building, Person: person, Cloud: public(w.cloud.node.Key),
			Rules: schema.Default(), Random: io.MultiReader(io.LimitReader(mathrand.NewChaCha8(sha256.Sum256([]byte(name))), firstWriteBytes), rand.Reader)}}
		d.c.Admit = schema.Default().Admit(w.roles[person])
		d.start()
		app, now := d.app, d.app.Now
		app.Now = func() time.Time { return began }
		_, err := app.Write("ticket.edit", phone.Change{Kind: "ticket", ID: record.DerivedID("ticket", "common"), Fields: []replica.FieldWrite{text("title", "common"),
			{Field: "unit", Value: record.IDValue(unitA)}, {Field: "reporter", Value: record.IDValue(person)}}})
		if err != nil {
			w.t.Fatal(err)
		}
		app.Now = now
		return d
	}
	if before != nil {
		d := w.install(name, token, person)
		before(d)
		disk = d.disk
	}
	return running(), running()
}

// forked is where a phone was told that a replica of its own has two branches.
func (d *device) forked() (out []record.Dot) {
	d.app.Look(func(o *phone.Outbox) { out = o.Forked() })
	return out
}

// titles lists what stands in a ticket's title, each value once.
func titles(r record.Record) []string {
	var out []string
	for _, s := range r.Siblings("title") {
		v, _ := s.Value.AsText()
		out = append(out, v)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (d *device) record(id record.ID) (r record.Record) {
	d.app.Look(func(o *phone.Outbox) { r = o.Shown("ticket", id) })
	return r
}

// SPEC R33: a running app was copied, storage and all, and both copies write. Whichever is
// second at a server starts a new replica and writes what it had not settled again; nothing
// is lost, and its person is told.
func TestForkedPhone(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]func(w *town) *server{
		"OneServer":  func(w *town) *server { return w.cloud },
		"TwoServers": func(w *town) *server { return w.edge },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			ours, theirs := w.copied("phone", "tess", tess, nil)
			mine := ours.report(leak, "ours")
			ours.write(leak, text("title", "ours later"))
			if dot := theirs.report(leak, "theirs"); dot != mine {
				t.Fatalf("the copies write %v and %v: not one replica", mine, dot)
			}
			only := record.DerivedID("ticket", "only theirs")
			theirs.report(only, "only theirs")
			theirs.write(only, text("title", "only theirs later"))
			said := record.DerivedID("message", "said")
			_, err := theirs.app.Write("message.create", phone.Change{Kind: "message", ID: said, Fields: []replica.FieldWrite{
				{Field: "ticket", Value: record.IDValue(only)}, {Field: "person", Value: record.IDValue(tess)}, text("text", "said once")}})
			if err != nil {
				t.Fatal(err)
			}
			ours.exchange(w.cloud)
			theirs.exchange(second(w))
			for range 3 {
				w.meet()
				theirs.exchange(w.cloud)
				theirs.exchange(w.edge)
				ours.exchange(w.edge)
				ours.exchange(w.cloud)
			}
			for _, s := range []*server{w.cloud, w.edge} {
				if got := titles(s.stored(leak)); !slices.Equal(got, []string{"ours later", "theirs"}) {
					t.Errorf("the %s has the titles %q", s.name, got)
				}
				if got := titles(s.stored(only)); !slices.Equal(got, []string{"only theirs later"}) {
					t.Errorf("the %s has the titles %q", s.name, got)
				}
			}
			for _, d := range []*device{ours, theirs} {
				if kept, unsettled := d.kept(); kept != 0 || unsettled != 0 {
					t.Errorf("keeps %d, %d unsettled", kept, unsettled)
				}
				if len(d.refusals()) != 0 {
					t.Errorf("refused: %v", d.refusals())
				}
				if got := titles(d.record(leak)); !slices.Equal(got, []string{"ours later", "theirs"}) {
					t.Errorf("a phone shows the titles %q", got)
				}
			}
			if told := theirs.forked(); len(told) != 1 || told[0].Replica != mine.Replica {
				t.Errorf("told of forks %v, want one of %s", told, mine.Replica)
			}
			if dot := theirs.report(record.DerivedID("ticket", "after"), "after"); dot.Replica == mine.Replica {
				t.Error("goes on under the forked replica")
			}
			theirs.start()
			if len(theirs.forked()) != 1 {
				t.Error("what its person is told was not on the disk")
			}
		})
	}
}

// SPEC R33, SPEC R19: the copy was started anew before it met a server that has the other
// branch: its card names a number of its own branch there.
func TestForkedPhoneRestarted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ours, theirs := w.copied("phone", "tess", tess, nil)
	ours.report(leak, "ours")
	theirs.report(leak, "theirs")
	theirs.start()
	after := record.DerivedID("ticket", "after")
	theirs.report(after, "after")
	ours.exchange(w.cloud)
	theirs.exchange(w.cloud)
	theirs.exchange(w.cloud)
	if got := titles(w.cloud.stored(leak)); !slices.Equal(got, []string{"ours", "theirs"}) {
		t.Errorf("the cloud has the titles %q", got)
	}
	if kept, _ := theirs.kept(); kept != 0 || w.cloud.title(after) != "after" || len(theirs.refusals()) != 0 {
		t.Errorf("keeps %d, the cloud shows %q, refused %v", kept, w.cloud.title(after), theirs.refusals())
	}
}

// SPEC R33: another person's phone was shown both branches. Once the servers have decided, it
// shows what they hold, byte for byte: no value beyond the fork under its old name.
func TestCopiesBeyondAFork(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ours, theirs := w.copied("phone", "tess", tess, nil)
	reader := w.install("reader", "tess", tess)
	ours.report(leak, "ours")
	theirs.report(leak, "theirs")
	ours.exchange(w.cloud)
	theirs.exchange(w.edge)
	reader.exchange(w.cloud)
	reader.exchange(w.edge)
	reader.start() // from its disk
	for range 2 {
		w.meet()
		for _, d := range []*device{ours, theirs, reader} {
			d.exchange(w.edge)
			d.exchange(w.cloud)
			d.start()
		}
	}
	want, err := w.cloud.stored(leak).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*device{"ours": ours, "theirs": theirs, "reader": reader} {
		if got, err := d.record(leak).Encode(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s shows %+v, the cloud has %+v, %v", name, d.record(leak), w.cloud.stored(leak), err)
		}
	}
}

// SPEC R33, SPEC R26: a server of the release before ends the exchange with chain_fork and
// does not say which transactions it means. The phone leaves what it sent there, and goes on.
func TestForkToldByAnOlderServer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := w.install("phone", "tess", tess)
	old := d.report(leak, "leak")
	codec, err := synclink.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	byes := 0
	older := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for frames := bytes.NewReader(body); frames.Len() > 0; {
			m, _, err := codec.ReadFrame(frames)
			if err != nil {
				t.Error(err)
				return
			}
			if p, ok := m.(wire.Push); ok && p.Head.Replica == old.Replica {
				byes++
				rw.Header().Set("Content-Type", synclink.ContentType)
				var bye bytes.Buffer
				if err := codec.AppendFrame(&bye, wire.Bye{Code: wire.CodeChainFork}); err != nil {
					t.Error(err)
				}
				_, _ = rw.Write(bye.Bytes())
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.cloud.http.Config.Handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(older.Close)
	if _, err := d.app.Exchange(t.Context(), older.URL, d.token); err != nil {
		t.Fatal(err)
	}
	if kept, _ := d.kept(); kept != 0 || w.cloud.title(leak) != "leak" || len(d.forked()) != 1 || byes == 0 {
		t.Errorf("keeps %d, the cloud shows %q, told of %v, after %d refusals", kept, w.cloud.title(leak), d.forked(), byes)
	}
}

// SPEC R33: what a copied app writes again is not lost where its answers or its disk are, and
// what it replaced of its own is replaced again.
func TestForkedPhoneInterrupted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ours, theirs := w.copied("phone", "tess", tess, func(d *device) {
		d.report(leak, "before")
		d.exchange(w.cloud)
	})
	ours.write(leak, text("title", "ours"))
	ours.exchange(w.cloud)
	theirs.write(leak, text("title", "theirs"))
	theirs.write(leak, text("title", "theirs later"))
	theirs.full = true
	if _, err := theirs.app.Exchange(t.Context(), w.cloud.http.URL, theirs.token); !errors.Is(err, errFull) {
		t.Fatalf("a full disk: %v", err)
	}
	theirs.full = false
	for _, cut := range []int64{1, 300, 600, 900, 1200} {
		w.cloud.cutAfter.Store(cut)
		_, _ = theirs.app.Exchange(t.Context(), w.cloud.http.URL, theirs.token)
		theirs.start()
		if got := titles(theirs.record(leak)); !slices.Contains(got, "theirs later") {
			t.Fatalf("after %d bytes its phone shows %q", cut, got)
		}
	}
	w.cloud.cutAfter.Store(-1)
	theirs.exchange(w.cloud)
	if got := titles(w.cloud.stored(leak)); !slices.Equal(got, []string{"ours", "theirs later"}) {
		t.Errorf("the cloud has the titles %q", got)
	}
	if kept, _ := theirs.kept(); kept != 0 {
		t.Errorf("keeps %d", kept)
	}
}

// meet lets edge and cloud exchange everything, a fork included, until nothing moves.
func (w *town) meet() {
	w.t.Helper()
	for range 4 {
		for _, pair := range [][2]*server{{w.edge, w.cloud}, {w.cloud, w.edge}} {
			w.offerForked(pair[0].node, pair[1].node)
		}
	}
}

// offerForked is offer between sides that may have a fork to decide on first.
func (w *town) offerForked(from, to *replica.Node) {
	w.t.Helper()
	ctx := w.t.Context()
	peer := func(n *replica.Node) replica.Peer {
		return replica.Peer{Node: n.ID(), Tier: n.Tier, PublicKey: public(n.Key)}
	}
	hello := func(n, reader *replica.Node) replica.Greeting {
		h, err := n.Hello(ctx, building, peer(reader))
		if err != nil {
			w.t.Fatal(err)
		}
		g, err := reader.Greet(ctx, building, peer(n), h)
		if err != nil {
			w.t.Fatal(err)
		}
		return g
	}
	back, g := hello(from, to), hello(to, from)
	for _, want := range slices.Concat(g.Offers, back.Wants) {
		events, err := from.ReadEvents(ctx, building, want)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := to.ApplyPage(ctx, building, peer(from), events); err != nil {
			w.t.Fatal(err)
		}
	}
	if g.Disputed || back.Disputed {
		return
	}
	for at := g.From; ; {
		p, err := from.ReadPage(ctx, building, at, 0, g.Held, func(uint64) bool { return false })
		if err != nil {
			w.t.Fatal(err)
		}
		a, err := to.ApplyPage(ctx, building, peer(from), p)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := from.ApplyAck(ctx, building, peer(to), a.Ack); err != nil {
			w.t.Fatal(err)
		}
		if at = p.To; p.Last || a.Forked {
			return
		}
	}
}

// SPEC R13, SPEC R33: the cloud says which transactions of a copied app are settled above a
// gap, and means those of the other copy. Only what it answered for counts.
func TestBeyondOfACopy(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := w.install("phone", "tess", tess)
	dot := d.report(leak, "leak")
	word := record.SignBeyond(w.cloud.node.Key, building, record.Beyond{Replica: dot.Replica, Spans: []record.Span{{From: dot.N, To: dot.N}}})
	for _, answered := range []bool{false, true} {
		d.app.Look(func(o *phone.Outbox) {
			pushed := wire.Pushed{Beyond: &word}
			if answered {
				pushed.Results = []wire.PushResult{{Dot: dot, Refused: []wire.RefusedPart{}}}
			}
			o.Met("cloud", wire.Hello{Node: w.cloud.node.ID(), Generation: record.DerivedID("run")})
			if err := o.TakePushed("cloud", 0, pushed); err != nil {
				t.Fatal(err)
			}
			if _, unsettled := o.Kept(); (unsettled == 0) != answered {
				t.Errorf("answered %v: %d unsettled", answered, unsettled)
			}
		})
	}
}
