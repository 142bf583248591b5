package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"estate/edge/internal/broker"
	"estate/edge/internal/local"
	"estate/edge/internal/outbound"
	"estate/internal/problem"
)

// LoginInput is a login to make at the broker.
type LoginInput struct {
	Name string `json:"name"`
	// Role is one of broker.Roles; a single sensor where it is empty.
	Role string `json:"role"`
	// Base is the base topic of a gateway or a firmware; MAC a Tasmota's hardware address.
	Base string `json:"base"`
	MAC  string `json:"mac"`
	// Person is the email of the person whose device it is.
	Person string `json:"person"`
}

// LoginResult is a login with its secret, which is shown once.
type LoginResult struct {
	Username string `json:"username"`
	ClientID string `json:"client_id"`
	Password string `json:"password"`
	// Topic is where the login speaks, or what it hears first.
	Topic string `json:"topic"`
	// Publish and Subscribe are all that the login reaches.
	Publish   []string `json:"publish"`
	Subscribe []string `json:"subscribe"`
	// Note says what is still to do before the login works.
	Note string `json:"note,omitempty"`
}

// AddLogin makes a login at the broker, or a new secret for one that exists; the old one ends
// at once.
func (e *Edge) AddLogin(ctx context.Context, in LoginInput) (LoginResult, error) {
	enrolment, err := e.local.Enrolment(ctx)
	if errors.Is(err, local.ErrNotEnrolled) {
		return LoginResult{}, problem.New(problem.NotEnrolled, "")
	}
	if err != nil {
		return LoginResult{}, err
	}
	topic, err := topicOf(ctx, e.store, enrolment.Building)
	if err != nil {
		return LoginResult{}, err
	}
	l := local.Login{Username: in.Name, Role: in.Role, Base: in.Base, MAC: macOf(in.MAC), At: e.now()}
	if l.Role == "" {
		l.Role = string(broker.RoleDevice)
	}
	if l.Role == string(broker.RoleZigbee2MQTT) && l.Base == "" {
		l.Base = defaultBase
	}
	if err := e.checkLogin(ctx, in, &l); err != nil {
		return LoginResult{}, err
	}
	if err := e.checkBase(ctx, l); err != nil {
		return LoginResult{}, err
	}
	rights, err := e.grantOf(l, topic).Rights()
	if err != nil {
		return LoginResult{}, problem.Wrap(problem.InvalidInput, err, "%s", err.Error())
	}
	secret, err := e.local.AddLogin(ctx, l, rand.Reader, broker.MosquittoHash)
	if err != nil {
		return LoginResult{}, err
	}
	if d := e.mqtt.Load(); d != nil {
		d.disconnect(in.Name)
	}
	out := LoginResult{Username: in.Name, ClientID: in.Name, Password: secret.Reveal(), Publish: rights.Publish, Subscribe: rights.Subscribe}
	if e.cfg.BrokerURL != "" {
		out.Note = "The broker is not the box's own: run estate-edge broker files and let it read them."
	}
	if !l.Person.IsZero() {
		note, err := e.beginInbox(ctx, l, topic, secret.Reveal())
		if err != nil {
			return LoginResult{}, err
		}
		out.Note = strings.TrimSpace(note + " " + out.Note)
	}
	switch broker.Role(l.Role) {
	case broker.RoleDevice:
		out.Topic = "estate/v1/" + topic + "/dev/" + in.Name + "/state"
	case broker.RoleTechnician:
		out.Topic = "estate/v1/" + topic + "/tech/" + l.Person.String() + "/inbox"
	default:
		out.Topic = rights.Publish[0]
	}
	return out, nil
}

// beginInbox opens the session in which messages for a person wait until the person's device
// comes, and puts what is open now into it. Another's broker has the login only once it has read
// its files, so there messages wait from the first subscription on.
func (e *Edge) beginInbox(ctx context.Context, l local.Login, topic, secret string) (note string, err error) {
	d := e.mqtt.Load()
	building := d.building.id
	summary, position, err := outbound.Summary(ctx, d.building.desk, building, topic, l.Person)
	if err == nil {
		err = e.local.BeginInbox(ctx, l.Person, position)
	}
	if err != nil {
		return "", err
	}
	in := d.ingest.Load()
	if d.broker == nil || in == nil {
		return "Messages are kept from the first subscription on, in a persistent session (mosquitto_sub -q 1 -c).", nil
	}
	filter := "estate/v1/" + topic + "/tech/" + l.Person.String() + "/inbox"
	if err := d.broker.BeginSession(broker.Login{Username: l.Username, Password: secret}, l.Username, filter); err != nil {
		return "", problem.Wrap(problem.Unavailable, err, "the inbox cannot be opened at the broker; make the login again")
	}
	ctx, cancel := context.WithTimeout(ctx, summaryWait)
	defer cancel()
	for _, m := range summary {
		if err := (speaker{in}).Publish(ctx, m); err != nil {
			return "", problem.Wrap(problem.Unavailable, err, "the inbox's first messages cannot be sent; make the login again")
		}
	}
	return "Messages are kept from now on: come with a persistent session (mosquitto_sub -q 1 -c).", nil
}

