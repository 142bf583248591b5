package broker

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// mosquittoRounds is what mosquitto_passwd itself uses; the secrets that we make are random,
	// and no number of rounds would make them harder to guess.
	mosquittoRounds = 101
	mosquittoSalt   = 12
	// mosquittoQueued is some hours of a large building: about 100 MB of small messages.
	mosquittoQueued = 200_000
	// mosquittoInFlight lets the box store messages in batches, as the box's own broker does.
	mosquittoInFlight = unacknowledgedMax
	// mosquittoSave is how many seconds a kill of mosquitto can cost.
	mosquittoSave = 30
)

// MosquittoHash hashes a secret in the form of mosquitto's password file (PBKDF2 with SHA-512,
// since mosquitto 2.0).
func MosquittoHash(secret string, random io.Reader) (string, error) {
	salt := make([]byte, mosquittoSalt)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("make a salt: %w", err)
	}
	key, err := pbkdf2.Key(sha512.New, secret, salt, mosquittoRounds, sha512.Size)
	if err != nil {
		return "", fmt.Errorf("hash a secret: %w", err)
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("$7$%d$%s$%s", mosquittoRounds, encode(salt), encode(key)), nil
}

// MosquittoPaths say where a mosquitto listens, as which account it runs, and where its files are.
type MosquittoPaths struct{ Host, Port, User, Passwords, Rights, Store string }

// MosquittoConf is a configuration with which a mosquitto serves a building as the embedded broker
// does, as far as it can.
func MosquittoConf(p MosquittoPaths) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# Written by estate-edge broker files; a run of it writes it anew.")
	say("listener %s", strings.TrimSpace(p.Port+" "+p.Host))
	if p.User != "" {
		say("user %s", p.User)
	}
	say("allow_anonymous false")
	say("password_file %s", p.Passwords)
	say("acl_file %s", p.Rights)
	say("# A login's name is its client id, so that no device can silence another.")
	say("use_username_as_clientid true")
	say("# What is kept for the box while it is away: the stock limit of 1000 messages loses nearly all of a")
	say("# busy building.")
	say("max_queued_messages %d", mosquittoQueued)
	say("max_inflight_messages %d", mosquittoInFlight)
	say("message_size_limit %d", payloadBytesMax)
	say("# What it acknowledged since the last save is lost when it is killed.")
	say("persistence true")
	say("persistence_location %s/", p.Store)
	say("autosave_interval %d", mosquittoSave)
	return b.String()
}

// MosquittoLogin is a line of mosquitto's password file and what it may reach.
type MosquittoLogin struct {
	Username, Hash string
	Rights         Rights
}

// MosquittoFiles writes the password file and the file of access rights for a mosquitto that
// serves the building in place of the embedded broker.
func MosquittoFiles(list []MosquittoLogin) (passwords, rights string, err error) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b MosquittoLogin) int { return strings.Compare(a.Username, b.Username) })
	var words, topics strings.Builder
	topics.WriteString("# Written by estate-edge. Who is not named here reaches nothing.\n")
	for _, l := range list {
		if strings.ContainsAny(l.Username, ":\n\r") || strings.ContainsAny(l.Hash, ":\n\r") {
			return "", "", fmt.Errorf("login %q cannot be written to a password file", l.Username)
		}
		fmt.Fprintf(&words, "%s:%s\n", l.Username, l.Hash)
		fmt.Fprintf(&topics, "\nuser %s\n", l.Username)
		for _, f := range l.Rights.Publish {
			fmt.Fprintf(&topics, "topic write %s\n", f)
		}
		for _, f := range l.Rights.Subscribe {
			fmt.Fprintf(&topics, "topic read %s\n", f)
		}
	}
	return words.String(), topics.String(), nil
}
