package hass

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"estate/edge/internal/jinja"
)

// Value is what a point says. Exactly one of the three holds it, by its Form.
type Value struct {
	Form   Form // Number, Switch, or Text; Event for what happened
	Number float64
	On     bool
	Text   string
}

// ErrNoValue says that the message holds no value of this point, which is no fault: the
// payload is about something else, or the device does not know.
var ErrNoValue = errors.New("no value")

// Read gives the value of a point. Its error is ErrNoValue, or says what is wrong with the
// payload.
func (p Point) Read(payload *jinja.Payload, now time.Time) (Value, error) {
	payload = p.Encoding.text(payload)
	text := strings.TrimSpace(payload.Text())
	if !utf8.ValidString(text) {
		return Value{}, errNotText
	}
	if p.Template != nil {
		var err error
		text, err = p.Template.Render(jinja.Vars{Payload: payload, Now: now})
		var reason *jinja.Error
		if errors.As(err, &reason) {
			if reason.Reason == jinja.Undefined {
				return Value{}, ErrNoValue
			}
			return Value{}, fmt.Errorf("template: %w", err)
		}
	}
	text, ok := p.part(text)
	if !ok || slices.Contains([]string{"", "None", "unknown", "unavailable", "null"}, text) && p.Form != Switch {
		return Value{}, ErrNoValue
	}
	switch p.Form {
	case Number:
		return p.number(text)
	case Switch:
		return p.switched(text)
	case Event:
		return p.event(text)
	case Version:
		return version(text)
	case Text:
		word, ok := p.Words[text]
		if ok {
			text = word
		} else if p.Only {
			return Value{}, ErrNoValue
		}
		return Value{Form: Text, Text: text}, nil
	default:
		if v, err := number(text); err == nil {
			return v, nil
		}
		return Value{Form: Text, Text: text}, nil
	}
}

// errNotText is for payloads that no encoding makes a text of.
var errNotText = errors.New("the payload is not UTF-8")

// part takes the point's part of a JSON object; ok is false where the object holds none. What is no
// object is told of the point that has the topic to itself, or by words or a number of its own.
func (p Point) part(text string) (part string, ok bool) {
	if p.Part == "" || !strings.HasPrefix(text, "{") {
		return text, !p.Only || p.Form == Text
	}
	var body config
	if json.Unmarshal([]byte(text), &body) != nil {
		return text, true
	}
	_, ok = body[p.Part]
	return body.text(p.Part), ok
}

// number reads a number; where the point has a scale, as percent. A valve that tells its position
// may say what it does instead.
func (p Point) number(text string) (Value, error) {
	v, err := number(text)
	_, word := p.Words[text]
	switch {
	case err != nil && word:
		return Value{}, ErrNoValue
	case err == nil && p.Scale != nil:
		v.Number = p.Scale.percent(v.Number)
	}
	return v, err
}

func number(text string) (Value, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}, fmt.Errorf("wanted a number, got %q", clip(text))
	}
	return Value{Form: Number, Number: f}, nil
}

func (p Point) switched(text string) (Value, error) {
	switch text {
	case p.On:
		return Value{Form: Switch, On: true}, nil
	case p.Off:
		return Value{Form: Switch}, nil
	case "", "None", "unknown", "unavailable":
		return Value{}, ErrNoValue
	}
	return Value{}, fmt.Errorf("wanted %q or %q, got %q", clip(p.On), clip(p.Off), clip(text))
}

func (p Point) event(text string) (Value, error) {
	if p.On != "" || p.Off != "" {
		if text != p.On && p.On != "" {
			return Value{}, ErrNoValue
		}
		return Value{Form: Event, Text: p.Off}, nil
	}
	var body struct {
		Type *string `json:"event_type"`
	}
	if json.Unmarshal([]byte(text), &body) == nil {
		if body.Type == nil || *body.Type == "" {
			return Value{}, ErrNoValue
		}
		text = *body.Type
	}
	return Value{Form: Event, Text: text}, nil
}

func version(text string) (Value, error) {
	var body struct {
		Installed *string `json:"installed_version"`
	}
	if json.Unmarshal([]byte(text), &body) == nil && strings.HasPrefix(text, "{") {
		if body.Installed == nil || *body.Installed == "" {
			return Value{}, ErrNoValue
		}
		text = *body.Installed
	}
	return Value{Form: Text, Text: text}, nil
}

// Read tells whether the source says that it is there. Its error is ErrNoValue, or says what
// is wrong with the payload: what is neither is not known, which is not offline.
func (s Source) Read(payload *jinja.Payload, now time.Time) (bool, error) {
	p := Point{Template: s.Template, Encoding: s.Encoding, Form: Switch, On: s.Available, Off: s.NotAvailable}
	v, err := p.Read(payload, now)
	return v.On, err
}
