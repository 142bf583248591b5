package actuate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/desk"
	"estate/internal/problem"
)

// order is one run of an order.
type order struct {
	*Runner
	action    desk.Action
	reference string
	// sent is when the device was told, by the box's clock; answers count from then on.
	sent time.Time
	// unsure says that it is not known whether the broker got it.
	unsure bool
}

// run takes an order to its end. Before it is sent that is noted: where the edge stops in
// between, the next run finds the note and sends again, within the order's time, what may have
// been sent before. That is safe, since only states are ordered.
func (o *order) run(ctx context.Context) (desk.ActionEnd, error) {
	offset, err := o.cfg.Offset(ctx)
	if err != nil {
		return desk.ActionEnd{}, err
	}
	limits := o.action
	if limits.ExpiresAt == nil || limits.AskedAt == nil {
		return failed("refused", problem.ActionExpired, ""), nil
	}
	expires := limits.ExpiresAt.Add(-offset)
	if limits.AskedAt.Add(-offset).Sub(o.cfg.Now()) > aheadMax {
		expires = time.Time{}
	}
	if o.action.State == "asked" {
		if end, over, err := o.wait(ctx, expires); over || err != nil {
			return end, err
		}
		if o.action, err = o.cfg.Desk.SendAction(ctx, o.cfg.Building, o.action.ID); err != nil {
			return desk.ActionEnd{}, err
		}
		o.sent = o.cfg.Now()
	} else {
		o.sent = o.cfg.Now()
		if o.action.SentAt != nil {
			o.sent = o.action.SentAt.Add(-offset)
		}
	}
	forget, end, over, err := o.tell(ctx, expires)
	defer forget()
	if over || err != nil {
		return end, err
	}
	return o.await(ctx, o.sent.Add(desk.AnswerWait))
}

func failed(state string, reason problem.Code, answer string) desk.ActionEnd {
	return desk.ActionEnd{State: state, Reason: reason, Answer: answer}
}

// wait returns once the order can be sent; over says that it cannot be any more.
func (o *order) wait(ctx context.Context, expires time.Time) (end desk.ActionEnd, over bool, err error) {
	for waited := false; ; waited = true {
		v := o.cfg.Board.look(o.action.Hardware, o.action.Control, "")
		if !o.cfg.Now().Before(expires) {
			return o.tooLate(v, waited), true, nil
		}
		if v.known && !o.cfg.Blind() {
			if reason := o.refusal(v); reason != "" {
				return failed("refused", reason, v.state), true, nil
			}
			return end, false, nil
		}
		if err := o.pause(ctx, v.moved, expires); err != nil {
			return end, true, err
		}
	}
}

// tooLate says why an order was not sent in its time: it came too late, or waited here.
func (o *order) tooLate(v view, waited bool) desk.ActionEnd {
	switch {
	case waited && o.cfg.Blind():
		return failed("failed", problem.BrokerAway, "")
	case waited && !v.known:
		return failed("failed", problem.ControlUnknown, "")
	}
	return failed("expired", problem.ActionExpired, "")
}

// refusal says what of that which the person was shown does not hold.
func (o *order) refusal(v view) problem.Code {
	switch {
	case v.offline:
		return problem.DeviceOffline
	case v.at.IsZero() || v.state == "" || o.cfg.Now().Sub(v.at) > v.expires:
		return problem.DeviceStale
	case v.state != o.action.SeenState && o.action.Value != desk.Stopped: // what moves is another state at each look
		return problem.ActionStateChanged
	case !accepts(v.Control, o.action.Value):
		return problem.ControlUnknown
	}
	return ""
}

func accepts(c decode.Control, value string) bool {
	if len(c.Values) > 0 {
		return slices.Contains(c.Values, value)
	}
	n, err := strconv.ParseFloat(value, 64)
	return err == nil && (c.Min != nil || c.Max != nil) && (c.Min == nil || n >= *c.Min) && (c.Max == nil || n <= *c.Max)
}

// pause waits for news, or until a time.
func (o *order) pause(ctx context.Context, moved <-chan struct{}, until time.Time) error {
	timer := time.NewTimer(min(max(until.Sub(o.cfg.Now()), time.Millisecond), tickEvery))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return errStopped
	case <-moved:
	case <-timer.C:
	}
	return nil
}

// tell sends the order, unless its time is over or the device says already that it is done.
func (o *order) tell(ctx context.Context, expires time.Time) (forget func(), end desk.ActionEnd, over bool, err error) {
	forget = func() {}
	for {
		v := o.cfg.Board.look(o.action.Hardware, o.action.Control, "")
		if !o.cfg.Now().Before(expires) || o.done(v) {
			return forget, end, false, nil // it may have been sent in an earlier run: the answer tells
		}
		if v.known && !o.cfg.Blind() {
			s, err := v.Order(decode.Order{ID: o.action.ID.String(), Value: o.action.Value, Expires: *o.action.ExpiresAt})
			if err != nil {
				return forget, failed("failed", problem.ControlUnknown, err.Error()), true, nil
			}
			o.reference = s.Reference
			forget = o.cfg.Board.expect(o.action.Hardware, s.Reference)
			// Where that fails it may have been sent all the same: the answer tells.
			o.unsure = o.publish(ctx, s, expires) != nil
			return forget, end, false, nil
		}
		if err := o.pause(ctx, v.moved, expires); err != nil {
			return forget, end, true, err
		}
	}
}

func (o *order) publish(ctx context.Context, s decode.Sending, expires time.Time) error {
	wait := min(publishWait, expires.Sub(o.cfg.Now()))
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := o.cfg.Publish(ctx, s, o.cfg.Now().Add(wait)); err != nil {
		return fmt.Errorf("send the order: %w", err)
	}
	return nil
}

// done reports whether the device said, since it was told, that it is in the state that was
// wanted.
func (o *order) done(v view) bool {
	said := v.said
	if said.IsZero() {
		said = v.at // in an earlier run
	}
	return decode.Done(v.Kind, o.action.Value, v.state) && !said.Before(o.sent)
}

// await returns what became of an order that was sent.
func (o *order) await(ctx context.Context, until time.Time) (desk.ActionEnd, error) {
	for {
		v := o.cfg.Board.look(o.action.Hardware, o.action.Control, o.reference)
		switch {
		case o.done(v), v.answer != nil && v.answer.OK && v.state != "" && decode.Done(v.Kind, o.action.Value, v.state):
			return desk.ActionEnd{State: "answered", Answer: v.state}, nil
		case v.answer != nil && !v.answer.OK:
			return failed("failed", problem.DeviceRefused, v.answer.Text), nil
		case !o.cfg.Now().Before(until) && o.unsure:
			return failed("failed", problem.BrokerAway, v.state), nil
		case !o.cfg.Now().Before(until):
			return failed("failed", problem.ActionNoAnswer, v.state), nil
		}
		if err := o.pause(ctx, v.moved, until); err != nil {
			return desk.ActionEnd{}, err
		}
	}
}
