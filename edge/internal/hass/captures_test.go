package hass

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDraftCount(t *testing.T) {
	f, err := os.Open("/work/shared/data/mqtt_payloads/home_assistant_discovery.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	ents, pts, cmds := 0, 0, 0
	for s.Scan() {
		var l struct{ Topic, Payload string }
		_ = json.Unmarshal(s.Bytes(), &l)
		a, ok := ParseTopic(strings.TrimPrefix(l.Topic, "homeassistant/"))
		if !ok {
			fmt.Println("not config:", l.Topic)
			continue
		}
		an, err := Parse(a, []byte(l.Payload))
		if err != nil {
			fmt.Println(l.Topic, err)
		}
		for _, p := range an.Problems {
			fmt.Println(l.Topic, p)
		}
		for _, e := range an.Entities {
			ents++
			pts += len(e.Points)
			if e.Command != nil {
				cmds++
			}
		}
	}
	fmt.Println(ents, pts, cmds)
}
