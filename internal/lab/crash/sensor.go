package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/sync/record"
)

const (
	// sensorPauseMin and sensorPauseMax are between two messages of a building's sensors.
	sensorPauseMin = 80 * time.Millisecond
	sensorPauseMax = 400 * time.Millisecond
	// brokerRetry is between attempts to connect: the broker is killed again and again.
	brokerRetry = 150 * time.Millisecond
	// quiesceMillis is what the client gets to say goodbye.
	quiesceMillis = 250
)

// sensor is one simulated Zigbee device, entered before it is heard. Its first value of
// each quantity is always kept, so it says each only once.
type sensor struct {
	name, address string
	device        record.ID
}

func newSensor(code string, n int) sensor {
	sum := uint32(0)
	for _, c := range code {
		sum = sum*31 + uint32(c)
	}
	return sensor{name: fmt.Sprintf("sensor-%d", n), address: fmt.Sprintf("0x00158d%06x%04x", sum&0xffffff, n)}
}

func (s sensor) hardware() string { return "z2m:" + s.address }

// quantities are what a sensor tells besides its alarm, with a value that fits each.
func quantities() map[string]float64 {
	return map[string]float64{"temperature": 20, "humidity": 40, "pressure": 1000, "illuminance": 100, "power": 10, "co2": 400}
}

// publish speaks for the sensors at QoS 1: what the broker acknowledged must be found.
func (s *site) publish(ctx context.Context, random *rand.Rand) {
	login, err := s.edge.Gateway(ctx)
	if err != nil {
		s.world.findings.add("gateway", "%v", err)
		return
	}
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + s.edge.MQTT()).SetClientID(login.ClientID).
		SetUsername(login.Username).SetPassword(login.Password).SetConnectRetry(true).SetConnectRetryInterval(brokerRetry).
		SetMaxReconnectInterval(brokerRetry).SetConnectTimeout(2 * time.Second).SetCleanSession(false))
	client.Connect()
	defer client.Disconnect(quiesceMillis)
	for n, one := range s.sensors {
		stamped := n%2 == 0
		for quantity, value := range quantities() {
			v := value + float64(n)/8 // exact in binary
			s.tell(ctx, client, one, stamped, quantity, v, &entry{kind: wroteReading, site: s, device: one.device, field: quantity, value: record.Float(v),
				once: stamped && s.place.Code != wrongSite})
			pause(ctx, between(random, sensorPauseMin, sensorPauseMax))
		}
		s.tell(ctx, client, one, stamped, "water_leak", true, &entry{kind: wroteAlarm, site: s, device: one.device, once: true})
		if ctx.Err() != nil {
			return
		}
	}
	s.world.notes.add("sensors", "%s has used up its sensors", s.place.Code)
}

// tell publishes one value and waits for the broker's word.
func (s *site) tell(ctx context.Context, client mqtt.Client, one sensor, stamped bool, quantity string, value any, e *entry) {
	if ctx.Err() != nil {
		return
	}
	payload := map[string]any{quantity: value}
	if stamped {
		payload["last_seen"] = time.Now().UTC().Format(time.RFC3339Nano)
	}
	text, err := json.Marshal(payload)
	if err != nil {
		s.world.findings.add("sensor", "%v", err)
		return
	}
	e.where = s.servers[0].name
	s.world.ledger.begin(e)
	token := client.Publish("zigbee2mqtt/"+one.address, 1, false, text)
	select {
	case <-token.Done():
		if token.Error() == nil {
			s.world.ledger.acknowledge(e, e.where)
		}
	case <-ctx.Done():
	}
}
