package phone_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"estate/internal/auth"
	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/internal/synclink/phone"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/wire"
)

// ask posts messages under a token and returns the frames of the answer.
func (s *server) ask(token string, messages ...wire.Message) (out []wire.Message) {
	s.t.Helper()
	codec, err := synclink.NewCodec()
	if err != nil {
		s.t.Fatal(err)
	}
	var body bytes.Buffer
	for _, m := range messages {
		if err := codec.AppendFrame(&body, m); err != nil {
			s.t.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.http.URL, &body)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	for {
		m, _, err := codec.ReadFrame(response.Body)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, m)
	}
}

// SPEC R13, SPEC R25: who says hello as another person's phone is told nothing of its
// transactions; who is registered for it is.
func TestHelloIsAClaim(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := w.install("phone", "tess", tess)
	dot := d.report(leak, "leak")
	d.exchange(w.cloud)
	hello := wire.Hello{Protocol: wire.Protocol, Schema: schema.Version, Building: building, Node: record.NodeID(public(named("phone"))), Tier: record.TierPhone}
	pull := wire.Pull{Replicas: []record.ReplicaID{dot.Replica}}
	receipts := func(token string) int {
		answer := w.cloud.ask(token, hello, pull)
		page, ok := answer[len(answer)-1].(wire.Page)
		if !ok {
			t.Fatalf("answered %+v", answer)
		}
		return len(page.Receipts)
	}
	if own, others := receipts("tess"), receipts("tom"); own != 1 || others != 0 {
		t.Fatalf("%d receipts for the phone's person, %d for another", own, others)
	}
}

// SPEC R30: a revoked phone gives back what it was served, and gets nothing.
func TestRevokedPhoneReturns(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := w.install("phone", "tess", tess)
	d.exchange(w.cloud)
	backup := w.cloud.store.Snapshot()
	d.report(leak, "leak")
	d.exchange(w.cloud)
	w.cloud = w.serveFrom("cloud", record.TierCloud, backup)
	answer := w.cloud.ask("tess", wire.Hello{Protocol: wire.Protocol, Building: building, Node: record.NodeID(public(named("phone"))), Tier: record.TierPhone}, wire.Pull{})
	page, ok := answer[len(answer)-1].(wire.Page)
	if !ok {
		t.Fatalf("answered %+v", answer)
	}
	back := d.given(page)
	w.mu.Lock()
	w.revoked = map[record.ID]bool{record.NodeID(public(named("phone"))): true}
	w.mu.Unlock()
	hello := wire.Hello{Protocol: wire.Protocol, Building: building, Node: record.NodeID(public(named("phone"))), Tier: record.TierPhone}
	answer = w.cloud.ask("tess", hello, back, wire.Pull{})
	if bye, ok := answer[len(answer)-1].(wire.Bye); !ok || bye.Code != string(problem.NodeRevoked) {
		t.Fatalf("a revoked phone is answered %+v", answer)
	}
	if w.cloud.title(leak) != "leak" {
		t.Fatalf("the cloud shows %q", w.cloud.title(leak))
	}
}

// given is what the phone returns after a page that ends a pass from zero.
func (d *device) given(page wire.Page) (back wire.Returned) {
	d.w.t.Helper()
	d.app.Look(func(o *phone.Outbox) {
		if _, err := o.TakePage(d.w.cloud.http.URL, 0, page); err != nil {
			d.w.t.Fatal(err)
		}
		var some bool
		if back, some = o.Returned(record.NodeID(public(named("cloud")))); !some {
			d.w.t.Fatal("nothing to return")
		}
	})
	return back
}

// SPEC R28: one person's phones cannot keep a server busy, and take nothing from others.
func TestExchangesOfOnePerson(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.limit = auth.NewLimiter(time.Hour, 2, 10, time.Now)
	w.edge = w.serve("edge", record.TierEdge)
	d, other := w.install("phone", "tess", tess), w.install("other", "tom", tom)
	d.exchange(w.edge)
	d.exchange(w.edge)
	_, err := d.app.Exchange(t.Context(), w.edge.http.URL, d.token)
	if code := refusalCode(t, err); code != string(problem.RateLimited) {
		t.Fatalf("the third exchange: %v", err)
	}
	other.exchange(w.edge)
	d.exchange(w.cloud)
}
