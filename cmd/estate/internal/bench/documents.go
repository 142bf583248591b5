package bench

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"estate/internal/apiclient"
)

const (
	// describedBytes makes a stored record of about a kilobyte.
	describedBytes = 520
	// textSeed makes every run write the same tickets.
	textSeed = 20
)

// vocabulary is what the tickets are about. Drawn at random it compresses like what people
// write, not like one word repeated.
const vocabulary = `water leak pipe kitchen bathroom ceiling stain floor wall door window lock key handle hinge heating radiator cold valve boiler
pump pressure noise night morning since yesterday Monday Tuesday Friday weekend again still worse slowly quickly drips runs stopped broken loose
cracked missing smells burnt gas smoke light lamp switch socket fuse breaker cable meter lift stuck between floors alarm sensor battery cellar roof
gutter drain blocked overflow toilet flush shower tap washer mould damp paint plaster tile carpet neighbour above below left right tenant caretaker
called came looked said nobody please urgent careful dog child elderly access only after before until o'clock the a and or but with without from to in
on under behind beside near it is was has been not very much little some all every two three four five second third fourth apartment stairwell garage
courtyard bins post box intercom camera fence gate garden tree snow ice salt slippery handrail step loose paving glass seal draught blind shutter motor`

// words is the vocabulary as a list.
func words() []string { return strings.Fields(vocabulary) }

// ticket is the content of the nth ticket: always the same.
func ticket(words []string, n int) apiclient.NewTicket {
	random := rand.New(rand.NewPCG(textSeed, uint64(n))) //nolint:gosec // repeatable, not secret
	var text strings.Builder
	for text.Len() < describedBytes {
		text.WriteString(words[random.IntN(len(words))])
		text.WriteByte(' ')
	}
	title := words[random.IntN(len(words))] + " " + words[random.IntN(len(words))]
	return apiclient.NewTicket{Title: fmt.Sprintf("%s %d", title, n), Category: "other", Priority: "normal", Description: text.String()}
}
