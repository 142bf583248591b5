package broker

import (
	"context"
	"crypto/subtle"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const internalUser = "estate-internal"

// authTimeout bounds one look-up of a credential; the hook offers no context of its own.
const authTimeout = 5 * time.Second

// Login is what a connecting client says about itself. The password is secret: never log
// a Login.
type Login struct {
	Username string
	Password string
	ClientID string
	Remote   string
}

// String names who logs in, never the password.
func (l Login) String() string {
	return fmt.Sprintf("user %q client %q from %s", l.Username, l.ClientID, l.Remote)
}

// Role is what a login may do.
type Role int

const (
	// RoleDevice is one sensor: it publishes below its own branch and nowhere else.
	RoleDevice Role = iota + 1
	// RoleGateway is an installer's gateway such as Zigbee2MQTT: it reaches its own base
	// topic only.
	RoleGateway
)

// Grant is what Authenticate gives to a login that it accepts.
type Grant struct {
	Role Role
	// ClientID is the client id that this credential is bound to. A client id used twice
	// kicks the first one off, so without the binding any device could silence another.
	ClientID string
	// Building and Device name a device's branch; both are single topic levels of letters,
	// digits, '-' and '_'.
	Building, Device string
	// Base is a gateway's base topic, for example "zigbee2mqtt".
	Base string
}

// Violation is a publish or subscription that was refused. The publisher was told
// nothing: the protocol has no way to, which is why it is reported here.
type Violation struct {
	ClientID string
	Grant    Grant
	Topic    string
	Reason   string
}

// nameLevel is one topic level that needs no escaping in the broker's subjects.
var nameLevel = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Check implements the server's authentication hook. It is called for every connection.
func (b *Broker) Check(c server.ClientAuthentication) bool {
	opts := c.GetOpts()
	login := Login{Username: opts.Username, Password: opts.Password, ClientID: b.clientID(c.GetID())}
	if remote := c.RemoteAddress(); remote != nil {
		login.Remote = remote.String()
	}
	if login.Username == internalUser {
		ok := subtle.ConstantTimeCompare([]byte(login.Password), []byte(b.internal.Password)) == 1
		if ok {
			c.RegisterUser(&server.User{Username: internalUser})
		}
		return ok
	}
	if !b.admit.Load() {
		b.log.Info("mqtt login put off: the edge is not listening yet", "login", login.String())
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), authTimeout)
	defer cancel()
	grant, ok := b.cfg.Authenticate(ctx, login)
	if !ok || grant.ClientID == "" || grant.ClientID != login.ClientID {
		b.log.Warn("mqtt login refused", "login", login.String(), "known", ok)
		return false
	}
	perms, err := permissions(grant)
	if err != nil {
		b.log.Error("mqtt login refused: its grant is not usable", "login", login.String(), "cause", err)
		return false
	}
	b.grants.Store(login.ClientID, grant)
	c.RegisterUser(&server.User{Username: login.Username, Permissions: perms})
	return true
}

// clientID finds the MQTT client id of a connection. The hook does not carry it; the
// server's own connection list does.
func (b *Broker) clientID(cid uint64) string {
	srv := b.srv.Load()
	if srv == nil {
		return "" // shutting down
	}
	conns, err := srv.Connz(&server.ConnzOptions{CID: cid})
	if err != nil || len(conns.Conns) != 1 {
		return ""
	}
	return conns.Conns[0].MQTTClient
}

// permissions turns a grant into the broker's subjects, in which '.' parts levels.
func permissions(g Grant) (*server.Permissions, error) {
	switch g.Role {
	case RoleDevice:
		if !nameLevel.MatchString(g.Building) || !nameLevel.MatchString(g.Device) {
			return nil, fmt.Errorf("device branch %q/%q: names are letters, digits, '-' and '_', at most 64", g.Building, g.Device)
		}
		own := "estate.v1." + g.Building + ".dev." + g.Device
		return &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{own + ".>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{own + ".>", own, "estate.v1." + g.Building + ".time"}},
		}, nil
	case RoleGateway:
		if !nameLevel.MatchString(g.Base) || g.Base == "estate" {
			return nil, fmt.Errorf("gateway base %q: one level of letters, digits, '-' and '_', not \"estate\"", g.Base)
		}
		both := &server.SubjectPermission{Allow: []string{g.Base + ".>", g.Base}}
		return &server.Permissions{Publish: both, Subscribe: both}, nil
	}
	return nil, fmt.Errorf("unknown role %d", g.Role)
}
