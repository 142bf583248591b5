package synclink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"estate/internal/problem"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// poster is the POST lane of an uplink: the memory of one stretch of exchanges.
type poster struct {
	uplink *Uplink
	known  bool   // the server has said where its copy of the own feed ends
	from   uint64 // there
	// generation is the server's run, as it last said.
	generation record.ID
	held       map[record.ReplicaID]uint64
	echoes     []uint64 // positions that hold what the server sent, ascending
	acks       []wire.Ack
	wants      []wire.Want // to ask
	asked      map[wire.Want]struct{}
	open       []wire.Want // asked by the server
	pages      uint64      // ids given out
	disputed   bool        // no record goes either way until the server has decided on a fork
}

// round says what one exchange found.
type round struct {
	more   bool // another one has work to do at once
	synced bool
}

// post exchanges by POST until the time is up or one fails, at least once. It ends without
// a code when the time is up.
func (u *Uplink) post(ctx context.Context, hold time.Duration) ending {
	p := &poster{uplink: u, asked: map[wire.Want]struct{}{}}
	moved, stop := u.config.Watch(u.config.Building)
	defer stop()
	until := u.config.Now().Add(hold)
	end := ending{}
	for first := true; ctx.Err() == nil && (first || u.config.Now().Before(until)); first = false {
		r, err := p.exchange(ctx)
		if err != nil {
			refused := refusedBy(err)
			refused.streamed, refused.synced = end.streamed, end.synced
			return refused
		}
		end.streamed, end.synced = true, end.synced || r.synced
		u.followRound(r)
		if r.more || hold == 0 {
			continue
		}
		timer := time.NewTimer(PollEvery/2 + time.Duration(u.config.Jitter()*float64(PollEvery)))
		select {
		case <-timer.C:
		case <-moved:
		case <-u.kick:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return end
}

func (u *Uplink) followRound(r round) {
	now := u.config.Now()
	u.change(func(s *Status) {
		s.ReceiptAt, s.HeardAt = now, now
		if r.synced {
			u.healthy(s)
			return
		}
		s.State = Syncing
	})
}

// exchange is one POST with all that there is to say, within the body's limit.
func (p *poster) exchange(ctx context.Context) (round, error) {
	body, sent, err := p.compose(ctx)
	if err != nil {
		return round{}, err
	}
	answer, err := p.uplink.send(ctx, body)
	if err != nil {
		return round{}, err
	}
	p.acks, p.open, p.wants = nil, nil, nil
	last, err := p.take(ctx, answer, sent)
	if err != nil {
		return round{}, err
	}
	done := sent.last && sent.acked == len(sent.pages)
	if p.disputed {
		return round{more: len(p.wants)+len(p.open) > 0}, nil
	}
	r := round{more: !done || !last || len(p.wants)+len(p.open) > 0, synced: done && last}
	return r, nil
}

// outgoing is what a body carried.
type outgoing struct {
	pages []uint64 // ids
	last  bool     // the feed's end was among it
	acked int
}

func (p *poster) compose(ctx context.Context) (*bytes.Buffer, *outgoing, error) {
	u, sent := p.uplink, &outgoing{}
	body := &bytes.Buffer{}
	hello, err := u.config.Node.Hello(ctx, u.config.Building, u.config.Peer)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare hello: %w", err)
	}
	messages := []wire.Message{hello}
	for _, a := range p.acks {
		messages = append(messages, a)
	}
	for _, w := range p.wants {
		messages = append(messages, w)
	}
	for _, m := range messages {
		if err := u.codec.AppendFrame(body, m); err != nil {
			return nil, nil, err
		}
	}
	if !p.known {
		return body, sent, nil // first hear where to begin
	}
	add := func(page wire.Page) error {
		p.pages++
		page.ID = p.pages
		sent.pages = append(sent.pages, page.ID)
		return u.codec.AppendFrame(body, page)
	}
	for _, w := range p.open {
		page, err := u.config.Node.ReadEvents(ctx, u.config.Building, w)
		if err == nil && len(page.Events) > 0 {
			err = add(page)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read events: %w", err)
		}
	}
	if p.disputed {
		return body, sent, nil
	}
	feed := reader{node: u.config.Node, building: u.config.Building, from: p.from, held: maps.Clone(p.held), skip: p.echoes, reader: p.generation}
	for body.Len() < bodyBytesGoal && !sent.last {
		page, err := feed.next(ctx)
		if err != nil {
			return nil, nil, err
		}
		sent.last = page.Last
		if page.To == page.From && len(page.Events)+len(page.Records) == 0 {
			break // nothing new
		}
		if err := add(page); err != nil {
			return nil, nil, err
		}
	}
	return body, sent, nil
}

// take handles the answer, which holds at least one page. It reports whether the server's last page was in it.
func (p *poster) take(ctx context.Context, answer io.Reader, sent *outgoing) (last bool, err error) {
	u := p.uplink
	for whole := false; ; {
		m, size, err := u.codec.ReadFrame(answer)
		u.bytesIn.Add(uint64(size))
		u.config.Hooks.frameIn(size)
		switch {
		case errors.Is(err, io.EOF) && whole:
			return last, nil
		case errors.Is(err, io.EOF):
			return false, refusef(wire.CodeFrameMalformed, "the answer was cut off")
		case errors.Is(err, wire.ErrUnknown):
			continue
		case err != nil:
			return false, &replica.Refusal{Code: frameCode(err), Detail: err.Error()}
		}
		switch m := m.(type) {
		case wire.Bye:
			return false, &replica.Refusal{Code: m.Code, Detail: m.Detail}
		case wire.Hello:
			err = p.greet(ctx, m)
		case wire.Ack:
			if sent.acked < len(sent.pages) && sent.pages[sent.acked] == m.Page {
				sent.acked++
			}
			err = u.config.Node.ApplyAck(ctx, u.config.Building, u.config.Peer, m)
		case wire.Want:
			if len(p.open) < replica.WantsMax {
				p.open = append(p.open, m)
			}
		case wire.Page:
			whole, last, err = true, m.Last, p.apply(ctx, m)
		default:
			err = refusef(wire.CodeFrameUnexpected, "%T in an answer", m)
		}
		if err != nil {
			return false, err
		}
	}
}

func (p *poster) greet(ctx context.Context, h wire.Hello) error {
	u := p.uplink
	if h.Node != u.config.Peer.Node || h.Building != u.config.Building {
		return refusef(wire.CodeNodeUnknown, "the server is not the one that this edge was enrolled at")
	}
	g, err := u.config.Node.Greet(ctx, u.config.Building, u.config.Peer, h)
	if err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	u.config.Hooks.alarms(u.config.Building, u.config.Peer.Node, greetingAlarms(g))
	p.known, p.from, p.held, p.generation = true, g.From, g.Held, h.Generation
	after, _ := slices.BinarySearch(p.echoes, p.from+1)
	p.echoes = p.echoes[after:]
	p.ask(g.Wants)
	p.disputed = g.Disputed
	for _, w := range g.Offers {
		if !slices.Contains(p.open, w) {
			p.open = append(p.open, w)
		}
	}
	return nil
}

func (p *poster) apply(ctx context.Context, page wire.Page) error {
	u := p.uplink
	if p.disputed && page.To > 0 {
		return nil
	}
	page.Anew = page.From == 0 && page.To > 0
	a, err := u.config.Node.ApplyContent(ctx, u.config.Building, u.config.Peer, page, nil, nil)
	if err != nil {
		return fmt.Errorf("apply page from %d to %d: %w", page.From, page.To, err)
	}
	u.config.Hooks.alarms(u.config.Building, u.config.Peer.Node, a.Alarms)
	a.Ack.Page, a.Ack.To = page.ID, page.To
	if len(a.Ack.Receipts)+len(a.Ack.Quarantined)+len(a.Ack.Released) > 0 {
		p.acks = append(p.acks, a.Ack)
	}
	p.echoes = append(p.echoes, a.Echoes...)
	slices.Sort(p.echoes)
	for id, n := range a.Held {
		p.held[id] = max(p.held[id], n)
	}
	p.ask(a.Wants)
	return nil
}

// ask queues each want once in a stretch.
func (p *poster) ask(wants []wire.Want) {
	for _, w := range wants {
		if _, ok := p.asked[w]; !ok && len(p.asked) < replica.AskedMax {
			p.asked[w] = struct{}{}
			p.wants = append(p.wants, w)
		}
	}
}

// send posts a body and returns the answer's.
func (u *Uplink) send(ctx context.Context, body *bytes.Buffer) (io.Reader, error) {
	token, err := u.config.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("get a session token: %w", err)
	}
	size := body.Len()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.base.String()+PathExchange, body)
	if err != nil {
		return nil, fmt.Errorf("build exchange: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", ContentType)
	response, err := u.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("exchange: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	u.bytesOut.Add(uint64(size))
	u.config.Hooks.frameOut(size)
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != ContentType {
		return nil, readProblem(response)
	}
	// Read it whole before applying: a slow store must not look like a slow network.
	answer, err := io.ReadAll(io.LimitReader(response.Body, bodyBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if len(answer) > bodyBytesMax {
		return nil, refusef(wire.CodeFrameTooLarge, "answer of more than %d bytes", bodyBytesMax)
	}
	return bytes.NewReader(answer), nil
}

// refusedBy is the ending that an error means.
func refusedBy(err error) ending {
	var r *replica.Refusal
	var p *problem.Problem
	switch {
	case errors.As(err, &r):
		return ending{code: r.Code, detail: r.Detail}
	case errors.As(err, &p):
		return ending{code: string(p.Code), detail: p.Detail}
	case errors.Is(err, replica.ErrBusy):
		return ending{code: wire.CodeStoreFailed, detail: err.Error()}
	}
	return ending{detail: err.Error()}
}

// readProblem reads a server's refusal, or whatever stood in its way.
func readProblem(r *http.Response) error {
	var body struct {
		Code string `json:"code"`
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, problemBytesMax))
	if err == nil && json.Unmarshal(text, &body) == nil && body.Code != "" {
		return problem.New(problem.Code(body.Code), "the server answered %s", r.Status)
	}
	return fmt.Errorf("the server answered %s", r.Status)
}
