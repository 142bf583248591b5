package edge_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge"
	"estate/internal/lab"
)

// overTLS publishes with the real command line client, which trusts one authority.
func (b *box) overTLS(login edge.LoginResult, authority string) error {
	_, port, err := net.SplitHostPort(b.MQTTTLSAddr())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	return lab.Publish(ctx, "mosquitto_pub", "", "-h", "localhost", "-p", port, "--cafile", authority, "-V", "mqttv311", "-q", "1", "-i", login.ClientID,
		"-u", login.Username, "-P", login.Password, "-t", login.Topic, "-m", `{"temperature":20}`)
}

// TestBrokerOverTLS: a device that was given the box's authority gets in, after a restart too;
// one that trusts another does not.
func TestBrokerOverTLS(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	first, second := config(t.TempDir()), config(t.TempDir())
	first.MQTTTLSListen, second.MQTTTLSListen = "127.0.0.1:0", "127.0.0.1:0"
	b, other := enrolledWith(t, c, first), enrolledWith(t, startCloud(t), second)
	b.signIn()
	login := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}))(t)
	authority := filepath.Join(b.cfg.Data, "mqtt-ca.pem")
	if err := b.overTLS(login, filepath.Join(other.cfg.Data, "mqtt-ca.pem")); err == nil {
		t.Error("a device that trusts another box let itself be heard")
	}
	if err := b.overTLS(login, authority); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the device is heard", func() bool { return len(b.devices(c.building.String())) == 1 })
	b = b.restart()
	eventually(t, "ready again", b.ready)
	if err := b.overTLS(login, authority); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// TestBrokerOverAWebSocket: pages of this box get in, and those that another site served do not.
func TestBrokerOverAWebSocket(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	login := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}))(t)
	connect := func(origin string) (mqtt.Client, error) {
		client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("ws://" + b.Addr() + "/mqtt").SetClientID(login.ClientID).SetUsername(login.Username).
			SetPassword(login.Password).SetAutoReconnect(false).SetHTTPHeaders(http.Header{"Origin": {origin}}))
		token := client.Connect()
		token.Wait()
		return client, token.Error()
	}
	if _, err := connect("https://elsewhere.example"); err == nil {
		t.Error("a page of another site was let in")
	}
	client, err := connect("http://" + b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(0)
	text := `{"temperature":20,"note":"` + strings.Repeat("x", 100_000) + `"}` // many packets of the network
	if token := client.Publish(login.Topic, 1, false, text); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	eventually(t, "the device is heard", func() bool { return len(b.devices(c.building.String())) == 1 })
}