// summaryWait bounds the sending of what an inbox begins with.
const summaryWait = 30 * time.Second

// checkLogin finds what is wrong with a login that its rights do not show.
func (e *Edge) checkLogin(ctx context.Context, in LoginInput, l *local.Login) error {
	role := broker.Role(l.Role)
	switch {
	case in.Name == ownLogin:
		return problem.Invalid(problem.FieldError{Field: "name", Message: "is the box's own"})
	case !slices.Contains(broker.Roles(), role):
		return problem.Invalid(problem.FieldError{Field: "role", Message: "one of " + strings.Join(roleNames(), ", ")})
	case !role.NeedsBase() && in.Base != "":
		return problem.Invalid(problem.FieldError{Field: "base", Message: "only gateways and firmwares have one"})
	case in.MAC != "" && (l.MAC == "" || role != broker.RoleTasmota):
		return problem.Invalid(problem.FieldError{Field: "mac", Message: "a Tasmota's hardware address, such as A8:03:2A:B1:23:45"})
	case role == broker.RoleTechnician && in.Person == "" || role != broker.RoleTechnician && in.Person != "":
		return problem.Invalid(problem.FieldError{Field: "person", Message: "the email of the person whose device it is; for technicians' devices only"})
	case role != broker.RoleTechnician:
		return nil
	}
	d := e.mqtt.Load()
	if d == nil {
		return problem.New(problem.Unavailable, "the box must run to find the person")
	}
	account, err := d.building.desk.AccountByEmail(ctx, d.building.id, strings.ToLower(strings.TrimSpace(in.Person)))
	if problem.HasCode(err, problem.NotFound) {
		return problem.Invalid(problem.FieldError{Field: "person", Message: "is nobody's address whom the box knows: let a manager give the person a role in the building first"})
	}
	if err != nil {
		return err
	}
	if l.Person = account.Person; !d.employs(ctx, l.Person) {
		return problem.Invalid(problem.FieldError{Field: "person", Message: "does not work for this building"})
	}
	return nil
}

// checkBase holds that a base topic is one login's: two would speak under each other's topics.
func (e *Edge) checkBase(ctx context.Context, l local.Login) error {
	if l.Base == "" {
		return nil
	}
	all, err := e.local.Logins(ctx)
	if err != nil {
		return err
	}
	tasmota := func(role string) bool { return role == string(broker.RoleTasmota) } // its topics are others
	for _, other := range all {
		if other.Username != l.Username && other.Base == l.Base && tasmota(other.Role) == tasmota(l.Role) {
			return problem.Invalid(problem.FieldError{Field: "base",
				Message: fmt.Sprintf("%q is the login %s's: remove that one (estate-edge device remove %s), or give another base topic", l.Base, other.Username, other.Username)})
		}
	}
	return nil
}

func roleNames() (out []string) {
	for _, r := range broker.Roles() {
		out = append(out, string(r))
	}
	return out
}

// macOf gives a hardware address the form of Tasmota's topics; empty for what is none.
func macOf(text string) string {
	digits := strings.ToUpper(strings.NewReplacer(":", "", "-", "", ".", "").Replace(text))
	if len(digits) != 12 || strings.Trim(digits, "0123456789ABCDEF") != "" {
		return ""
	}
	return digits
}

// LoginName names a login.
type LoginName struct {
	Name string `json:"name"`
}

// RemoveLogin takes a login away and ends its connection at once. It returns not_found for
// a name that has none. What the device reported stays.
func (e *Edge) RemoveLogin(ctx context.Context, in LoginName) (LoginName, error) {
	err := e.local.RemoveLogin(ctx, in.Name)
	if problem.HasCode(err, problem.NotFound) {
		return LoginName{}, problem.New(problem.NotFound, "no login is called %q; estate-edge device logins lists them", in.Name)
	}
	if err != nil {
		return LoginName{}, err
	}
	if d := e.mqtt.Load(); d != nil {
		d.disconnect(in.Name)
	}
	return in, nil
}

// LoginEntry is a login as it is listed: all but its secret.
type LoginEntry struct {
	Username string    `json:"username"`
	Role     string    `json:"role"`
	Base     string    `json:"base,omitempty"`
	MAC      string    `json:"mac,omitempty"`
	Person   string    `json:"person,omitempty"`
	MadeAt   time.Time `json:"made_at"`
}

// ListLogins lists the logins at the broker, by name.
func (e *Edge) ListLogins(ctx context.Context, _ struct{}) ([]LoginEntry, error) {
	all, err := e.local.Logins(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]LoginEntry, 0, len(all))
	for _, l := range all {
		one := LoginEntry{Username: l.Username, Role: l.Role, Base: l.Base, MAC: l.MAC, MadeAt: l.At}
		if !l.Person.IsZero() {
			one.Person = l.Person.String()
		}
		out = append(out, one)
	}
	return out, nil
}
