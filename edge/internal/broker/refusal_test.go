package broker_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"estate/edge/internal/broker"
	"estate/internal/problem"
)

// until gives the first violation with a code.
func (f *fixture) until(t *testing.T, code problem.Code) broker.Violation {
	t.Helper()
	deadline := time.After(wait)
	for {
		select {
		case v := <-f.violations:
			if v.Code == code {
				return v
			}
		case <-deadline:
			t.Fatalf("no %s was reported\n%s", code, f.log)
		}
	}
}

// TestRefusals: what the broker does without a word to the client is reported, each with a code.
func TestRefusals(t *testing.T) {
	t.Parallel()
	t.Run("Publish", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		c := mustDial(t, f, "leak1", "leak1")
		done(t, c.Publish("estate/v1/oak/dev/leak2/state", 1, false, "x"))
		v := f.until(t, problem.MQTTPublishForbidden)
		if v.ClientID != "leak1" || v.Topic != "estate/v1/oak/dev/leak2/state" || v.Grant.Device != "leak1" || !strings.HasPrefix(v.Remote, "127.0.0.1:") {
			t.Errorf("%+v", v)
		}
	})
	t.Run("Subscribe", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		mustDial(t, f, "leak1", "leak1").Subscribe("zigbee2mqtt/+/x/#", 1, nil).WaitTimeout(wait)
		if v := f.until(t, problem.MQTTSubscribeForbidden); v.ClientID != "leak1" || v.Topic != "zigbee2mqtt/+/x/#" {
			t.Errorf("%+v", v)
		}
	})
	t.Run("Payload", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		mustDial(t, f, "leak1", "leak1").Publish("estate/v1/oak/dev/leak1/state", 1, false, bytes.Repeat([]byte("x"), 9<<20))
		if v := f.until(t, problem.MQTTPayloadTooLarge); v.ClientID != "leak1" || v.Reason == "" {
			t.Errorf("%+v", v)
		}
	})
	t.Run("ClientIDTwice", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		// The server turns away who comes within a second after one was thrown off.
		for in := 0; ; {
			if _, err := dial(t, "tcp://"+f.b.Addr(), "installer", "pw-installer", "z2m", true); err == nil {
				in++
			}
			select {
			case v := <-f.violations:
				if v.Code != problem.MQTTClientIDTwice || v.ClientID != "z2m" || v.Grant.Base != "zigbee2mqtt" {
					t.Errorf("%+v", v)
				}
				if in < 4 {
					t.Errorf("reported when one had come back %d times: that happens", in-1)
				}
				return
			default:
			}
			if in > 4 {
				t.Fatalf("not reported\n%s", f.log)
			}
		}
	})
	t.Run("Login", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		_, _ = dial(t, "tcp://"+f.b.Addr(), "leak1", "wrong", "leak1", true)
		if v := f.until(t, problem.MQTTLoginRefused); v.ClientID != "leak1" || v.Remote == "" || strings.Contains(fmt.Sprint(v), "wrong") {
			t.Errorf("%+v", v)
		}
		_, _ = dial(t, "tcp://"+f.b.Addr(), "leak1", "pw-leak1", "other", true)
		if v := f.until(t, problem.MQTTClientIDWrong); v.ClientID != "leak1" || !strings.Contains(v.Reason, `"other"`) {
			t.Errorf("%+v", v)
		}
	})
	t.Run("Version5AndNonsense", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		for text, code := range map[string]problem.Code{
			"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc": problem.MQTTVersion,
			"\xe0\x00": problem.MQTTProtocol,
			"\x10\x1c\x00\x04MQTT\x04\xc2\x00\x3c\x00\x05leak1\x00\x05leak1\x00\x02no": problem.MQTTLoginRefused,
		} {
			conn, err := net.Dial("tcp", f.b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			if v := f.until(t, code); v.Remote != conn.LocalAddr().String() {
				t.Errorf("%+v from %s", v, conn.LocalAddr())
			}
			_ = conn.Close()
		}
	})
}
