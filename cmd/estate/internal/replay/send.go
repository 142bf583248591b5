package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/sys/unix"
)

// refusal is a message that the broker did not take.
type refusal struct {
	message message
	reason  string
}

// sent is a message that waits for its acknowledgement.
type sent struct {
	message message
	token   mqtt.Token
}

// sender sends messages to one broker, in their order.
type sender struct {
	options options
	client  mqtt.Client
	bar     *progressbar.ProgressBar

	waiting      []sent
	acknowledged int
	refused      []refusal
	// hungUp counts the messages in a row at which the broker ended the connection.
	hungUp int
}

// bar shows how far it is, where somebody looks at a terminal.
func bar(n int, progress io.Writer) *progressbar.ProgressBar {
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(progress), progressbar.OptionSetDescription("messages"), progressbar.OptionSetVisibility(terminal(progress)),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionOnCompletion(func() { _, _ = fmt.Fprintln(progress) }))
}

// terminal reports whether somebody looks at a terminal.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// send sends all messages, each when its time has come.
func (s *sender) send(ctx context.Context, all []message) error {
	due, began := schedule(s.options, all), time.Now()
	for i, m := range all {
		if err := s.pause(ctx, time.Until(began.Add(due[i]))); err != nil {
			return err
		}
		if reason := badTopic(m.topic); reason != "" {
			s.refuse(m, reason)
			continue
		}
		s.publish(m)
		if err := s.settle(ctx, inFlight-1); err != nil {
			return err
		}
	}
	return s.settle(ctx, 0)
}

// badTopic says why a topic is none that can be published to.
func badTopic(topic string) string {
	switch {
	case topic == "" || len(topic) > topicMax:
		return fmt.Sprintf("a topic has 1 to %d bytes", topicMax)
	case strings.ContainsAny(topic, "+#\x00") || !utf8.ValidString(topic):
		return "not a topic that can be published to: it holds +, # or what is no text"
	}
	return ""
}

func (s *sender) publish(m message) {
	s.waiting = append(s.waiting, sent{m, s.client.Publish(m.topic, s.options.qos, m.retain, m.payload)})
}

func (s *sender) refuse(m message, reason string) {
	s.refused = append(s.refused, refusal{m, reason})
	_ = s.bar.Add(1) // a bar that cannot be drawn stops nothing
}

// settle waits until no more than so many messages wait.
func (s *sender) settle(ctx context.Context, most int) error {
	for len(s.waiting) > most {
		if err := answered(ctx, s.waiting[0]); err != nil {
			if ctx.Err() != nil || errors.Is(err, errSilent) {
				return err
			}
			if err := s.resume(ctx); err != nil {
				return err
			}
			continue
		}
		s.taken()
	}
	return nil
}

// taken counts the oldest message as acknowledged.
func (s *sender) taken() {
	s.waiting, s.hungUp = s.waiting[1:], 0
	s.acknowledged++
	_ = s.bar.Add(1)
}

// errSilent says that the broker does not answer.
var errSilent = errors.New("the broker does not answer: is it busy, or its disk full?")

// answered waits for the broker's answer to a message.
func answered(ctx context.Context, one sent) error {
	patience := time.NewTimer(publishTimeout)
	defer patience.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return fmt.Errorf("%s: %w", one.message, errSilent)
	case <-one.token.Done():
		return one.token.Error()
	}
}

// resume goes on after the broker ended the connection: what waited is sent again one by one, so
// that the message at which it ends the connection is known, and left out.
func (s *sender) resume(ctx context.Context) error {
	again := s.waiting
	s.waiting = nil
	for _, one := range again {
		if !s.client.IsConnectionOpen() {
			client, err := connect(ctx, s.options)
			if err != nil {
				return err
			}
			s.client.Disconnect(0)
			s.client = client
		}
		s.publish(one.message)
		err := answered(ctx, s.waiting[0])
		switch {
		case err == nil:
			s.taken()
			continue
		case ctx.Err() != nil || errors.Is(err, errSilent):
			return err
		}
		s.waiting = nil
		if s.hungUp++; s.hungUp == hungUpMax {
			return fmt.Errorf("the broker ended the connection at each of %d messages, last at %s: %w", hungUpMax, one.message, err)
		}
		reason := "the broker ended the connection"
		if strings.ContainsAny(one.message.topic, " \t\r\n") {
			reason += ": white space in the topic, which a box's own broker cannot carry. Name the device without blanks, or use a mosquitto"
		}
		s.refuse(one.message, reason)
	}
	return nil
}

// pause waits, where there is something to wait for; what was sent settles meanwhile.
func (s *sender) pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	if err := s.settle(ctx, 0); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
