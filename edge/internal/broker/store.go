package broker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// checkTimeout bounds the self check: a healthy store answers in milliseconds, a slow card
// with a full store in seconds.
const checkTimeout = 10 * time.Second

// checkTopic carries the self check's one message; nothing else listens there.
const checkTopic = "estate/v1/selfcheck"

// selfCheck sends one QoS 1 message through the broker and back. A store can look open and
// still refuse every write; better to know it before a leak has to pass.
func (b *Broker) selfCheck() error {
	got := make(chan struct{}, 1)
	opts := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID("estate-selfcheck").
		SetUsername(b.internal.Username).SetPassword(b.internal.Password).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectTimeout(checkTimeout)
	client := mqtt.NewClient(opts)
	defer client.Disconnect(0)
	if err := settle(client.Connect(), "connect"); err != nil {
		return err
	}
	deliver := func(_ mqtt.Client, _ mqtt.Message) {
		select {
		case got <- struct{}{}:
		default:
		}
	}
	if err := settle(client.Subscribe(checkTopic, 1, deliver), "subscribe"); err != nil {
		return err
	}
	if err := settle(client.Publish(checkTopic, 1, false, "ok"), "publish"); err != nil {
		return err
	}
	deadline := time.NewTimer(checkTimeout)
	defer deadline.Stop()
	select {
	case <-got:
		return nil
	case <-deadline.C:
		return fmt.Errorf("message not delivered after %s", checkTimeout)
	}
}

// BeginSession opens the persistent session of a client that was never here, so that what is sent
// to it from now on is kept until it comes: the broker drops what nobody has subscribed to.
func (b *Broker) BeginSession(l Login, clientID, filter string) error {
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID(clientID).
		SetUsername(l.Username).SetPassword(l.Password).SetProtocolVersion(4).
		SetCleanSession(false).SetAutoReconnect(false).SetConnectTimeout(checkTimeout))
	defer client.Disconnect(sessionGoodbye)
	if err := settle(client.Connect(), "connect"); err != nil {
		return err
	}
	return settle(client.Subscribe(filter, 1, func(mqtt.Client, mqtt.Message) {}), "subscribe")
}

// sessionGoodbye is how long, in milliseconds, a goodbye may take.
const sessionGoodbye = 250

func settle(t mqtt.Token, what string) error {
	if !t.WaitTimeout(checkTimeout) {
		return fmt.Errorf("%s not answered after %s", what, checkTimeout)
	}
	if err := t.Error(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// moveAside renames a store that cannot be opened, so that it can be looked at later, and
// leaves its place free.
func moveAside(dir string, now time.Time) (string, error) {
	dir = filepath.Clean(dir)
	base := dir + ".broken-" + now.UTC().Format("20060102T150405")
	for n := range 100 {
		aside := base
		if n > 0 {
			aside = fmt.Sprintf("%s-%d", base, n)
		}
		if _, err := os.Lstat(aside); err == nil {
			continue
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		return aside, os.Rename(dir, aside)
	}
	return "", fmt.Errorf("no free name beside %s", base)
}
