package broker_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/internal/problem"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	f := setup(t)
	all := inside(t, f, "reader", true)
	done(t, all.Subscribe("estate/#", 1, nil))
	done(t, all.Subscribe("zigbee2mqtt/#", 1, nil))

	t.Run("OwnBranch", func(t *testing.T) {
		c := mustDial(t, f, "leak1", "leak1")
		done(t, c.Publish("estate/v1/oak/dev/leak1/state", 1, false, "wet"))
		if m := all.next(t); m.payload != "wet" {
			t.Fatalf("got %+v", m)
		}
	})
	t.Run("OtherBranchIsDroppedAndReported", func(t *testing.T) {
		c := mustDial(t, f, "leak1", "leak1")
		for _, topic := range []string{"estate/v1/oak/dev/leak2/state", "estate/v1/elm/dev/leak1/state",
			"zigbee2mqtt/x", "estate/v1/oak/alarm/1", "estate/v1/oak/dev/leak1x/state"} {
			done(t, c.Publish(topic, 1, true, "forged"))
			v := <-f.violations
			if v.Topic != topic || v.ClientID != "leak1" || v.Grant.Device != "leak1" || v.Code != problem.MQTTPublishForbidden {
				t.Fatalf("violation %+v for %s", v, topic)
			}
		}
		done(t, c.Publish("estate/v1/oak/dev/leak1/state", 1, false, "after"))
		if m := all.next(t); m.payload != "after" {
			t.Fatalf("a forged message passed: %+v", m)
		}
		late := inside(t, f, "late", true)
		done(t, late.Subscribe("#", 1, nil))
		done(t, late.Publish("estate/end", 1, false, "end"))
		if m := late.next(t); m.payload != "end" {
			t.Fatalf("a forged message was retained: %+v", m)
		}
		all.next(t)
	})
	t.Run("DeviceCannotListenElsewhere", func(t *testing.T) {
		c := mustDial(t, f, "leak1", "leak1")
		tok, _ := c.Subscribe("estate/#", 1, nil).(*mqtt.SubscribeToken)
		tok.WaitTimeout(wait)
		if code := tok.Result()["estate/#"]; code != 0x80 {
			t.Fatalf("subscription answered %#x", code)
		}
		done(t, c.Subscribe("estate/v1/oak/dev/leak1/#", 1, nil))
		done(t, all.Publish("estate/v1/oak/dev/leak1/error", 1, false, "why"))
		if m := c.next(t); m.payload != "why" {
			t.Fatalf("got %+v", m)
		}
		all.next(t)
	})
	t.Run("GatewayBelowItsBase", func(t *testing.T) {
		c := mustDial(t, f, "installer", "z2m")
		done(t, c.Publish("zigbee2mqtt/cellar/leak", 1, false, "{}"))
		if m := all.next(t); m.topic != "zigbee2mqtt/cellar/leak" {
			t.Fatalf("got %+v", m)
		}
		done(t, c.Publish("estate/v1/oak/dev/leak1/state", 1, false, "forged"))
		done(t, c.Publish("zigbee2mqtt/last", 1, false, "ok"))
		if m := all.next(t); m.payload != "ok" {
			t.Fatalf("got %+v", m)
		}
	})
	t.Run("Refused", func(t *testing.T) {
		for _, c := range []struct{ user, password, id string }{
			{"leak1", "wrong", "leak1"}, {"nobody", "x", "nobody"}, {"", "", "x"},
			{"leak1", "pw-leak1", "leak2"}, {"leak1", "pw-leak1", ""}, {"estate-internal", "guess", "reader"},
		} {
			if _, err := dial(t, "tcp://"+f.b.Addr(), c.user, c.password, c.id, true); err == nil {
				t.Errorf("user %q client %q was let in", c.user, c.id)
			}
		}
		for _, secret := range []string{"pw-leak1", "guess", f.b.Internal().Password} {
			if strings.Contains(f.log.String(), secret) {
				t.Errorf("the log holds a password")
			}
		}
	})
}

func TestDevicesComeAndGoLive(t *testing.T) {
	t.Parallel()
	f := setup(t)
	if _, err := dial(t, "tcp://"+f.b.Addr(), "new1", "pw-new1", "new1", true); err == nil {
		t.Fatal("unknown device let in")
	}
	f.logins.device("new1")
	c := mustDial(t, f, "new1", "new1")
	f.logins.remove("new1")
	if err := f.b.Disconnect("new1"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.lost:
	case <-time.After(wait):
		t.Fatal("a removed device stayed connected")
	}
	if _, err := dial(t, "tcp://"+f.b.Addr(), "new1", "pw-new1", "new1", true); err == nil {
		t.Fatal("a removed device was let in")
	}
}

func TestDevicesWaitForAdmit(t *testing.T) {
	t.Parallel()
	f := startAt(t, filepath.Join(t.TempDir(), "mqtt"))
	t.Cleanup(f.b.Close)
	if f.b.Ready() {
		t.Fatal("ready before Admit")
	}
	if _, err := dial(t, "tcp://"+f.b.Addr(), "leak1", "pw-leak1", "leak1", true); err == nil {
		t.Fatal("a device was let in before the edge listens")
	}
	f.b.Admit()
	mustDial(t, f, "leak1", "leak1")
	if !f.b.Ready() {
		t.Fatal("not ready after Admit")
	}
}

// TestWhiteSpaceInTopicIsReported: it is told to nobody by the protocol, whatever the QoS.
func TestWhiteSpaceInTopicIsReported(t *testing.T) {
	t.Parallel()
	for qos := range byte(3) {
		f := setup(t)
		c := mustDial(t, f, "installer", "z2m")
		c.Publish("zigbee2mqtt/dining room", qos, false, "{}")
		select {
		case v := <-f.violations:
			if v.ClientID != "z2m" || v.Code != problem.MQTTTopicCharacters {
				t.Fatalf("QoS %d: violation %+v", qos, v)
			}
		case <-time.After(wait):
			t.Fatalf("QoS %d: not reported\n%s", qos, f.log)
		}
		<-c.lost
		mustDial(t, f, "leak1", "leak1")
	}
}
