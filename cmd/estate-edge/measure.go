package main

import (
	"context"
	"flag"
	"time"

	"estate/edge"
)

// measure is what `estate bench mqtt` starts beside a box. No box needs it, so the usage does
// not name it.
func (p program) measure(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return p.wrong("measure knows discard, stored and fill")
	}
	var past edge.Past
	cfg, now, words, err := p.parse("measure", args[1:], func(f *flag.FlagSet, c *edge.Config) {
		f.StringVar(&c.Listen, "listen", "", "address of the count")
		f.StringVar(&c.MQTTListen, "mqtt-listen", "", "address of the MQTT broker")
		f.StringVar(&c.BrokerURL, "broker-url", "", "an external broker instead")
		f.StringVar(&past.Hardware, "hardware", "", "of fill: the sensors' ids, with %d for the number")
		f.IntVar(&past.Sensors, "sensors", 0, "of fill: how many")
		f.DurationVar(&past.Span, "span", 0, "of fill: how far back")
		f.DurationVar(&past.Every, "every", time.Minute, "of fill: how often each measures")
	})
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return p.wrong("measure %s takes no %q", args[0], words[0])
	}
	switch cfg = cfg.WithDefaults(); args[0] {
	case "discard":
		p.bound(cfg)
		return edge.Discard(ctx, cfg, now)
	case "stored":
		return edge.Stored(ctx, cfg, now)
	case "fill":
		stored, err := edge.Fill(ctx, cfg, now, past)
		if err != nil {
			return err
		}
		return p.print(map[string]int{"stored": stored})
	}
	return p.wrong("measure does not know %q", args[0])
}
