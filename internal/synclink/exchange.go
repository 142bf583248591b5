package synclink

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"estate/internal/auth"
	"estate/internal/problem"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// caller is who sent a POST: a node with its building, or a person with a phone.
type caller struct {
	peer     replica.Peer
	building record.ID
	person   record.ID
	// bound says that the phone of the hello is registered for the person, and revoked that
	// it was: it may still return what it was served, and gets nothing.
	bound, revoked bool
}

func (c caller) isPhone() bool { return !c.person.IsZero() }

// exchange is one POST being answered: frames in, frames out. What was applied before an
// error stays applied and is acknowledged; the error is the last frame.
//
//	node:  hello, acks, wants, pages        ->  hello, acks, wants, pages
//	phone: hello, pushes, returned records, at most one pull  ->  hello, pushed…, taken…, page
type exchange struct {
	server *Server
	caller caller
	hello  wire.Hello
	body   io.Reader
	out    bytes.Buffer
	first  bytes.Buffer // the own hello, which precedes what is in out
	frames int
	// disputed: the fork of a chain is not decided yet, so no record goes either way.
	disputed bool
}

func (s *Server) serveExchange(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	who, err := s.identify(r)
	if err == nil {
		err = s.deadlines(w)
	}
	if err != nil {
		s.outage.Refuse(w, r, err, s.config.Log)
		return
	}
	s.outage.Over(r.Context(), s.config.Log)
	x := &exchange{server: s, caller: who, body: http.MaxBytesReader(w, r.Body, bodyBytesMax)}
	if err := x.run(r.Context()); err != nil {
		x.bye(r.Context(), err)
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Cache-Control", "no-store")
	s.config.Hooks.frameOut(x.first.Len() + x.out.Len())
	for _, part := range [][]byte{x.first.Bytes(), x.out.Bytes()} {
		if _, err := w.Write(part); err != nil {
			return // the caller is gone; what it sent is applied, and it will ask again
		}
	}
}

// identify accepts a node's session token or, where phones are served, a person's access
// token.
func (s *Server) identify(r *http.Request) (caller, error) {
	peer, building, err := s.config.Authenticate(r)
	if err == nil {
		return caller{peer: peer, building: building}, nil
	}
	if s.config.Phones == nil || problem.HasCode(err, problem.NodeRevoked) || problem.HasCode(err, problem.NodeUnknown) {
		return caller{}, err
	}
	person, err := s.config.Phones.Person(r)
	if err == nil && person.IsZero() {
		err = problem.New(problem.Unauthenticated, "")
	}
	if limit := s.config.Phones.Limit; err == nil && limit != nil {
		if wait, ok := limit.Take(person.String()); !ok {
			err = problem.Wrap(problem.RateLimited, &auth.RetryAfter{Wait: wait}, "too many exchanges")
		}
	}
	return caller{person: person}, err
}

func refusef(code, format string, args ...any) error {
	return &replica.Refusal{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// bye ends the answer with the reason.
func (x *exchange) bye(ctx context.Context, err error) {
	bye := wire.Bye{Code: refusalCode(err), Detail: refusalDetail(err)}
	var p *problem.Problem
	switch {
	case errors.As(err, &p) && unwelcome(p):
		bye = wire.Bye{Code: string(p.Code), Detail: p.Message(), Remedy: p.Remedy()}
	case replica.RefusalCode(err) == "" && !errors.Is(err, replica.ErrBusy) && ctx.Err() == nil:
		x.server.config.Log.ErrorContext(ctx, "exchange failed", slog.String("building", x.caller.building.String()), slog.Any("error", err))
	}
	if bye.Remedy == "" {
		bye.Remedy = replica.Remedy(bye.Code)
	}
	if err := x.server.codec.AppendFrame(&x.out, bye); err != nil {
		x.server.config.Log.ErrorContext(ctx, "say goodbye", slog.Any("error", err))
	}
}

// next reads a frame; io.EOF at the end. Types of a later release are skipped.
func (x *exchange) next() (wire.Message, error) {
	for {
		if x.frames++; x.frames > bodyFramesMax {
			return nil, refusef(wire.CodeFrameUnexpected, "more than %d frames in one body", bodyFramesMax)
		}
		m, size, err := x.server.codec.ReadFrame(x.body)
		x.server.config.Hooks.frameIn(size)
		var tooLarge *http.MaxBytesError
		switch {
		case err == nil, errors.Is(err, io.EOF):
			return m, err
		case errors.As(err, &tooLarge):
			return nil, refusef(wire.CodeFrameTooLarge, "body of more than %d bytes", tooLarge.Limit)
		case errors.Is(err, wire.ErrUnknown) && x.frames > 1:
			continue
		default:
			return nil, refusef(frameCode(err), "%v", err)
		}
	}
}

func (x *exchange) run(ctx context.Context) error {
	m, err := x.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	hello, ok := m.(wire.Hello)
	if !ok {
		return refusef(wire.CodeFrameUnexpected, "%T before hello", m)
	}
	if hello.Protocol == 0 || hello.Protocol+1 < wire.Protocol || hello.Protocol > wire.Protocol+1 {
		return refusef(wire.CodeProtocolVersion, "this side speaks protocol %d, the other %d", wire.Protocol, hello.Protocol)
	}
	x.hello = hello
	if x.caller.isPhone() {
		return x.servePhone(ctx)
	}
	return x.serveNode(ctx)
}

// greet answers a hello with the own one, as things stand after what the body brought.
func (x *exchange) greet(ctx context.Context) error {
	hello, err := x.server.config.Node.Hello(ctx, x.caller.building, x.caller.peer)
	if err != nil {
		return fmt.Errorf("prepare hello: %w", err)
	}
	if x.caller.isPhone() {
		// Chains are the business of whole holders; a phone's cursor lies with its pull.
		hello.Held, hello.Cursor = nil, wire.Cursor{}
	}
	return x.server.codec.AppendFrame(&x.first, hello)
}

func (x *exchange) servePhone(ctx context.Context) error {
	if x.server.config.Phones == nil || x.hello.Tier != record.TierPhone || x.hello.Node.IsZero() || x.hello.Building.IsZero() {
		return refusef(wire.CodeNodeUnknown, "an access token comes with the hello of a phone")
	}
	x.caller.building = x.hello.Building
	x.caller.peer = replica.Peer{Node: x.hello.Node, Tier: record.TierPhone, Person: x.caller.person}
	phones := x.server.config.Phones
	admit, _, err := phones.Rights(ctx, x.caller.building, x.caller.person)
	if err != nil {
		return fmt.Errorf("look up rights: %w", err)
	}
	// A hello is a claim: what belongs to one phone alone goes to who is registered for it.
	err = phones.Bind(ctx, x.caller.building, x.caller.person, x.caller.peer.Node, nil)
	x.caller.bound, x.caller.revoked = err == nil, problem.HasCode(err, problem.NodeRevoked)
	var p *problem.Problem
	if err != nil && !errors.As(err, &p) {
		return fmt.Errorf("look up phone: %w", err)
	}
	if err := x.greet(ctx); err != nil {
		return err
	}
	for {
		m, err := x.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case wire.Push:
			err = x.push(ctx, admit, m)
		case wire.Returned:
			err = x.takeBack(ctx, m)
		case wire.Pull:
			return x.pull(ctx, m)
		default:
			err = refusef(wire.CodeFrameUnexpected, "%T from a phone", m)
		}
		if err != nil {
			return err
		}
	}
}

func (x *exchange) push(ctx context.Context, admit replica.Admit, p wire.Push) error {
	phones, peer := x.server.config.Phones, x.caller.peer
	card, err := pushedCard(p)
	if err != nil {
		return err
	}
	if card != nil {
		peer.PublicKey = ed25519.PublicKey(card.PublicKey)
		if card.Node != peer.Node || card.Tier != record.TierPhone {
			return refusef(wire.CodeNodeUnknown, "the card is not of the phone that said hello")
		}
		if err := p.Head.Verify(x.caller.building, peer.PublicKey); err != nil {
			return refusef(wire.CodeBadSignature, "%v", err)
		}
	}
	if err := phones.Bind(ctx, x.caller.building, x.caller.person, peer.Node, peer.PublicKey); err != nil {
		return fmt.Errorf("bind phone: %w", err)
	}
	x.caller.bound = true
	pushed, err := phones.Node.ApplyPush(ctx, x.caller.building, peer, admit, p)
	if err != nil {
		return fmt.Errorf("apply push: %w", err)
	}
	pushed.ID = p.ID
	if slices.ContainsFunc(pushed.Results, func(r wire.PushResult) bool {
		return slices.Contains(r.Refused, wire.RefusedPart{Code: wire.CodeChainFork})
	}) {
		x.server.config.Hooks.alarms(x.caller.building, peer.Node, []string{wire.CodeChainFork}) // the app was copied
	}
	// Gaps of other chains are not this phone's to fill, or to know of.
	pushed.Wants = slices.DeleteFunc(pushed.Wants, func(w wire.Want) bool { return w.Replica != p.Head.Replica })
	return x.server.codec.AppendFrame(&x.out, pushed)
}

// pushedCard finds event 1 of the pushed replica, where it is among the transactions.
func pushedCard(p wire.Push) (*record.Card, error) {
	if len(p.Transactions) == 0 {
		return nil, nil
	}
	e, err := record.DecodeEvent(p.Transactions[0].Body)
	if err != nil {
		return nil, refusef(wire.CodeEventMalformed, "%v", err)
	}
	if e.Card == nil {
		return nil, nil
	}
	if err := e.Card.Validate(); err != nil {
		return nil, refusef(wire.CodeEventMalformed, "%v", err)
	}
	return e.Card, nil
}

// takeBack takes records that the phone was served and this server may have lost, whatever
// the person's rights are now.
func (x *exchange) takeBack(ctx context.Context, m wire.Returned) error {
	phones, peer := x.server.config.Phones, x.caller.peer
	_, view, err := phones.Rights(ctx, x.caller.building, x.caller.person)
	if err != nil {
		return fmt.Errorf("look up rights: %w", err)
	}
	answer, err := phones.Node.ApplyReturn(ctx, x.caller.building, peer, view, m)
	if err != nil {
		return fmt.Errorf("take returned records: %w", err)
	}
	x.server.reportReturn(ctx, x.caller, answer)
	return x.server.codec.AppendFrame(&x.out, answer.Taken)
}

// pull reads a page of the person's view, with the rights as they are after the pushes.
func (x *exchange) pull(ctx context.Context, p wire.Pull) error {
	_, view, err := x.server.config.Phones.Rights(ctx, x.caller.building, x.caller.person)
	if err != nil {
		return fmt.Errorf("look up rights: %w", err)
	}
	if x.caller.revoked {
		return problem.New(problem.NodeRevoked, "")
	}
	if x.caller.bound {
		view.Node = x.caller.peer.Node
	}
	page, err := x.server.config.Phones.Node.ReadView(ctx, x.caller.building, view, p)
	if err != nil {
		return fmt.Errorf("read view: %w", err)
	}
	return x.server.codec.AppendFrame(&x.out, page)
}
