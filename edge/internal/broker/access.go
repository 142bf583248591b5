package broker

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"estate/internal/problem"
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

// Check implements the server's authentication hook. It is called for every connection.
func (b *Broker) Check(c server.ClientAuthentication) bool {
	opts := c.GetOpts()
	login := Login{Username: opts.Username, Password: opts.Password, ClientID: b.clientID(c.GetID())}
	if remote := c.RemoteAddress(); remote != nil {
		login.Remote = b.remotes.of(remote.String())
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
		b.log.Debug("mqtt login refused", "login", login.String(), "known", ok)
		b.refuseLogin(login, ok)
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

// refuseLogin reports a login that was refused; known says that only its client id was wrong.
func (b *Broker) refuseLogin(l Login, known bool) {
	v := Violation{Code: problem.MQTTLoginRefused, ClientID: l.Username, Remote: l.Remote}
	if known {
		v.Code, v.Reason = problem.MQTTClientIDWrong, fmt.Sprintf("the client id was %q", l.ClientID)
	}
	b.violate(v)
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
	r, err := g.Rights()
	if err != nil {
		return nil, err
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: subjects(r.Publish)},
		Subscribe: &server.SubjectPermission{Allow: subjects(r.Subscribe)},
	}, nil
}

// subjects turns topic filters, whose levels hold no dot, into the broker's subjects. In MQTT
// "a/#" covers "a" itself, too.
func subjects(filters []string) []string {
	var out []string
	replace := strings.NewReplacer("/", ".", "+", "*", "#", ">")
	for _, f := range filters {
		out = append(out, replace.Replace(f))
		if parent, ok := strings.CutSuffix(f, "/#"); ok {
			out = append(out, replace.Replace(parent))
		}
	}
	return out
}
