package ingest_test

import (
	"testing"

	"estate/edge/internal/ingest"
)

const (
	tank      = "hass:tank1"
	tankState = "homeassistant/sensor/tank/state"
	tankForm  = `{"stat_t":"` + tankState + `","avty_t":"homeassistant/sensor/tank/up","uniq_id":"tank1level","unit_of_meas":"%","dev":{"ids":["tank1"],"name":"Tank cellar","mf":"Acme","mdl":"T1"}}`
)

// keptIsReadOnceAnnounced: a broker delivers what it kept in an order of its own; a value and
// whether the device is there count, also where they come before what says what they are.
func keptIsReadOnceAnnounced(t *testing.T, s server) {
	sink := newStore(tank)
	first := run(t, s, sink) // the embedded broker lets devices in only once we listen
	p := connect(t, s, true)
	p.send(tankState, "71", true)
	p.send("homeassistant/sensor/tank/up", "online", true)
	p.send("homeassistant/sensor/tank/config", tankForm, true)
	eventually(t, "stored", func() bool { return sink.row(tank, "71")() && sink.row(tank, "true")() })
	first.stop()

	fresh := newStore(tank) // knows nothing of before: all that the broker kept comes, in whatever order
	run(t, s, fresh)
	eventually(t, "what was kept is stored", func() bool { return fresh.row(tank, "71")() && fresh.row(tank, "true")() })
}

// announcedIsWaiting: a device that was announced can be adopted before it says anything.
func announcedIsWaiting(t *testing.T, s server) {
	sink := newStore(cellar)
	in := run(t, s, sink)
	p := connect(t, s, true)
	p.send("homeassistant/sensor/tank/config", tankForm, true)
	p.send("zigbee2mqtt/bridge/devices", `[{"ieee_address":"0x00158d0000000001","friendly_name":"cellar/leak"},{"ieee_address":"0x00158d0000000002","friendly_name":"attic/leak"},
		{"ieee_address":"0x00158d0000000009","type":"Coordinator","friendly_name":"Coordinator"}]`, true)
	waiting := func(in *ingest.Ingest) func() bool {
		return func() bool {
			list := in.Quarantine()
			return len(list) == 2 && list[0].Hardware == tank && list[0].Name == "Tank cellar" && list[0].Model == "Acme T1" && list[0].Observations == 0 &&
				list[1].Hardware == "z2m:0x00158d0000000002" && list[1].Name == "attic/leak"
		}
	}
	eventually(t, "both wait, and not the gateway's radio", waiting(in.Ingest))
	in.stop()
	again := run(t, s, sink)
	eventually(t, "they wait after a restart", waiting(again.Ingest))
	p.send(tankState, "70", false)
	eventually(t, "heard", func() bool { return again.Quarantine()[0].Observations == 1 })
	p.send("homeassistant/sensor/tank/config", "", true)
	p.send("homeassistant/sensor/well/config", `{"stat_t":"w","uniq_id":"w","dev":{"ids":["well"]}}`, true)
	eventually(t, "one more", func() bool { return len(again.Quarantine()) == 3 })
	p.send("homeassistant/sensor/well/config", "", true)
	eventually(t, "who never spoke and is announced no more is gone, who spoke stays", func() bool { return len(again.Quarantine()) == 2 })
}
