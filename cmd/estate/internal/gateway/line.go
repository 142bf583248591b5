package gateway

import (
	"context"
	"fmt"
	"net"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/internal/lab"
	"estate/internal/lab/stack"
)

// line is how a gateway reaches the edge's broker. publish returns after the broker's
// acknowledgement.
type line interface {
	publish(ctx context.Context, topic string, retained bool, payload []byte) error
	close()
}

// session is a connection that stays, as a real gateway's does.
type session struct{ client mqtt.Client }

// connect signs in. Orders to devices are given to obey, each in a goroutine of its own.
func connect(ctx context.Context, edge *stack.Edge, login stack.Login, obey func(topic string, payload []byte)) (line, error) {
	options := mqtt.NewClientOptions().AddBroker("tcp://"+edge.MQTT()).
		SetClientID(login.ClientID).SetUsername(login.Username).SetPassword(login.Password).
		SetConnectTimeout(publishTimeout).SetConnectRetry(true).SetConnectRetryInterval(time.Second).
		SetMaxReconnectInterval(5*time.Second).SetOrderMatters(true).
		// A message under way when the broker dies is sent again: at least once.
		SetCleanSession(false).
		SetOnConnectHandler(func(c mqtt.Client) {
			c.Subscribe(baseTopic+"/+/set", 1, func(_ mqtt.Client, m mqtt.Message) { go obey(m.Topic(), m.Payload()) })
		}).
		SetWill(baseTopic+"/bridge/state", `{"state":"offline"}`, 1, true)
	s := session{mqtt.NewClient(options)}
	if err := wait(ctx, s.client.Connect()); err != nil {
		s.close()
		return nil, fmt.Errorf("sign the gateway of %s in at %s: %w", edge.Place.Name, edge.MQTT(), err)
	}
	return s, nil
}

func (s session) publish(ctx context.Context, topic string, retained bool, payload []byte) error {
	return wait(ctx, s.client.Publish(topic, 1, retained, payload))
}

func (s session) close() { s.client.Disconnect(quiesceMillis) }

// wait waits for the broker's acknowledgement.
func wait(ctx context.Context, token mqtt.Token) error {
	timer := time.NewTimer(publishTimeout)
	defer timer.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-timer.C:
		return fmt.Errorf("no acknowledgement within %s", publishTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// program is somebody else's publisher with mosquitto_pub's flags, started once a message.
type program struct {
	path, host, port string
	login            stack.Login
}

func byProgram(path string, edge *stack.Edge, login stack.Login) (line, error) {
	host, port, err := net.SplitHostPort(edge.MQTT())
	if err != nil {
		return nil, fmt.Errorf("broker of %s: %w", edge.Place.Name, err)
	}
	return program{path: path, host: host, port: port, login: login}, nil
}

func (p program) publish(ctx context.Context, topic string, retained bool, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	arguments := []string{"-h", p.host, "-p", p.port, "-V", "mqttv311", "-i", p.login.ClientID, "-u", p.login.Username, "-P", p.login.Password,
		"-q", "1", "-t", topic, "-m", string(payload)}
	if retained {
		arguments = append(arguments, "-r")
	}
	return lab.Publish(ctx, p.path, "", arguments...)
}

func (program) close() {}
