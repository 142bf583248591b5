package synclink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"estate/internal/problem"
	"estate/sync/replica"
	"estate/sync/wire"
)

// work does one effect and reports it.
func (l *line) work(ctx context.Context, e replica.SessionEffect) {
	event, err := l.perform(ctx, e)
	if err != nil {
		failed := failure(e, err)
		if !failed.Busy && ctx.Err() == nil {
			l.log.ErrorContext(ctx, "link effect failed", slog.String("building", l.building.String()), slog.String("peer", l.peer.Node.String()), slog.Any("error", err))
		}
		event = failed
	}
	l.report(ctx, event)
}

func (l *line) perform(ctx context.Context, effect replica.SessionEffect) (replica.SessionEvent, error) {
	switch e := effect.(type) {
	case replica.DoGreet:
		g, err := l.node.Greet(ctx, l.building, l.peer, e.Hello)
		if err != nil {
			return nil, fmt.Errorf("greet: %w", err)
		}
		l.hooks.greeted(l.building, l.peer.Node, e.Hello.Generation)
		l.hooks.alarms(l.building, l.peer.Node, greetingAlarms(g))
		return g.Event(), nil
	case replica.DoReadPage:
		p, err := l.node.ReadPage(ctx, l.building, e.After, e.Until, e.Held, e.Skips)
		return replica.PageRead{Page: p}, err
	case replica.DoReadEvents:
		p, err := l.node.ReadEvents(ctx, l.building, e.Want)
		return replica.PageRead{Page: p}, err
	case replica.DoReadDigest:
		st, err := l.node.ReadDigest(ctx, l.building, e.Reader, e.After, e.Held, e.Skips)
		return replica.DigestRead{Stretch: st}, err
	case replica.DoCheckDigest:
		c, err := l.node.CheckDigest(ctx, l.building, l.peer, e.Sender, e.Digest)
		return replica.DigestChecked(c), err
	case replica.DoApplyPage:
		l.applying.Add(1)
		defer l.applying.Add(-1)
		// The building is locked when it is decided: nothing may wait for the loop then.
		decided := func() {
			l.running.Go(func() { l.report(ctx, replica.PageDecided{Page: e.Page.ID}) })
		}
		a, err := l.node.ApplyContent(ctx, l.building, l.peer, e.Page, e.Content, decided)
		if err != nil {
			return nil, fmt.Errorf("apply page from %d to %d: %w", e.Page.From, e.Page.To, err)
		}
		l.hooks.alarms(l.building, l.peer.Node, a.Alarms)
		return a.Event(), nil
	case replica.DoFollow:
		// The store may have been busy since the answer came.
		return replica.Followed{}, l.node.FollowClock(ctx, l.building, l.peer, e.Time+l.elapsed()-e.At)
	case replica.DoSaveAck:
		return replica.AckSaved{}, l.node.ApplyAck(ctx, l.building, l.peer, e.Ack)
	}
	return nil, fmt.Errorf("synclink: effect %T has no worker", effect)
}

// failure sorts an effect's error: try again, a reason of the protocol, or ours.
func failure(e replica.SessionEffect, err error) replica.EffectFailed {
	return replica.EffectFailed{
		Effect: e, Busy: errors.Is(err, replica.ErrBusy) || errors.Is(err, replica.ErrUnsure),
		Code: refusalCode(err), Detail: refusalDetail(err),
	}
}

// refusalCode is what the peer is told of an error: the protocol's code, else that this
// side's store failed.
func refusalCode(err error) string {
	if code := replica.RefusalCode(err); code != "" {
		return code
	}
	return wire.CodeStoreFailed
}

// refusalDetail is what the peer is told beside the code; internal errors stay inside.
func refusalDetail(err error) string {
	var r *replica.Refusal
	if errors.As(err, &r) {
		return r.Detail
	}
	return "the store could not do it"
}

// unwelcome reports whether an error speaks against the peer, and not only of a look-up
// that did not work.
func unwelcome(err error) bool {
	p := problem.From(err)
	return p.Code != problem.Internal && p.Code != problem.Unavailable
}

// stoppedFor turns the refusal of a peer into the session's end.
func stoppedFor(err error) replica.Stopped {
	p := problem.From(err)
	return replica.Stopped{Code: string(p.Code), Detail: p.Message()}
}
