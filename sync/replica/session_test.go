package replica_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

var rewriteFlag = flag.Bool("rewrite", false, "rewrite the golden conversations")

// TestSession replays the conversations in testdata/session. A line that starts with ">"
// is an event; the indented lines after it are the effects that the session asked for, and
// its state. Run with -rewrite to record them anew.
func TestSession(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/session/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := converse(t, string(want))
			if *rewriteFlag {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("the conversation went otherwise:\n%s", firstDifference(string(want), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n recorded: %s\n      now: %s", i+1, a, b)
		}
	}
	return ""
}

// converse replays the events of a script and writes it again with what happened.
func converse(t *testing.T, script string) string {
	t.Helper()
	c := &conversation{t: t, session: replica.NewSession(replica.SessionConfig{Building: named("building"), Peer: replica.Peer{Node: named("peer"), Tier: record.TierCloud}})}
	var out strings.Builder
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "> "):
			fmt.Fprintln(&out, line)
			for _, e := range c.say(line[2:]) {
				fmt.Fprintln(&out, "  "+show(e))
			}
			s := c.session.Status()
			fmt.Fprintf(&out, "  = streaming %t, synced %t, in flight %d, receipt at %d\n", s.Streaming, s.Synced, s.InFlight, s.ReceiptAt)
		case strings.HasPrefix(line, "  "):
		default:
			fmt.Fprintln(&out, line)
		}
	}
	return out.String()
}

type conversation struct {
	t       *testing.T
	session *replica.Session
	now     int64
}

func named(name string) record.ID { return record.DerivedID("session test", name) }

// words are the arguments of one line: name=value, or a bare name.
type words map[string]string

func (w words) number(name string) uint64 {
	n, err := strconv.ParseUint(w[name], 10, 64)
	if err != nil && w[name] != "" {
		panic(fmt.Sprintf("%s=%s is no number", name, w[name]))
	}
	return n
}

func (w words) has(name string) bool { _, ok := w[name]; return ok }

// protocol is the version that a hello names, this release's where the script says none.
func (w words) protocol() uint64 {
	if w.has("protocol") {
		return w.number("protocol")
	}
	return wire.Protocol
}

func (w words) numbers(name string) []uint64 {
	var out []uint64
	for part := range strings.SplitSeq(w[name], ",") {
		if part != "" {
			out = append(out, words{"n": part}.number("n"))
		}
	}
	return out
}

// chains reads "name:n,name:n".
func (w words) chains(name string) map[record.ReplicaID]uint64 {
	out := map[record.ReplicaID]uint64{}
	for part := range strings.SplitSeq(w[name], ",") {
		if chain, n, ok := strings.Cut(part, ":"); ok {
			out[named(chain)] = words{"n": n}.number("n")
		}
	}
	return out
}

// wants reads "name:from,…".
func (w words) wants(name string) []wire.Want {
	var out []wire.Want
	for part := range strings.SplitSeq(w[name], ",") {
		if chain, n, ok := strings.Cut(part, ":"); ok {
			out = append(out, wire.Want{Replica: named(chain), From: words{"n": n}.number("n")})
		}
	}
	return out
}

func (c *conversation) say(line string) []replica.SessionEffect {
	verb, rest, _ := strings.Cut(line, " ")
	w := words{}
	for part := range strings.FieldsSeq(rest) {
		name, value, _ := strings.Cut(part, "=")
		w[name] = value
	}
	if w.has("at") {
		c.now = int64(w.number("at"))
	}
	return c.session.Step(c.now, c.event(verb, w))
}

func (c *conversation) event(verb string, w words) replica.SessionEvent {
	switch verb {
	case "opened":
		return replica.Opened{Hello: wire.Hello{Protocol: w.protocol(), Node: named("self"), Tier: record.TierEdge, Cursor: wire.Cursor{Position: w.number("cursor")}}}
	case "greeted":
		return replica.Greeted{From: w.number("from"), Held: w.chains("held"), Wants: w.wants("wants"), Receipts: make([]record.Receipt, w.number("receipts")),
			Disputed: w.has("disputed"), Offers: w.wants("offers")}
	case "read":
		return replica.PageRead{Page: page(w)}
	case "applied":
		return replica.PageApplied{Ack: wire.Ack{Page: w.number("page")}, Echoes: w.numbers("echoes"), Since: w.number("since"), Until: w.number("until"), Wants: w.wants("wants"), Held: w.chains("held"), Forked: w.has("forked")}
	case "decided":
		return replica.PageDecided{Page: w.number("page")}
	case "digests":
		return replica.DigestRead{Stretch: stretch(w)}
	case "checked":
		return replica.DigestChecked{Answer: wire.Digested{ID: w.number("digest")}, Echoes: w.numbers("echoes")}
	case "saved":
		return replica.AckSaved{}
	case "followed":
		return replica.Followed{}
	case "moved":
		return replica.FeedMoved{}
	case "tick":
		return replica.Ticked{}
	case "stop":
		return replica.Stopped{Code: w["code"], Detail: "as told"}
	case "unknown":
		return replica.Garbled{Unknown: true, Detail: "type 99"}
	case "garbage":
		return replica.Garbled{Code: wire.CodeFrameMalformed, Detail: "checksum"}
	case "busy", "failed":
		effect := map[string]replica.SessionEffect{"greet": replica.DoGreet{}, "read": replica.DoReadPage{}, "events": replica.DoReadEvents{}, "apply": replica.DoApplyPage{Page: wire.Page{ID: w.number("page")}}, "save": replica.DoSaveAck{}, "follow": replica.DoFollow{},
			"digests": replica.DoReadDigest{}, "check": replica.DoCheckDigest{}}[w["effect"]]
		return replica.EffectFailed{Effect: effect, Busy: verb == "busy", Code: w["code"], Detail: "as told"}
	case "frame":
		return replica.Received{Message: c.message(w)}
	}
	c.t.Fatalf("no such event: %s", verb)
	return nil
}

func (c *conversation) message(w words) wire.Message {
	switch {
	case w.has("hello"):
		h := wire.Hello{Protocol: w.protocol(), Building: named("building"), Node: named("peer"), Tier: record.TierCloud}
		if w.has("building") {
			h.Building = named(w["building"])
		}
		if w.has("node") {
			h.Node = named(w["node"])
		}
		return h
	case w.has("page"):
		return page(w)
	case w.has("ack"):
		return wire.Ack{Page: w.number("ack")}
	case w.has("want"):
		return w.wants("want")[0]
	case w.has("credit"):
		return wire.Credit{Bytes: w.number("credit")}
	case w.has("ping"):
		return wire.Ping{ID: w.number("ping")}
	case w.has("pong"):
		return wire.Pong{ID: w.number("pong"), Time: int64(w.number("time"))}
	case w.has("digest"):
		return wire.Digest{ID: w.number("digest"), Items: make([]wire.DigestItem, w.number("items"))}
	case w.has("digested"):
		d := wire.Digested{ID: w.number("digested"), Same: make([]byte, 2)}
		for _, i := range w.numbers("same") {
			d.Set(int(i))
		}
		return d
	case w.has("pull"):
		return wire.Pull{}
	case w.has("bye"):
		return wire.Bye{Code: w["bye"]}
	}
	c.t.Fatalf("no such frame: %v", w)
	return nil
}

func page(w words) wire.Page {
	p := wire.Page{ID: w.number("page"), From: w.number("from"), To: w.number("to"), Last: w.has("last")}
	for range w.number("records") {
		p.Records = append(p.Records, wire.RecordItem{Kind: "ticket", Body: make([]byte, w.number("size"))})
	}
	for chain, n := range w.chains("events") {
		p.Events = append(p.Events, wire.EventItem{Replica: chain, N: n})
	}
	return p
}

// stretch reads digests of the records at these positions; "open" for one with an event.
func stretch(w words) replica.Stretch {
	at := w.numbers("positions")
	return replica.Stretch{From: w.number("from"), To: w.number("to"), Last: w.has("last"), Open: w.has("open"), Positions: at,
		Digest: wire.Digest{Items: make([]wire.DigestItem, len(at))}}
}

func show(e replica.SessionEffect) string {
	switch e := e.(type) {
	case replica.DoSend:
		return "send " + showMessage(e.Message)
	case replica.DoGreet:
		return "greet"
	case replica.DoReadPage:
		return fmt.Sprintf("read after=%d%s held=%s skip=%v", e.After, showUntil(e.Until), showHeld(e.Held), e.Skip)
	case replica.DoReadDigest:
		return fmt.Sprintf("read digests after=%d held=%s skip=%v", e.After, showHeld(e.Held), e.Skip)
	case replica.DoCheckDigest:
		return fmt.Sprintf("check digest=%d", e.Digest.ID)
	case replica.DoReadEvents:
		return "read events " + showMessage(e.Want)
	case replica.DoApplyPage:
		return fmt.Sprintf("apply page=%d", e.Page.ID)
	case replica.DoSaveAck:
		return fmt.Sprintf("save ack=%d", e.Ack.Page)
	case replica.DoFollow:
		return fmt.Sprintf("follow time=%d at=%d", e.Time, e.At)
	case replica.DoClose:
		return fmt.Sprintf("close code=%q remote=%t %s", e.Code, e.Remote, e.Detail)
	}
	return fmt.Sprintf("%T", e)
}

func showUntil(position uint64) string {
	if position == 0 {
		return ""
	}
	return fmt.Sprintf(" until=%d", position)
}

func showCount(what string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s=%d", what, n)
}

func showMessage(m wire.Message) string {
	switch m := m.(type) {
	case wire.Hello:
		return fmt.Sprintf("hello cursor=%d", m.Cursor.Position)
	case wire.Page:
		return fmt.Sprintf("page=%d from=%d to=%d last=%t events=%d records=%d cost=%d%s", m.ID, m.From, m.To, m.Last, len(m.Events), len(m.Records), replica.PageCost(m), showCount(" receipts", len(m.Receipts)))
	case wire.Ack:
		return fmt.Sprintf("ack=%d to=%d", m.Page, m.To)
	case wire.Want:
		return fmt.Sprintf("want=%s:%d", showName(m.Replica), m.From)
	case wire.Digest:
		return fmt.Sprintf("digest=%d items=%d", m.ID, len(m.Items))
	case wire.Digested:
		return fmt.Sprintf("digested=%d", m.ID)
	case wire.Bye:
		return fmt.Sprintf("bye=%s (%s) %s", m.Code, m.Detail, m.Remedy)
	}
	return fmt.Sprintf("%T %+v", m, m)
}

func showHeld(held map[record.ReplicaID]uint64) string {
	var out []string
	for id, n := range held {
		out = append(out, fmt.Sprintf("%s:%d", showName(id), n))
	}
	slices.Sort(out)
	return "{" + strings.Join(out, " ") + "}"
}

// showName undoes named for the few chains that the scripts use.
func showName(id record.ID) string {
	for _, name := range []string{"mine", "theirs", "phone"} {
		if named(name) == id {
			return name
		}
	}
	return id.String()
}
